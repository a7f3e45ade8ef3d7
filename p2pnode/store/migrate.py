"""Bring a database to the schema of this version: numbered SQL files, each applied once, in one transaction.

`PRAGMA user_version` is the number of the last file applied. A database from a newer p2pnode is refused and not touched.
Called when a store opens; never changes rows that a migration does not name.
"""

from __future__ import annotations

import sqlite3
from importlib import resources

from p2pnode.errors import StoreError


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every migration, in order. Numbers begin at 1 and leave no gap."""
    folder = resources.files("p2pnode.store") / "migrations"
    found = sorted((item.name, item.read_text("utf-8")) for item in folder.iterdir() if item.name.endswith(".sql"))
    numbered = [(int(name.split("_", 1)[0]), text) for name, text in found]
    assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1)), "migrations are numbered 1, 2, 3"
    return numbered


def schema_version(connection: sqlite3.Connection) -> int:
    """The number of the last migration applied; 0 for an empty database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Apply what is missing. StoreError if the database is newer than this program; sqlite3.Error rolls that file back."""
    steps = migrations()
    version = schema_version(connection)
    if version > len(steps):
        raise StoreError(
            f"the database has schema {version}, this version of p2pnode knows schemas up to {len(steps)}",
            hint="a newer p2pnode wrote it: run that version, or give this one another home",
        )
    for number, text in steps[version:]:
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
