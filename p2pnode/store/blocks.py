"""Reading blocks: each from its row, or from one of the places in files where it lies; hashed before anybody sees it.

A file that was published in place belongs to its user and may change, shrink or vanish at any moment. So bytes are read into a buffer
of our own and that buffer is hashed: wrong bytes are never returned. What turns out to be wrong is looked at once more and then marked
(`store.damage`), so that it is not tried again. Never maps a file, never follows a link at its end.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.leaf import block_around, block_bytes
from p2pnode.errors import ChangedError, StoreError
from p2pnode.ports import Place
from p2pnode.store.database import Engine
from p2pnode.store.rows import joined, path_of

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
MEND = "mend it from peers: p2pnode verify --repair"
_IS_PUBLIC = "c.public = 1 AND c.state <> 'building'"
_ROW = """SELECT data FROM blocks WHERE cid = ?1
AND NOT EXISTS (SELECT 1 FROM damage d WHERE d.cid = ?1 AND d.file = 0)"""
_PUBLIC_ROW = f"""{_ROW} AND EXISTS (SELECT 1 FROM refs r JOIN contents c ON c.id = r.content
WHERE r.block = blocks.id AND {_IS_PUBLIC})"""
_JOINED = "FROM places p JOIN files f ON f.id = p.file JOIN bases b ON b.id = f.base"
_PLACES = f"SELECT p.file, b.path, f.path, p.offset, p.length, b.owned {_JOINED} WHERE p.cid = ? LIMIT {MAX_PLACES}"
_PUBLIC_PLACE = f"SELECT 1 {_JOINED} JOIN contents c ON c.id = b.content WHERE p.cid = ? AND {_IS_PUBLIC} LIMIT 1"
_DAMAGED = """SELECT b.path, f.path, b.owned FROM damage d LEFT JOIN files f ON f.id = d.file LEFT JOIN bases b ON b.id = f.base
WHERE d.cid = ? ORDER BY d.file DESC LIMIT 1"""

GONE, SHORT, OTHER_BYTES, UNREADABLE = "gone", "short", "changed", "unreadable"
"""What can be wrong with bytes that should be held: no file, too few bytes, other bytes, an error of the disk."""
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN})
"""Troubles of this process and not of the file: nothing is said of the file's bytes then."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One place of a leaf, with the row of its file. File 0: the block's own row in the database."""

    cid: Cid
    file: int
    place: Place


@dataclass(frozen=True, slots=True)
class Bad:
    """A spot whose bytes are not the block's, and what is wrong with it."""

    spot: Spot
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the index says of one block; neither a row nor spots = not held. `damaged` says where it was held before."""

    row: bytes | None = None
    spots: tuple[Spot, ...] = ()
    damaged: Place | None = None

    @property
    def places(self) -> list[Place]:
        return [spot.place for spot in self.spots]

    @property
    def size(self) -> int:
        """Bytes of the block, 0 if it is not held."""
        return (
            len(self.row)
            if self.row is not None
            else sum(block_bytes(spot.cid, spot.place.length) for spot in self.spots[:1])
        )


def find_block(connection: sqlite3.Connection, cid: Cid, library: str, *, public_only: bool) -> Found:
    """Where a block lies. With `public_only` only if a public content holds it; its bytes may then come from any place."""
    key = (cid.to_bytes(),)
    row = connection.execute(_PUBLIC_ROW if public_only else _ROW, key).fetchone()
    if row:
        return Found(row=row[0])
    if public_only and connection.execute(_PUBLIC_PLACE, key).fetchone() is None:
        return Found()
    spots = (
        Spot(cid, file, Place(joined(os.path.join(library, path_of(base)), path_of(path)), offset, length, bool(owned)))
        for file, base, path, offset, length, owned in connection.execute(_PLACES, key)
    )
    found = Found(spots=tuple(sorted(spots, key=lambda spot: not spot.place.owned)))
    if found.spots or public_only:
        return found
    return Found(damaged=_damaged_place(connection, key, library))


def _damaged_place(connection: sqlite3.Connection, key: tuple[bytes], library: str) -> Place | None:
    row = connection.execute(_DAMAGED, key).fetchone()
    if row is None:
        return None
    base, path, owned = row
    where = "" if base is None else joined(os.path.join(library, path_of(base)), path_of(path))
    return Place(where, 0, 0, bool(owned) or base is None)


def verified(cid: Cid, found: Found, read: Callable[[Place], bytes], bad: list[Bad]) -> bytes | None:
    """The block's bytes from the first source that still has them; what was wrong on the way goes into `bad`.

    ChangedError if every source has gone bad; None if there is none.
    """
    if found.row is not None:
        if verify_block(cid, found.row):
            return found.row
        bad.append(Bad(row_spot(cid, len(found.row)), OTHER_BYTES))
        raise _bad_row(cid)
    trouble: OSError | None = None
    for spot in found.spots:
        try:
            data, reason = read_spot(spot, read)
        except OSError as error:
            trouble = error
            continue
        if data is not None:
            return data
        bad.append(Bad(spot, reason))
    if trouble is not None:
        raise StoreError(f"{found.spots[0].place.path}: {trouble.strerror}", hint="try again in a moment") from trouble
    worst = found.places[0] if found.spots else found.damaged
    if worst is None:
        return None
    if not worst.path:
        raise _bad_row(cid)
    raise ChangedError(f"{worst.path} no longer holds what was published", hint=MEND if worst.owned else None)


def _bad_row(cid: Cid) -> ChangedError:
    return ChangedError(f"block {cid} in the database is damaged", hint=MEND)


def row_spot(cid: Cid, length: int) -> Spot:
    """The block's row in the database, as a spot."""
    return Spot(cid, 0, Place("", 0, length, True))


