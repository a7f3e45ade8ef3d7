"""What every part of a transaction shares: the connection, and how values become columns and come back.

Records are stored as they were admitted: their body is not verified again, only unpacked.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence

import msgpack

from p2pnode.core.ids import RecordId
from p2pnode.core.record import Record, Value

FIND_LIMIT = 16
"""Rows that a look-up by a shortened id returns: enough to say "ambiguous" and name some."""


class Rows:
    """Base of the parts of `store.tx.SqliteTx`: one open transaction. `library` is the folder of owned files."""

    def __init__(self, connection: sqlite3.Connection, *, library: str, quota_bytes: int) -> None:
        self._db = connection
        self._library = library
        self._quota_bytes = quota_bytes

    def _total(self, name: str) -> int:
        value = self._db.execute("SELECT value FROM totals WHERE name = ?", (name,)).fetchone()[0]
        assert isinstance(value, int)
        return value


def marks(values: Sequence[object]) -> str:
    """As many question marks as there are values, for IN (...)."""
    return ", ".join("?" * len(values))


def record_of(id: bytes, sig: bytes, body: bytes) -> Record:
    """A record from its columns (record, sig, body)."""
    return Record(RecordId(id), body, sig, msgpack.unpackb(body, raw=False, use_list=False))


def stub_of(id: bytes, circle: bytes, kind: str, author: bytes, target: bytes, seq: int, created: int) -> Record:
    """A record whose body was dropped, from the columns that stayed. Version 0 does not exist: no tally makes use of it."""
    fields: dict[str, Value] = {
        "v": 0,
        "circle": circle,
        "kind": kind,
        "author": author,
        "target": target,
        "seq": seq,
        "created": created,
    }
    return Record(RecordId(id), b"", b"", fields)


def path_column(path: str) -> bytes:
    """A path as the system encodes it: a file name need not be valid UTF-8."""
    return os.fsencode(path)


def path_of(column: bytes) -> str:
    """The path of a column."""
    return os.fsdecode(column)


def joined(base: str, path: str) -> str:
    """A file's path: the base itself when `path` is empty."""
    return os.path.join(base, path) if path else base
