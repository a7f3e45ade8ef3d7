"""Reading what can be read of a damaged SQLite database, table by table; what lies on a damaged page is skipped.

Knows the columns of our schema and nothing of their meaning: `store.rescue` judges what comes. Only reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

ROWS_A_READ = 200
"""Rows read at a time; when that fails, one by one."""
LAST_ROWID = 1 << 62

Row = dict[str, Any]
"""A row by its columns; what the old schema had not is missing."""


@dataclass(slots=True)
class Table:
    """One table of ours: its columns in the order of the new schema, and what orders its rows."""

    name: str
    columns: Sequence[str]
    key: Sequence[str]
    lost: bool = field(default=False)
    """Whether some of it could not be read."""

    @property
    def has_rowid(self) -> bool:
        return not self.key


def tables(fresh: sqlite3.Connection) -> list[Table]:
    """The tables of a fresh database, without those that SQLite keeps for itself and for the full-text index."""
    found = []
    for name, sql in fresh.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rootpage"):
        if name.startswith(("sqlite_", "works_text")):
            continue
        info = fresh.execute(f"PRAGMA table_info({name})").fetchall()
        key = [column for _, column, *_, place in sorted(info, key=lambda row: row[5]) if place]
        found.append(Table(name, [row[1] for row in info], key if "WITHOUT ROWID" in sql else []))
    return found


def read_table(damaged: sqlite3.Connection, table: Table) -> Iterator[Row]:
    """Its rows, in no promised order, some perhaps twice."""
    try:
        had = {row[1] for row in damaged.execute(f"PRAGMA table_info({table.name})")}
    except sqlite3.Error:
        table.lost = True
        return
    if not had:
        return  # the old schema had no such table
    names = [name for name in table.columns if name in had]
    read = _by_rowid if table.has_rowid else _by_key
    for row in read(damaged, table, ", ".join(names)):
        yield dict(zip(names, row, strict=True))


def _by_rowid(damaged: sqlite3.Connection, table: Table, columns: str) -> Iterator[tuple[object, ...]]:
    """Forward; over a damaged page by ever larger leaps."""
    at, leap = -1, 1
    last = _last_rowid(damaged, table)
    while at <= last:
        for limit in (ROWS_A_READ, 1):
            try:
                rows = damaged.execute(
                    f"SELECT rowid, {columns} FROM {table.name} WHERE rowid > ? ORDER BY rowid LIMIT ?", (at, limit)
                ).fetchall()
            except (sqlite3.Error, UnicodeError, OverflowError):
                table.lost = True
                continue
            if not rows:
                return
            yield from (row[1:] for row in rows)
            at, leap = rows[-1][0], 1
            break
        else:
            at, leap = at + leap, leap * 2


def _last_rowid(damaged: sqlite3.Connection, table: Table) -> int:
    with suppress(sqlite3.Error):
        row = damaged.execute(f"SELECT max(rowid) FROM {table.name}").fetchone()
        return int(row[0]) if row and row[0] is not None else -1
    table.lost = True
    return LAST_ROWID


def _by_key(damaged: sqlite3.Connection, table: Table, columns: str) -> Iterator[tuple[object, ...]]:
    """From the beginning to the first damaged page; then from the end back to one."""
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{name} {direction}" for name in table.key)
        try:
            yield from damaged.execute(f"SELECT {columns} FROM {table.name} ORDER BY {order}")
        except (sqlite3.Error, UnicodeError, OverflowError):
            table.lost = True
        else:
            return
