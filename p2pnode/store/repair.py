"""Mending what the store owns: the damaged leaves of one content, fetched again and written where they belong.

To whoever fetches it looks like any other fetch (ports.Incoming), whose missing leaves are the damaged ones. Files of the user's are never
written: a content that lies only there is fetched into the library instead. Made by `store.node_store.start_incoming`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.leaf import leaf_data
from p2pnode.errors import RefusedError, StoreError, UsageError
from p2pnode.ports import Content
from p2pnode.store.arrivals import Request
from p2pnode.store.blocks import Spot
from p2pnode.store.choosing import check_floor
from p2pnode.store.database import Engine
from p2pnode.store.incoming import CHECKPOINT_BYTES, pieces_of
from p2pnode.store.library import FileArea
from p2pnode.store.rows import joined, path_of
from p2pnode.store.tx import SqliteTx

MAX_SPOTS = 1 << 20
"""Damaged places of one content that are mended in one go; more wait for the next time (a tebibyte has as many leaves)."""

Transact = Callable[[sqlite3.Connection], SqliteTx]


@dataclass(frozen=True, slots=True)
class Target:
    """An owned file that is mended: its path in the library and in its content, and its size."""

    path: str
    inner: str
    size: int


@dataclass(frozen=True, slots=True)
class Mending:
    """What of one content is to be mended."""

    content: int
    spots: tuple[Spot, ...]
    targets: dict[int, Target]


def plan_mending(tx: SqliteTx, connection: sqlite3.Connection, root: Cid) -> Mending | None:
    """What can be mended where it is: rows, and places in owned files. None: nothing, or a new fetch into the library is needed."""
    row = connection.execute(
        "SELECT id FROM contents WHERE root = ? AND state = 'complete'", (root.to_bytes(),)
    ).fetchone()
    if row is None:
        return None
    found = [bad.spot for _, bad in tx.damaged_spots(root, 0, MAX_SPOTS)]
    spots = tuple(spot for spot in found if spot.place.owned)
    if not spots:
        return None
    return Mending(row[0], spots, {file: _target(connection, file) for file in {spot.file for spot in spots} - {0}})


def _target(connection: sqlite3.Connection, file: int) -> Target:
    base, path, size = connection.execute(
        "SELECT b.path, f.path, f.size FROM files f JOIN bases b ON b.id = f.base WHERE f.id = ?", (file,)
    ).fetchone()
    return Target(joined(path_of(base), path_of(path)), path_of(path), size)


class RepairIncoming:
    """ports.Incoming. Calls from several tasks take turns."""

    def __init__(
        self,
        mending: Mending,
        request: Request,
        engine: Engine,
        area: FileArea,
        transact: Transact,
        floor_bytes: int,
    ) -> None:
        self._mending, self._request = mending, request
        self._engine, self._area, self._transact, self._floor_bytes = engine, area, transact, floor_bytes
        interior = {cid for cid, _ in request.blocks}
        self._spots: dict[Cid, list[Spot]] = {}
        for spot in mending.spots:
            if spot.cid not in interior and spot.place.length:
                self._spots.setdefault(spot.cid, []).append(spot)
        self._missing = dict.fromkeys(self._spots)
        self._arrived: list[tuple[Cid, bytes]] = []
        self._arrived_bytes = 0
        self._lock = trio.Lock()

    @property
    def missing(self) -> list[Cid]:
        return list(self._missing)

    @property
    def chosen(self) -> frozenset[int]:
        return frozenset(range(len(self._request.files)))

    def lacks(self, cid: Cid) -> bool:
        return cid in self._missing

    async def begin(self) -> None:
        """Rows of the skeleton first: whoever fetches has them already, verified."""
        await self._engine.write(
            lambda connection: self._transact(connection).add_blocks(self._mending.content, self._request.blocks)
        )

    async def put_leaf(self, cid: Cid, data: bytes) -> None:
        """UsageError for a leaf that this content has not; RefusedError for a wrong length."""
        async with self._lock:
            if cid not in self._missing:
                if cid in self._spots or cid in self._request.wanted:
                    return
                raise UsageError(f"{cid} is no leaf of {self._request.root}")
            spot = self._spots[cid][0]
            length, came = spot.place.length, len(leaf_data(cid, data) if spot.file else data)
            if came != length:
                raise RefusedError(f"leaf {cid} has {came} bytes where its tree says {length}")
            del self._missing[cid]
            self._arrived.append((cid, bytes(data)))
            self._arrived_bytes += length
            if self._arrived_bytes >= CHECKPOINT_BYTES:
                await self._save()

    async def checkpoint(self) -> None:
        async with self._lock:
            await self._save()

    async def choose(self, files: Collection[int]) -> None:
        """Every damaged leaf is missing from the start."""

    async def finish(self, files: Collection[int] | None = None) -> Content:
        """All that was damaged, whatever `files` says."""
        async with self._lock:
            if self._missing:
                raise StoreError(f"{len(self._missing)} damaged leaves are missing", hint="fetch them first")
            await self._save()
            await self._engine.read(self._fill)
            whole = [spot for spot in self._mending.spots if spot.file and not spot.place.length]
            content = await self._engine.write(lambda connection: self._end(connection, whole))
            if content is None:
                raise StoreError("this content was forgotten while it was mended", hint="fetch it again")
            return content

    async def _save(self) -> None:
        """Bytes first, then the rows that say so."""
        if not self._arrived:
            return
        await self._engine.on_disk(self._write)
        await self._engine.write(self._note)
        self._arrived, self._arrived_bytes = [], 0

    def _write(self) -> None:
        check_floor(self._area, self._floor_bytes, 0)
        paths = set()
        for cid, data in self._arrived:
            for spot in self._spots[cid]:
                if spot.file:
                    target = self._mending.targets[spot.file]
                    self._area.write(
                        target.path, target.size, [(spot.place.offset, leaf_data(cid, data))], finished=True
                    )
                    paths.add(target.path)
        if paths:
            self._area.sync(sorted(paths))

    def _note(self, connection: sqlite3.Connection) -> None:
        tx = self._transact(connection)
        rows = [(cid, data) for cid, data in self._arrived if any(not spot.file for spot in self._spots[cid])]
        tx.add_blocks(self._mending.content, rows)
        tx.mended(spot for cid, _ in self._arrived for spot in self._spots[cid])

    def _fill(self, connection: sqlite3.Connection) -> None:
        """What has no place of its own in the mended files: inline bytes, small leaves of older fetches, files without bytes."""
        wanted = {file.path: file for file in self._request.files}
        paths = []
        for target in self._mending.targets.values():
            file = wanted.get(target.inner)
            pieces: Iterable[tuple[int, bytes]] = () if file is None else pieces_of(connection, file)
            self._area.write(target.path, target.size, pieces, finished=True)
            paths.append(target.path)
        if paths:
            self._area.sync(sorted(paths))

    def _end(self, connection: sqlite3.Connection, whole: Sequence[Spot]) -> Content | None:
        tx = self._transact(connection)
        tx.mended(whole)
        return tx.content(self._request.root)
