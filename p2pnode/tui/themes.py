"""Colours: our dark, light and high contrast themes, beside those that Textual brings (all in the command palette)."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="p2pnode-dark",
    primary="#3d8fd1",
    secondary="#5b7fa6",
    accent="#e0a458",
    warning="#e0a458",
    error="#d9616c",
    success="#63b57c",
    foreground="#dde3ea",
    background="#14181d",
    surface="#191e24",
    panel="#242b33",
    dark=True,
)
LIGHT = Theme(
    name="p2pnode-light",
    primary="#1d6fb5",
    secondary="#49688a",
    accent="#9a5b00",
    warning="#9a5b00",
    error="#b3263a",
    success="#1f7a3f",
    foreground="#1b2128",
    background="#f4f5f6",
    surface="#fbfbfc",
    panel="#dfe4e9",
    dark=False,
)
CONTRAST = Theme(
    name="p2pnode-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ffff00",
    warning="#ffb000",
    error="#ff6060",
    success="#40ff40",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    dark=True,
    text_alpha=1.0,
    variables={
        "text-muted": "#ffffff",
        "text-disabled": "#c0c0c0",
        "foreground-muted": "#ffffff",
        "foreground-disabled": "#c0c0c0",
        "primary-muted": "#404000",
    },
)
THEMES = (DARK, LIGHT, CONTRAST)
"""The order in which the theme key goes through them."""
