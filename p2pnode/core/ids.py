"""Identifiers as types, and their text forms.

A text id is a one-letter prefix, a dash and 52 lower-case base32 characters of 32 bytes (`w-`, `c-`, `p-`, `k-`, `r-`).
People may shorten one to the prefix and six characters where that is unambiguous; resolving is the store's work.
"""

from __future__ import annotations

import base64
import re
from typing import NewType

from p2pnode.errors import UsageError

RecordId = NewType("RecordId", bytes)
"""32 bytes: SHA-256 of a record's domain-separated body."""
WorkId = NewType("WorkId", bytes)
"""32 bytes: the record id of a work's first manifest; never changes."""
CircleId = NewType("CircleId", bytes)
"""32 bytes: the record id of a circle's genesis charter."""
QuestionId = NewType("QuestionId", bytes)
"""32 bytes: what is decided on; the same question has the same id, whoever proposed it."""
PublicKey = NewType("PublicKey", bytes)
"""32 bytes: an Ed25519 public key, of a profile or of a pseudonym."""
PeerId = NewType("PeerId", str)
"""A libp2p peer ID in its base58 text form."""

ID_BYTES = 32
NO_CIRCLE = CircleId(bytes(ID_BYTES))
"""The circle of records that belong to no circle."""

WORK_PREFIX, CIRCLE_PREFIX, QUESTION_PREFIX, KEY_PREFIX, RECORD_PREFIX = "w", "c", "p", "k", "r"
PREFIXES = WORK_PREFIX + CIRCLE_PREFIX + QUESTION_PREFIX + KEY_PREFIX + RECORD_PREFIX
TEXT_CHARACTERS = 52
SHORTEST_TEXT = 6

_SHAPE = re.compile(rf"([{PREFIXES}])-([a-z2-7]{{{SHORTEST_TEXT},{TEXT_CHARACTERS}}})")


def id_text(prefix: str, value: bytes) -> str:
    """The whole text id of 32 bytes."""
    return f"{prefix}-{base64.b32encode(value).decode().lower().rstrip('=')}"


def split_text(text: str) -> tuple[str, str] | None:
    """(prefix, characters) of a whole or shortened text id, or None if it has not that shape."""
    match = _SHAPE.fullmatch(text.strip().lower())
    return (match[1], match[2]) if match else None


def parse_id(prefix: str, text: str) -> bytes:
    """32 bytes of a whole text id with that prefix. UsageError if it is anything else."""
    parts = split_text(text)
    if parts is None or parts[0] != prefix or len(parts[1]) != TEXT_CHARACTERS:
        raise UsageError(
            f"{text!r} is not a whole {prefix}- id", hint=f"it has {prefix}- and {TEXT_CHARACTERS} characters"
        )
    value = base64.b32decode(parts[1].upper() + "====")
    if id_text(prefix, value) != f"{prefix}-{parts[1]}":
        raise UsageError(f"{text!r} is not a valid id: its last character carries stray bits")
    return value


def prefix_range(characters: str) -> tuple[bytes, bytes]:
    """The inclusive range of 32-byte values whose text begins with these base32 characters."""
    bits = "".join(f"{_ALPHABET.index(c):05b}" for c in characters)[: ID_BYTES * 8]
    low = int(bits.ljust(ID_BYTES * 8, "0"), 2).to_bytes(ID_BYTES, "big")
    high = int(bits.ljust(ID_BYTES * 8, "1"), 2).to_bytes(ID_BYTES, "big")
    return low, high


_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
