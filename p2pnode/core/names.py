"""Names from strangers, made safe to write to a disk: pure rules, no file system. Called where a fetched folder gets its paths.

A name that is harmless stays as it is. One that is empty, `.` or `..`, holds a slash, a backslash, a control or direction-changing
character, is not UTF-8, is too long, or repeats another (also after NFC and case folding, as file systems of other platforms
compare) is written under another name, and the caller reports that.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

MAX_NAME_BYTES = 255
"""Bytes of a name that every file system in use can hold."""
_CUT_BYTES = 200
"""Bytes that remain of a longer name: leaves room for a digest and a counter."""
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")
"""Characters that make a name read as another one on the screen (bidirectional controls, line and paragraph separators)."""


def is_safe(name: bytes) -> bool:
    """Whether a name can be written as it stands, apart from repeating another."""
    return _escape(name) == name.decode("utf-8", "replace")


def safe_names(names: Sequence[bytes]) -> list[str]:
    """A safe name for each, all different (NFC, case-folded), in the order given. Harmless names keep theirs before others take them."""
    chosen: list[str | None] = [None] * len(names)
    taken: set[str] = set()
    for harmless in (True, False):
        for index, name in enumerate(names):
            if chosen[index] is not None or (harmless and not is_safe(name)):
                continue
            text = _escape(name)
            if harmless and _fold(text) in taken:
                continue
            text = _distinct(text, taken)
            taken.add(_fold(text))
            chosen[index] = text
    return [text for text in chosen if text is not None]


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _distinct(text: str, taken: set[str]) -> str:
    """The text, or with `~2`, `~3` ... before its ending."""
    if _fold(text) not in taken:
        return text
    stem, dot, ending = text.rpartition(".")
    if not stem or len(ending) > 8:
        stem, dot, ending = text, "", ""
    number = 2
    while _fold(candidate := f"{stem}~{number}{dot}{ending}") in taken or len(candidate.encode()) > MAX_NAME_BYTES:
        if len(candidate.encode()) > MAX_NAME_BYTES:
            stem = stem[:-1]
        else:
            number += 1
    return candidate


def _escape(name: bytes) -> str:
    """Percent-encoding of what is not safe; a digest in place of the end of an overlong name."""
    if name in (b"", b".", b".."):
        return "%" if not name else "%2E" * len(name)
    text = "".join(_escape_character(c) for c in name.decode("utf-8", "surrogateescape"))
    if len(text.encode()) <= MAX_NAME_BYTES:
        return text
    head = text.encode()[:_CUT_BYTES].decode("utf-8", "ignore")
    return f"{head}~{hashlib.sha256(name).hexdigest()[:16]}"


def _escape_character(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte that was not UTF-8
        return f"%{ord(character) - 0xDC00:02X}"
    if character in "/\\" or character in _DIRECTION or unicodedata.category(character) == "Cc":
        return "".join(f"%{byte:02X}" for byte in character.encode())
    return character
