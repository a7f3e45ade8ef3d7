"""Hostile text made fit for a terminal: names, titles and reasons come from strangers, and a terminal obeys some of them.

Nothing that moves the cursor, changes colours, reverses the reading direction or hides between letters gets through; what is left is
clipped by cells, not by characters. A word that mixes alphabets which look alike is marked, never altered. Called by
whatever prints foreign text; records themselves keep every byte of their text.
"""

from __future__ import annotations

import unicodedata
from typing import Final

REPLACEMENT = "\ufffd"
ELLIPSIS = "…"
MAX_MARKS = 4
"""Combining marks on one letter: no living script stacks more, and longer stacks paint over neighbouring lines."""
MIXED_NOTE = "[mixed alphabets]"

_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")
"""Letters and marks that show nothing, although their category says they are letters, marks or symbols."""
_JOINERS: Final = frozenset("\u200c\u200d")
_JOINED_SCRIPTS: Final = (
    *("ARABIC", "SYRIAC", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL"),
    *("TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "MYANMAR", "KHMER", "MONGOLIAN"),
)
"""Scripts whose spelling needs joiners and non-joiners."""
_LOOKALIKES: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})


def safe(text: str, *, cells: int | None = None) -> str:
    """One line without control characters, direction marks or hidden characters; clipped to `cells` columns when given."""
    out: list[str] = []
    marks = 0
    for at, character in enumerate(text):
        kept = _kept(character, text[at - 1 : at], text[at + 1 : at + 2])
        if kept and unicodedata.combining(kept):
            marks += 1
            if marks > MAX_MARKS or not out:
                continue
        elif kept:
            marks = 0
        out.append(kept)
    line = "".join(out).strip()
    return line if cells is None else clip(line, cells)


def safe_lines(text: str, *, lines: int, cells: int | None = None) -> list[str]:
    """As `safe`, for texts of several lines: at most `lines` of them."""
    return [safe(line, cells=cells) for line in text.splitlines()[:lines]]


def width(text: str) -> int:
    """Columns that a text made safe takes: two for wide characters, none for combining marks."""
    return sum(map(_cells, text))


def clip(text: str, cells: int) -> str:
    """The text, or as much of it as fits with an ellipsis behind it, in at most `cells` columns."""
    if width(text) <= cells:
        return text
    room, out = cells - 1, ""
    for character in text:
        room -= _cells(character)
        if room < 0:
            break
        out += character
    return (out.rstrip() + ELLIPSIS) if cells > 0 else ""


def mixed_words(text: str) -> tuple[str, ...]:
    """Words that mix alphabets with look-alike letters (a Cyrillic а within Latin letters), in order."""
    return tuple(word for word in text.split() if len(_scripts(word) & _LOOKALIKES) > 1)


def marked(text: str, *, cells: int | None = None) -> str:
    """As `safe`, with a note behind it when one of its words mixes alphabets."""
    line = safe(text)
    if not mixed_words(line):
        return line if cells is None else clip(line, cells)
    room = None if cells is None else max(0, cells - width(MIXED_NOTE) - 1)
    return f"{line if room is None else clip(line, room)} {MIXED_NOTE}"


def _kept(character: str, before: str, after: str) -> str:
    """What stands for a character: itself, a space, a replacement, or nothing."""
    if " " <= character <= "~":
        return character
    category = unicodedata.category(character)
    if character in "\t\n\r\v\f\x85" or category in ("Zs", "Zl", "Zp"):
        return " "
    if category in ("Cc", "Cs", "Co", "Cn"):
        return REPLACEMENT
    if character in _JOINERS:
        return character if _joins(before) and _joins(after) else ""
    if category == "Cf" or character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f" or character >= "\U000e0000":
        return ""
    return character


def _joins(character: str) -> bool:
    """Whether a joiner beside this character is spelling, as in Persian or the scripts of India."""
    return unicodedata.name(character, "").startswith(_JOINED_SCRIPTS) if character else False


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _scripts(word: str) -> set[str]:
    return {unicodedata.name(character, "").split(" ")[0] for character in word if character.isalpha()}
