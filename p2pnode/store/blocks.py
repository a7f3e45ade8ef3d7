"""Reading blocks: each from its row, or from one of the places in files where it lies; hashed before anybody sees it.

A file that was published in place belongs to its user and may change, shrink or vanish at any moment. So bytes are read into a buffer
of our own and that buffer is hashed: wrong bytes are never returned. Never maps a file, never follows a link at its end.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.dag import verify_block
from p2pnode.errors import ChangedError, StoreError
from p2pnode.ports import Place
from p2pnode.store.database import Engine
from p2pnode.store.rows import path_of
from p2pnode.store.tx_content import joined

READ_DEADLINE_S = 30.0
"""A block that takes longer lies on a mount that does not answer: the peer that asks has long gone."""
MAX_PLACES = 16
"""Places of one block that are tried: a file of zeros has thousands of equal ones."""

_OPEN = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO that took the file's name must not hang us
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_IS_PUBLIC = "c.public = 1 AND c.state <> 'building'"
_ROW = "SELECT data FROM blocks WHERE cid = ?"
_PUBLIC_ROW = f"""{_ROW} AND EXISTS (SELECT 1 FROM refs r JOIN contents c ON c.id = r.content
WHERE r.block = blocks.id AND {_IS_PUBLIC})"""
_JOINED = "FROM places p JOIN files f ON f.id = p.file JOIN bases b ON b.id = f.base"
_PLACES = f"SELECT b.path, f.path, p.offset, p.length, b.owned {_JOINED} WHERE p.cid = ? LIMIT {MAX_PLACES}"
_PUBLIC_PLACE = f"SELECT 1 {_JOINED} JOIN contents c ON c.id = b.content WHERE p.cid = ? AND {_IS_PUBLIC} LIMIT 1"


@dataclass(frozen=True, slots=True)
class Found:
    """What the index says of one block; neither a row nor places = not held."""

    row: bytes | None = None
    places: tuple[Place, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the block, 0 if it is not held."""
        return len(self.row) if self.row is not None else sum(place.length for place in self.places[:1])


def find_block(connection: sqlite3.Connection, cid: Cid, library: str, *, public_only: bool) -> Found:
    """Where a block lies. With `public_only` only if a public content holds it; its bytes may then come from any place."""
    key = (cid.to_bytes(),)
    row = connection.execute(_PUBLIC_ROW if public_only else _ROW, key).fetchone()
    if row:
        return Found(row=row[0])
    if public_only and connection.execute(_PUBLIC_PLACE, key).fetchone() is None:
        return Found()
    places = (
        Place(joined(os.path.join(library, path_of(base)), path_of(path)), offset, length, bool(owned))
        for base, path, offset, length, owned in connection.execute(_PLACES, key)
    )
    return Found(places=tuple(sorted(places, key=lambda place: not place.owned)))


def verified(cid: Cid, found: Found, read: Callable[[Place], bytes]) -> bytes | None:
    """The block's bytes from the first source that still has them. StoreError or ChangedError if every one has gone bad."""
    if found.row is not None:
        if not verify_block(cid, found.row):
            raise StoreError(f"block {cid} in the database is damaged", hint="fetch its work again")
        return found.row
    for place in found.places:
        try:
            data = read(place)
        except OSError:
            continue  # gone, unreadable or a bad sector: for whoever asks the same as changed
        if len(data) == place.length and verify_block(cid, data):
            return data
    if not found.places:
        return None
    worst = found.places[0]
    hint = "a file of the library was changed: fetch the work again" if worst.owned else None
    raise ChangedError(f"{worst.path} no longer holds what was published", hint=hint)


def read_place(place: Place) -> bytes:
    """The bytes at a place, fewer if the file has become shorter. OSError if it cannot be read or is no regular file."""
    descriptor = os.open(place.path, _OPEN)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        os.lseek(descriptor, place.offset, os.SEEK_SET)
        data = os.read(descriptor, place.length)
        while 0 < len(data) < place.length:
            more = os.read(descriptor, place.length - len(data))
            if not more:
                break
            data += more
        return data
    finally:
        os.close(descriptor)


async def read_blocks(
    engine: Engine,
    library: str,
    cids: Sequence[Cid],
    *,
    public_only: bool,
    max_bytes: int,
    read: Callable[[Place], bytes] = read_place,
) -> list[bytes | None]:
    """ports.Store.read_blocks. Looks twice: a fetch that finishes in between renames its files."""

    def find(connection: sqlite3.Connection) -> list[tuple[Cid, Found]]:
        found: list[tuple[Cid, Found]] = []
        size = 0
        for cid in cids:
            found.append((cid, find_block(connection, cid, library, public_only=public_only)))
            size += found[-1][1].size
            if size >= max_bytes:
                break
        return found

    def then(found: list[tuple[Cid, Found]]) -> list[bytes | None]:
        blocks: list[bytes | None] = []
        for cid, where in found:
            try:
                blocks.append(verified(cid, where, read))
            except StoreError:
                if not blocks:
                    raise
                break
        return blocks

    try:
        return await engine.look_up(find, then, deadline_s=READ_DEADLINE_S)
    except ChangedError:
        return await engine.look_up(find, then, deadline_s=READ_DEADLINE_S)
