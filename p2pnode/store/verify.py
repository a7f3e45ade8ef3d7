"""Hashing again what is held: files from their beginning to their end, then rows; in steps, so that it can stop anywhere and go on.

What is wrong is marked (`store.tx_damage`) and from then on neither served nor counted as held; what is right again is taken back. It
reads only: a file of the user's is never written to, and what the library lost is mended by `store.repair`. Called by `store.node_store`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dag import verify_block
from p2pnode.errors import ChangedError, TimedOutError
from p2pnode.ports import Place
from p2pnode.store.blocks import OTHER_BYTES, READ_DEADLINE_S, UNREADABLE, Bad, Spot, judged, reason_of, row_spot
from p2pnode.store.database import Engine
from p2pnode.store.rows import joined, path_of
from p2pnode.store.tx import SqliteTx

T = TypeVar("T")

Position = tuple[int, int, int]
"""Where a verification is: (file, offset of the last leaf that was read in it, block row). Files come first, then rows."""
BEGINNING: Position = (0, -1, 0)
FILES_A_STEP = 256
"""Files looked up at a time: a folder of tiny ones is opened file by file anyway."""
ROWS_A_STEP = 2048
"""Rows hashed at a time."""
EMPTY = Cid.of(RAW, b"")
"""Stands for a whole file that has no leaf of its own (an empty one) and is gone."""
SPOTS_A_STEP = 256
"""Damaged places looked at again at a time."""
_END = 1 << 62

_FILES = """SELECT f.id, b.path, f.path, b.owned FROM contents c JOIN bases b ON b.content = c.id JOIN files f ON f.base = b.id
WHERE c.state = 'complete' AND c.root = ? AND f.id >= ? ORDER BY f.id LIMIT ?"""
_ALL_FILES = """SELECT f.id, b.path, f.path, b.owned FROM files f JOIN bases b ON b.id = f.base JOIN contents c ON c.id = b.content
WHERE f.id >= ? AND c.state = 'complete' ORDER BY f.id LIMIT ?"""
_LEAVES = "SELECT cid, offset, length FROM places WHERE file = ? AND offset > ? ORDER BY offset, cid"
_ROWS = """SELECT k.id, k.cid, k.data FROM contents c JOIN refs r ON r.content = c.id JOIN blocks k ON k.id = r.block
WHERE c.root = ? AND k.id > ? ORDER BY k.id LIMIT ?"""
_IS_DAMAGED = "SELECT 1 FROM damage WHERE file = ? LIMIT 1"
_SPOT = """SELECT b.path, f.path FROM places p JOIN files f ON f.id = p.file JOIN bases b ON b.id = f.base
WHERE p.cid = ? AND p.file = ? AND p.offset = ?"""
_ALL_ROWS = "SELECT id, cid, data FROM blocks WHERE id > ? ORDER BY id LIMIT ?"


@dataclass(slots=True)
class Step:
    """What one step reads, and what came out."""

    next: Position | None
    parts: list[list[Spot]] = field(default_factory=list)
    """A file each."""
    rows: list[tuple[Cid, bytes]] = field(default_factory=list)
    bytes: int = 0
    blocks: int = 0
    bad: list[Bad] = field(default_factory=list)


def find_step(
    connection: sqlite3.Connection, library: str, position: Position, root: Cid | None, max_bytes: int
) -> Step:
    """What stands at `position`, about `max_bytes` of it, and where the next step begins."""
    file, offset, row = position
    if file < _END:
        step = _file_step(connection, library, (file, offset), root, max_bytes)
        if step.next is not None:
            return step
        step.next = (_END, -1, row)  # rows follow
        return step
    return _row_step(connection, row, root, max_bytes)


def _file_step(
    connection: sqlite3.Connection, library: str, at: tuple[int, int], root: Cid | None, max_bytes: int
) -> Step:
    step, left = Step(None), max_bytes
    files = (
        connection.execute(_ALL_FILES, (at[0], FILES_A_STEP))
        if root is None
        else connection.execute(_FILES, (root.to_bytes(), at[0], FILES_A_STEP))
    ).fetchall()
    for id, base, path, owned in files:
        begin = at[1] if id == at[0] else -1
        where = joined(os.path.join(library, path_of(base)), path_of(path))
        spots = []
        for cid, offset, length in connection.execute(_LEAVES, (id, begin)):
            spots.append(Spot(Cid.from_bytes(cid), id, Place(where, offset, length, bool(owned))))
            left -= length
            if left <= 0:
                break
        if not spots and begin < 0 and owned and connection.execute(_IS_DAMAGED, (id,)).fetchone() is None:
            spots.append(Spot(EMPTY, id, Place(where, 0, 0, True)))
        step.parts.append(spots)
        if left <= 0:
            step.next = (id, spots[-1].place.offset, 0)
            return step
    if len(files) == FILES_A_STEP:
        step.next = (files[-1][0] + 1, -1, 0)
    return step


def _row_step(connection: sqlite3.Connection, row: int, root: Cid | None, max_bytes: int) -> Step:
    rows = (
        connection.execute(_ALL_ROWS, (row, ROWS_A_STEP))
        if root is None
        else connection.execute(_ROWS, (root.to_bytes(), row, ROWS_A_STEP))
    )
    step, left = Step(None), max_bytes
    for id, cid, data in rows:
        step.rows.append((Cid.from_bytes(cid), data))
        left -= len(data)
        if left <= 0 or len(step.rows) == ROWS_A_STEP:
            step.next = (_END, -1, id)
            break
    return step


def carry_out(step: Step, read: Callable[[Place], bytes]) -> Step:
    """Read and hash; on a thread that may be left behind. `bad` is complete when it returns."""
    for spots in step.parts:
        for spot in spots:
            _check_spot(spot, step, read)
    for cid, data in step.rows:
        step.bytes += len(data)
        step.blocks += 1
        if not verify_block(cid, data):
            step.bad.append(Bad(row_spot(cid, len(data)), OTHER_BYTES))
    return step


def _check_spot(spot: Spot, step: Step, read: Callable[[Place], bytes]) -> None:
    try:
        data = read(spot.place)
    except OSError as error:
        with suppress(OSError):  # a trouble of this process says nothing of the file: it is looked at another day
            step.bad.append(Bad(spot, reason_of(error)))
        return
    right, reason = judged(spot.cid, spot.place.length, data)
    step.bytes += len(data)
    step.blocks += 1
    if right is None:
        step.bad.append(Bad(spot, reason))


async def run_step(
    engine: Engine,
    library: str,
    position: Position,
    root: Cid | None,
    max_bytes: int,
    read: Callable[[Place], bytes],
) -> Step:
    """One step. A mount that does not answer within the deadline is left behind, and its files count as unreadable."""
    found: list[Step] = []

    def find(connection: sqlite3.Connection) -> Step:
        found.append(find_step(connection, library, position, root, max_bytes))
        return found[-1]

    try:
        return await engine.look_up(find, lambda step: carry_out(step, read), deadline_s=READ_DEADLINE_S)
    except TimedOutError:
        if not found:
            raise
        late = found[-1]
        return Step(late.next, bad=[Bad(spot, UNREADABLE) for spots in late.parts for spot in spots])


def still_there(connection: sqlite3.Connection, library: str, bad: Sequence[Bad]) -> list[Spot]:
    """Those of these spots that still are in the index, under the names that their files have now."""
    spots: list[Spot] = []
    for one in bad:
        spot, key = one.spot, (one.spot.cid.to_bytes(), one.spot.file, one.spot.place.offset)
        if spot.file == 0:
            row = connection.execute("SELECT data FROM blocks WHERE cid = ?", key[:1]).fetchone()
            if row and not verify_block(spot.cid, row[0]):
                spots.append(spot)
        elif row := connection.execute(_SPOT, key).fetchone():
            path = joined(os.path.join(library, path_of(row[0])), path_of(row[1]))
            spots.append(replace(spot, place=replace(spot.place, path=path)))
    return spots


def still_bad(spots: Sequence[Spot], read: Callable[[Place], bytes]) -> list[Bad]:
    """Those of these spots whose bytes are still wrong."""
    step = Step(None)
    for spot in spots:
        if spot.file == 0:
            step.bad.append(Bad(spot, OTHER_BYTES))
        else:
            _check_spot(spot, step, read)
    return step.bad


async def look_again(store: _Rows, engine: Engine, root: Cid | None, read: Callable[[Place], bytes]) -> int:
    """Take back what is marked as damaged and is right again; how much it is. A damaged row is mended from a place that holds its bytes."""
    after, mended = 0, 0
    while found := await store.read_rows(lambda tx, _, after=after: tx.damaged_spots(root, after, SPOTS_A_STEP)):  # type: ignore[misc]
        after = found[-1][0]
        spots = [bad.spot for _, bad in found]
        in_files = [spot for spot in spots if spot.file]
        bad = {one.spot for one in await engine.on_disk(lambda spots=in_files: still_bad(spots, read))}  # type: ignore[misc]
        right = [spot for spot in in_files if spot not in bad]
        if right:
            mended += await store.write_rows(lambda tx, _, right=right: tx.mended(right))  # type: ignore[misc]
        for spot in (spot for spot in spots if not spot.file):
            mended += await _mend_row(store, spot.cid)
    return mended


async def _mend_row(store: _Rows, cid: Cid) -> int:
    try:
        data = await store.read_block(cid)
    except (ChangedError, TimedOutError):
        return 0
    return 0 if data is None else await store.write_rows(lambda tx, _: tx.mend_row(cid, data))


class _Rows(Protocol):
    """What of the store is needed here."""

    async def read_rows(self, work: Callable[[SqliteTx, sqlite3.Connection], T]) -> T: ...
    async def write_rows(self, work: Callable[[SqliteTx, sqlite3.Connection], T]) -> T: ...
    async def read_block(self, cid: Cid) -> bytes | None: ...
