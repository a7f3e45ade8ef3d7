"""Text from peers made safe to draw, in the terms of the screens. Everything a stranger wrote passes here before it reaches a widget.

The rules stand in `core.text`; this adds what widgets need: any object of an answer, bounds, one line, marks that survive clipping.
Nothing here interprets markup, and nothing here knows Textual: callers wrap the result in `Content`, which draws it as it stands.
"""

from __future__ import annotations

from p2pnode.core.text import clip, mixed_words, safe

__all__ = ["clean", "clean_indented", "clean_lines", "clip", "drawn", "marked"]

MAX_INDENT_CELLS = 8
"""Spaces kept at the beginning of a line that the node laid out."""
MAX_DRAWN_CHARS = 400
"""Characters of one line of a drawing: wider than any terminal."""
MAX_SHOWN_CHARS = 4096
"""Characters of one foreign string that we look at: a screen shows fewer, and a record of 16 KiB must not cost a second."""
MIXED_MARK = "⚠"
"""Stands before a word that mixes scripts whose letters look alike, as in a faked name: at its front no clipping removes it."""


def clean(text: object) -> str:
    """One line, no control or direction characters, runs of white space as one space. Any object is taken by its str."""
    return " ".join(safe(str(text)[:MAX_SHOWN_CHARS]).split())


def clean_lines(text: object) -> list[str]:
    """The same for text that may have paragraphs: each line cleaned."""
    return [clean(line) for line in str(text)[:MAX_SHOWN_CHARS].splitlines()]


def clean_indented(text: object) -> str:
    """`clean`, but spaces at the beginning stay, up to a sane number: for prose that the node laid out itself."""
    line = str(text)[:MAX_SHOWN_CHARS]
    indent = len(line) - len(line.lstrip(" "))
    return " " * min(indent, MAX_INDENT_CELLS) + clean(line)


def drawn(text: object) -> str:
    """A line of a drawing that the node made of letters: every space stays, control and direction characters go."""
    line = str(text)[:MAX_DRAWN_CHARS]
    return " " * (len(line) - len(line.lstrip(" "))) + safe(line)


def marked(text: object) -> str:
    """`clean`, with a warning sign before every word that mixes scripts that look alike."""
    return " ".join(MIXED_MARK + word if mixed_words(word) else word for word in clean(text).split(" "))
