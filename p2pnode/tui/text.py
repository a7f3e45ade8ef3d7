"""Text from peers made safe to draw. Everything a stranger wrote passes `clean` before it reaches a widget.

Nothing here interprets markup, and nothing here knows Textual: rows, panels and modals call these functions and wrap
the result in `Content`, which draws it as it stands.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len, set_cell_size

ELLIPSIS = "…"
MAX_INDENT_CELLS = 8
MAX_SHOWN_CHARS = 4096
"""Characters of one foreign string that we look at: a screen shows fewer, and a record of 16 KiB must not cost a second."""
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, reverse the line, hide, or have no glyph everybody agrees on."""
_SCRIPTS_THAT_LOOK_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})
MIXED_MARK = "⚠"
"""Stands before a word that mixes scripts whose letters look alike, as in a faked name."""


def clean(text: object) -> str:
    """One line, no control or direction characters, runs of white space as one space. Any object is taken by its str."""
    line = " ".join(str(text)[:MAX_SHOWN_CHARS].split())
    return "".join(char for char in line if unicodedata.category(char) not in _DROPPED)


def clean_lines(text: object) -> list[str]:
    """The same for text that may have paragraphs: each line cleaned."""
    return [clean(line) for line in str(text)[:MAX_SHOWN_CHARS].splitlines()]


def clean_indented(text: object) -> str:
    """`clean`, but spaces at the beginning stay, up to a sane number: for prose that the node laid out itself."""
    line = str(text)[:MAX_SHOWN_CHARS]
    indent = len(line) - len(line.lstrip(" "))
    return " " * min(indent, MAX_INDENT_CELLS) + clean(line)


def clip(text: str, cells: int) -> str:
    """At most `cells` terminal cells, with an ellipsis where something is cut. Wide characters count two."""
    if cells <= 0:
        return ""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - 1).rstrip() + ELLIPSIS


def marked(text: object) -> str:
    """`clean`, with a warning sign before every word that mixes scripts that look alike."""
    return " ".join(MIXED_MARK + word if _mixes_scripts(word) else word for word in clean(text).split(" "))


def _mixes_scripts(word: str) -> bool:
    if word.isascii():
        return False
    found = {unicodedata.name(char, "").split(" ", 1)[0] for char in word if char.isalpha()}
    return len(found & _SCRIPTS_THAT_LOOK_ALIKE) > 1