def read_spot(spot: Spot, read: Callable[[Place], bytes]) -> tuple[bytes | None, str]:
    """(the block's bytes, "") or (None, what is wrong). OSError for a trouble that says nothing about the file."""
    try:
        data = read(spot.place)
    except OSError as error:
        return None, reason_of(error)
    return judged(spot.cid, spot.place.length, data)


def judged(cid: Cid, length: int, data: bytes) -> tuple[bytes | None, str]:
    """As `read_spot`, of bytes that were read: of a dag-pb leaf those of the file, and its node is made again around them."""
    if len(data) == length and (block := block_around(cid, data)) is not None:
        return block, ""
    return None, SHORT if len(data) < length else OTHER_BYTES


def reason_of(error: OSError) -> str:
    """What an error says about the file. Raises it again when it says nothing about it."""
    if error.errno in _PASSING:
        raise error
    return GONE if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) else UNREADABLE


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
    suspect: Callable[[Sequence[Bad]], Awaitable[None]],
) -> list[bytes | None]:
    """ports.Store.read_blocks. What is wrong goes to `suspect`, and then it looks again: there may be another place.

    A fetch that finishes in between renames its files, which looks like a missing file for a moment.
    """

    def find(connection: sqlite3.Connection) -> list[tuple[Cid, Found]]:
        found: list[tuple[Cid, Found]] = []
        size = 0
        for cid in cids:
            found.append((cid, find_block(connection, cid, library, public_only=public_only)))
            size += found[-1][1].size
            if size >= max_bytes:
                break
        return found

    bad: list[Bad] = []

    def then(found: list[tuple[Cid, Found]]) -> list[bytes | None]:
        blocks: list[bytes | None] = []
        for cid, where in found:
            try:
                blocks.append(verified(cid, where, read, bad))
            except StoreError:
                if not blocks:
                    raise
                break
        return blocks

    try:
        return await engine.look_up(find, then, deadline_s=READ_DEADLINE_S)
    except ChangedError:
        if not bad:
            raise
    finally:
        if bad:
            await suspect(bad)
    bad = []
    return await engine.look_up(find, then, deadline_s=READ_DEADLINE_S)
