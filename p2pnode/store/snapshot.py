"""A copy of a node's database while the node runs, and what such a copy needs before a node may run on it.

SQLite's own backup reads one snapshot: whatever is written meanwhile is not in it, and nothing waits. Blocking; called by
`p2pnode.backup` and by nobody that has the database open.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

from p2pnode.errors import DecodeError, NotFoundError, StoreError
from p2pnode.store.database import BUSY_TIMEOUT_S, connect, translated, write_transaction
from p2pnode.store.library_mark import META_KEY
from p2pnode.store.rows import path_of
from p2pnode.store.tx import SqliteTx
from p2pnode.store.tx_records import RESCUE_MARGIN


def copy_database(source: str, target: str) -> None:
    """One consistent copy in a new file.

    NotFoundError without a database; StoreError if it cannot be read or holds nothing at all, or the disk is full.
    """
    if not os.path.exists(source):
        raise NotFoundError(f"there is no database at {source}", hint="this home has never run a daemon")
    with translated(source), closing(_open(source)) as old:
        if not _is_a_nodes(old):
            raise StoreError(
                f"{source} is no database of a node: it is empty, or something else",
                hint="put a copy of it back, or restore an older backup; nothing was written",
            )
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with translated(source), closing(_open(source)) as old, closing(_open(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it


def kept_paths(database: str) -> list[str]:
    """Where whole contents lie in the library, relative to it: what a backup takes along."""
    with translated(database), closing(_open(database)) as connection:
        rows = connection.execute(
            "SELECT b.path FROM bases b JOIN contents c ON b.content = c.id WHERE b.owned = 1 AND c.state = 'complete'"
        ).fetchall()
    return sorted(path_of(path) for (path,) in rows)


def prepare_copy(database: str, has: Callable[[str], bool], now: float) -> int:
    """Make a copy fit to run on; how many contents are not there any more, by `has` (a path relative to the library).

    What is not there counts as begun and not finished, so that `get` fetches it again. Our own sequence numbers begin above whatever was
    signed after the copy was made: two records under one number would be an equivocation. Older schemas are brought up to date.
    DecodeError if it is damaged, or no database of a node: opened as it is it would become a new one, without a word.
    """
    with translated(database):
        _check_copy(database)
    with translated(database), closing(connect(database)) as connection:
        gone = write_transaction(connection, lambda db: _settle(db, has, now))
        connection.execute("PRAGMA journal_mode = DELETE")
    return gone


def _check_copy(database: str) -> None:
    try:
        with closing(_open(database)) as connection:
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem == "ok" and not _is_a_nodes(connection):
                problem = "it is empty, or no database of a node"
    except sqlite3.OperationalError:
        raise  # the disk's trouble, not the backup's
    except sqlite3.DatabaseError as error:
        problem = str(error)
    if problem != "ok":
        raise DecodeError(f"the database in this backup is damaged: {problem}", hint="use another backup")


def _is_a_nodes(connection: sqlite3.Connection) -> bool:
    """Whether it holds a node's tables, of whatever schema. An empty file opens as an empty database."""
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('records', 'contents', 'meta')"
    return bool(connection.execute(query).fetchone()[0] == 3)


def _settle(connection: sqlite3.Connection, has: Callable[[str], bool], now: float) -> int:
    tx = SqliteTx(connection, library="", quota_bytes=0)
    tx.set_seq_floor(now, margin=RESCUE_MARGIN)
    tx.set_meta(META_KEY, None)  # its library is another folder now
    rows = connection.execute(
        "SELECT b.id, b.path, c.id, c.root FROM bases b JOIN contents c ON b.content = c.id "
        "WHERE b.owned = 1 AND c.state = 'complete'"
    ).fetchall()
    gone = 0
    for base, path, content, root in rows:
        if has(path_of(path)):
            continue
        tx.drop_places(base)
        places = connection.execute(
            "SELECT count(*) FROM bases b JOIN places p JOIN files f ON f.id = p.file AND f.base = b.id WHERE b.content = ?",
            (content,),
        ).fetchone()[0]
        if not places:
            gone += 1
            connection.execute(
                "UPDATE OR IGNORE contents SET state = 'partial' WHERE id = ? AND NOT EXISTS "
                "(SELECT 1 FROM contents WHERE root = ? AND state = 'partial')",
                (content, root),
            )
    return gone


def _open(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
