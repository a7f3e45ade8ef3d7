"""Hostile text on a terminal: nothing moves the cursor, hides, reverses or breaks the line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.text import MIXED_NOTE, REPLACEMENT, clip, marked, mixed_words, safe, safe_lines, width

FORBIDDEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(max_size=60))
def test_nothing_dangerous_is_left(text: str) -> None:
    line = safe(text)
    assert not {unicodedata.category(c) for c in line} & FORBIDDEN
    assert all(c in "\u200c\u200d" for c in line if unicodedata.category(c) == "Cf")
    assert safe(line) == line


@given(st.text(max_size=60), st.integers(0, 40))
def test_clipped_text_fits_its_cells(text: str, cells: int) -> None:
    assert width(safe(text, cells=cells)) <= cells
    assert width(marked(text, cells=cells)) <= max(cells, len(MIXED_NOTE) + 1)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", f"{REPLACEMENT}[31mred{REPLACEMENT}[0m"),
        ("\x9b2J", f"{REPLACEMENT}2J"),
        ("a\nb\tc\r\u2028d\u2029e", "a b c  d e"),
        ("evil\u202efdp.exe", "evilfdp.exe"),
        ("\u2066x\u2069\u200e\u200f\u061c", "x"),
        ("in\u200bvis\u2060ible\ufeff\u00ad", "invisible"),
        ("pay\u200dpal", "paypal"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("tag\U000e0041", "tag"),
        ("filler\u3164\u115f\u2800", "filler"),
        ("emoji ☺\ufe0f", "emoji ☺"),
        ("\ud800", REPLACEMENT),
        ("Z" + "\u0301" * 40, "Z" + "\u0301" * 4),
        ("\u0301x", "x"),
        ("日本語", "日本語"),
    ],
)
def test_safe(text: str, line: str) -> None:
    assert safe(text) == line


def test_wide_characters_are_counted_twice() -> None:
    assert width("日本語") == 6
    assert width("e\u0301") == 1
    assert clip("日本語", 5) == "日本…"
    assert clip("日本語", 4) == "日…"
    assert clip("abc", 3) == "abc"
    assert clip("abcd", 3) == "ab…"
    assert clip("abcd", 0) == ""


def test_alphabets_that_look_alike_in_one_word_are_marked() -> None:
    assert mixed_words("рaypal and plain") == ("рaypal",)
    assert marked("рaypal").endswith(MIXED_NOTE)
    assert marked("Москва London") == "Москва London"
    assert marked("日本語 Linux入門") == "日本語 Linux入門"
    assert marked("рaypal" * 20, cells=40).endswith(MIXED_NOTE)
    assert width(marked("рaypal" * 20, cells=40)) <= 40


def test_several_lines_are_bounded() -> None:
    assert safe_lines("a\nb\x1b\n" + "c\n" * 1000, lines=2) == ["a", f"b{REPLACEMENT}"]
