"""Whether the library is the one that this database knows: a disk that is not mounted must not look like an empty library.

A library that lies elsewhere than the database holds a file with a random mark, and the database holds the same one. Without it works would
be written into the folder under a mount point, and everything on the disk would count as lost. A person who knows that a library is lost
for good puts an empty mark there: it is taken as a new beginning. Called when a store opens, and by `store.library` when the folder is
suddenly another one.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import suppress

from p2pnode.errors import RefusedError, StoreError

MARK_FILE = ".p2pnode-library"
META_KEY = "library/mark"
MARK_BYTES = 16
MAX_MARK_FILE_BYTES = 1024
"""A mark has 32 characters; anything larger is something else."""


def settle_mark(connection: sqlite3.Connection, root: str, home: str) -> bytes | None:
    """The mark of the library at `root`, made where there is none yet. StoreError if the library of this database is not there.

    None: it needs no mark, because it lies in the node's own folder `home`, on the same disk as the database.
    """
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (META_KEY,)).fetchone()
    known: bytes | None = bytes(row[0]) if row else None
    found = read_mark(root)
    if known is not None and found == known:
        return known
    if known is None and _is_at_home(root, home):
        return None
    if found and known is None and not _holds_works(connection):
        raise RefusedError(
            f"{root} is the library of another node", hint="two nodes on one library would delete each other's works"
        )
    if _holds_works(connection) and found != b"" and not (known is None and found is None and _has_entries(root)):
        raise _not_there(root, found)
    mark = known or secrets.token_hex(MARK_BYTES).encode()
    os.makedirs(root, mode=0o755, exist_ok=True)
    write_mark(root, mark)
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (META_KEY, mark))
    return mark


def read_mark(root: str) -> bytes | None:
    """What the mark file says, b"" if it is empty; None if there is none."""
    try:
        with open(os.path.join(root, MARK_FILE), "rb") as file:
            return file.read(MAX_MARK_FILE_BYTES).strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_mark(root: str, mark: bytes) -> None:
    """Whole or not at all, and on the disk."""
    path = os.path.join(root, MARK_FILE)
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(mark + b"\n" if mark else b"")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _not_there(root: str, found: bytes | None) -> StoreError:
    what = "is not there" if found is None else "is another one than this node's"
    return StoreError(
        f"the library {root} {what}; nothing was changed",
        hint=f"mount its disk, or set `library` to where it is; if it is lost for good: mkdir -p '{root}' && "
        f": > '{os.path.join(root, MARK_FILE)}'",
    )


def _holds_works(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM bases WHERE owned = 1 LIMIT 1").fetchone() is not None


def _is_at_home(root: str, home: str) -> bool:
    """Below the home, and no link or mount that leads to another disk."""
    if os.path.commonpath([root, home]) != home or os.path.realpath(root) != os.path.join(
        os.path.realpath(home), os.path.relpath(root, home)
    ):
        return False
    return not os.path.exists(root) or os.stat(root).st_dev == os.stat(home).st_dev


def _has_entries(root: str) -> bool:
    try:
        return bool(os.listdir(root))
    except OSError:
        return False
