"""What a store does when it opens: take up what a crash cut short. It looks at unfinished things only, never at all of them.

Called once by `store.sqlite.open_store`, before anybody else uses the store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from p2pnode.store.incoming import note_final, settle, was_whole
from p2pnode.store.library import FileArea
from p2pnode.store.paths import INCOMING_PREFIX
from p2pnode.store.rows import path_column, path_of
from p2pnode.store.tx import SqliteTx

TRASH_BATCH = 500
"""Files unlinked between two looks at the trash: a caller may be cancelled in between, and the rest goes at the next opening."""


def recover(tx: SqliteTx, connection: sqlite3.Connection, area: FileArea) -> None:
    """Inside one transaction: drop unfinished publishing, complete renames that happened, forget leaves whose files are gone."""
    tx.drop_abandoned()
    partial = connection.execute(
        "SELECT b.id, b.path, b.final FROM contents c JOIN bases b ON b.content = c.id WHERE c.state = 'partial'"
    ).fetchall()
    for base, path, final in partial:
        if area.exists(path_of(path)):
            note_final(connection, base, None)
        elif final is not None and area.exists(path_of(final)):
            settle(tx, connection, base, whole=was_whole(connection, base))
        else:
            note_final(connection, base, None)
            tx.drop_places(base)


def stray_names(connection: sqlite3.Connection, area: FileArea) -> list[str]:
    """Unfinished fetches in the library that no row knows: their content was forgotten."""
    known = {path_of(path) for (path,) in connection.execute("SELECT path FROM bases WHERE owned = 1")}
    return [name for name in area.names() if name.startswith(INCOMING_PREFIX) and name not in known]


def trash(connection: sqlite3.Connection) -> list[str]:
    """Some files of forgotten contents that may still be on the disk, each before the folder that holds it."""
    rows = connection.execute("SELECT path FROM trash ORDER BY path DESC LIMIT ?", (TRASH_BATCH,))
    return [path_of(path) for (path,) in rows]


def empty_trash(connection: sqlite3.Connection, paths: Sequence[str]) -> None:
    """These wait no more, not even one that could not be unlinked: its name may belong to another work one day."""
    connection.executemany("DELETE FROM trash WHERE path = ?", ((path_column(path),) for path in paths))
