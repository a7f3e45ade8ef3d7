"""The store as the services see it (ports.Store), over any engine and any file area.

`store.sqlite` opens it on SQLite files and a library folder, `store.memory` wholly in memory: what both do the same stands here.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar
from weakref import WeakValueDictionary

import trio

from p2pnode.core.cid import Cid
from p2pnode.errors import ChangedError, NoRoomError, StoreError, TimedOutError
from p2pnode.ports import Checked, Content, Damage, Incoming, Place, Tx, WallClock, WantedFile
from p2pnode.store import arrivals, recovery
from p2pnode.store.addresses import PeerAddresses
from p2pnode.store.blocks import READ_DEADLINE_S, Bad, read_blocks, read_place
from p2pnode.store.database import Engine
from p2pnode.store.incoming import Plan, StoreIncoming
from p2pnode.store.library import FileArea
from p2pnode.store.providers import ProviderTable
from p2pnode.store.repair import RepairIncoming, plan_mending
from p2pnode.store.sizes import public_sizes
from p2pnode.store.tx import SqliteTx
from p2pnode.store.verify import Position, look_again, run_step, still_bad, still_there

log = logging.getLogger("p2pnode.store")

T = TypeVar("T")

MAX_USED = 4096
"""Blocks remembered as used until that is brought to the disk: enough to tell which works are."""
VACUUM_PAGES = 20_000
"""Pages (4 KiB) given back to the disk after one deletion: bounds the pause; the rest follows with the next."""


class NodeStore:
    """ports.Store, with the address book and provider records of the same database. `read_from` reads the bytes at a place."""

    def __init__(
        self,
        engine: Engine,
        area: FileArea,
        clock: WallClock,
        *,
        quota_bytes: int,
        floor_bytes: int,
        read_from: Callable[[Place], bytes] = read_place,
    ) -> None:
        self.engine = engine
        self._area = area
        self._clock = clock
        self._quota_bytes = quota_bytes
        self._floor_bytes = floor_bytes
        self._read_from = read_from
        self._starting = trio.Lock()
        self._naming = trio.Lock()
        self.address_book = PeerAddresses(engine, clock)
        self.provider_records = ProviderTable(engine)
        self._arriving: WeakValueDictionary[Cid, StoreIncoming] = WeakValueDictionary()
        self._used: dict[Cid, None] = {}
        self._make_room: Callable[[int, Cid], Awaitable[bool]] | None = None
        self._tell_damage: Callable[[Sequence[Damage]], None] = lambda damage: None

    async def write(self, work: Callable[[Tx], T], *, durable: bool = True) -> T:
        return await self.write_rows(lambda tx, _: work(tx), durable=durable)

    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self.engine.read(lambda connection: work(self._tx(connection)))

    def read_in_thread(self, work: Callable[[Tx], T]) -> T:
        return self.engine.read_in_thread(lambda connection: work(self._tx(connection)))

    async def read_block(self, cid: Cid, *, public_only: bool = False) -> bytes | None:
        return (await self.read_blocks([cid], public_only=public_only, max_bytes=1))[0]

    async def read_blocks(
        self, cids: Sequence[Cid], *, public_only: bool = False, max_bytes: int
    ) -> list[bytes | None]:
        area, read = self._area.root, self._read_from
        self._note(cids[:1])
        return await read_blocks(
            self.engine, area, cids, public_only=public_only, max_bytes=max_bytes, read=read, suspect=self._suspect
        )

    async def public_sizes(self, cids: Sequence[Cid]) -> list[int | None]:
        return await self.engine.read(lambda connection: public_sizes(connection, cids))

    async def start_incoming(
        self,
        root: Cid,
        name: str,
        blocks: Iterable[tuple[Cid, bytes]],
        files: Sequence[WantedFile],
        *,
        folders: Sequence[str] = (),
        chosen: Collection[int] | None = None,
    ) -> Incoming:
        self._note([root])
        request = arrivals.Request.checked(root, name, blocks, files, folders, chosen)
        try:
            return await self._start(request)
        except NoRoomError as error:
            if self._make_room is None or not await self._make_room(error.needed_bytes, root):
                raise
            return await self._start(request)

    async def _start(self, request: arrivals.Request) -> Incoming:
        incoming: Incoming
        async with self._starting:
            complete = await self.read_rows(lambda tx, _: arrivals.finished_copy(tx, request.root))
            if complete:
                return FinishedIncoming(complete)
            mending = await self.read_rows(lambda tx, connection: plan_mending(tx, connection, request.root))
            if mending is not None:
                incoming = repair = RepairIncoming(
                    mending, request, self.engine, self._area, self._tx, self._floor_bytes
                )
                await repair.begin()
            elif (running := await self._running(request)) is not None:
                await running.choose(request.chosen)
                running.name = request.name
                return running
            else:
                incoming = self._arriving[request.root] = await self._begin(request)
        await self._copy_held(incoming)
        return incoming

    async def _running(self, request: arrivals.Request) -> StoreIncoming | None:
        """The fetch of this root that somebody holds already, if its rows are still there."""
        running = self._arriving.get(request.root)
        if running is None or running.broken or running.plan.files != request.files:
            return None
        alive = await self.read_rows(lambda tx, _: any(c.id == running.plan.id for c in tx.contents("partial")))
        return running if alive else None

    async def _begin(self, request: arrivals.Request) -> StoreIncoming:
        def plan(tx: SqliteTx, connection: sqlite3.Connection) -> Plan:
            return arrivals.plan_arrival(tx, connection, request, self._area, self._floor_bytes)

        planned = await self.write_rows(plan)
        lost = await self.engine.on_disk(lambda: arrivals.prepare(planned, self._area))
        if lost:
            await self.engine.write(lambda connection: arrivals.drop_lost(connection, lost))
            planned = await self.write_rows(plan)
        return StoreIncoming(planned, self.engine, self._area, self._tx, self._naming)

    async def _copy_held(self, incoming: Incoming) -> None:
        """Leaves that lie in another content are copied, not fetched: a fetched work rests on nothing but itself."""
        missing = incoming.missing
        held = await self.read(lambda tx: tx.has(missing))
        for cid in [cid for cid in missing if cid in held]:
            with suppress(ChangedError, TimedOutError):  # changed or unreadable here: then it is fetched
                data = await self.read_block(cid)
                if data is not None:
                    await incoming.put_leaf(cid, data)

    def when_full(self, make_room: Callable[[int, Cid], Awaitable[bool]]) -> None:
        self._make_room = make_room

    def watch_damage(self, tell: Callable[[Sequence[Damage]], None]) -> None:
        self._tell_damage = tell

    def free_bytes(self) -> int:
        try:
            return self._area.free_bytes()
        except OSError:
            return 0

    def _note(self, cids: Sequence[Cid]) -> None:
        """These were read, served or fetched just now; `note_used` brings it to the disk."""
        if len(self._used) < MAX_USED:
            self._used.update(dict.fromkeys(cids))

    async def note_used(self) -> None:
        used, self._used = list(self._used), {}
        now = self._clock()
        if used:
            await self.write_rows(lambda tx, _: tx.note_used(used, now), durable=False)

    async def verify_some(self, position: Position, *, root: Cid | None, max_bytes: int) -> Checked:
        step = await run_step(self.engine, self._area.root, position, root, max_bytes, self._read_from)
        damaged = await self._mark(step.bad)
        return Checked(step.next, step.bytes, step.blocks, tuple(damaged), 0)

    async def look_again(self, root: Cid | None) -> int:
        return await look_again(self, self.engine, root, self._read_from)

    async def _suspect(self, bad: Sequence[Bad]) -> None:
        """Something was read that is not right. Looked at once more, since files are renamed when a fetch ends; then marked."""
        again = await self.engine.look_up(
            lambda connection: still_there(connection, self._area.root, bad),
            lambda spots: still_bad(spots, self._read_from),
            deadline_s=READ_DEADLINE_S,
        )
        try:
            await self._mark(again)
        except StoreError as error:  # a full disk must not keep anybody from reading
            log.warning("damage could not be noted: %s", error.message)

    async def _mark(self, bad: Sequence[Bad]) -> list[Damage]:
        if not bad:
            return []
        now = self._clock()
        damaged = await self.write_rows(lambda tx, _: tx.mark_damaged(bad, now))
        if damaged:
            self._tell_damage(damaged)
        return damaged

    async def write_rows(self, work: Callable[[SqliteTx, sqlite3.Connection], T], *, durable: bool = True) -> T:
        """A transaction for the store's own parts, with the bare connection. Frees what it dropped once it is committed."""
        freed = False

        def run(connection: sqlite3.Connection) -> T:
            nonlocal freed
            tx = self._tx(connection)
            result = work(tx, connection)
            freed = tx.freed
            return result

        result = await self.engine.write(run, durable=durable)
        if freed:
            await self._give_back()
        return result

    async def read_rows(self, work: Callable[[SqliteTx, sqlite3.Connection], T]) -> T:
        """A snapshot for the store's own parts."""
        return await self.engine.read(lambda connection: work(self._tx(connection), connection))

    async def recover(self) -> None:
        """Take up what a crash cut short; called when the store opens."""
        await self.write_rows(lambda tx, connection: recovery.recover(tx, connection, self._area))
        await self._give_back()  # also what a kill kept from being unlinked
        for name in await self.engine.read(lambda connection: recovery.stray_names(connection, self._area)):
            await self.engine.on_disk(lambda name=name: self._area.remove_tree(name))  # type: ignore[misc]

    async def _give_back(self) -> None:
        """After a deletion was committed: unlink its files, give free pages back. A caller who is cancelled leaves the rest for later."""
        while paths := await self.engine.read(recovery.trash):
            await self._remove(paths)
        await self.engine.write(_vacuum, durable=False)

    async def _remove(self, paths: Sequence[str]) -> None:
        await self.engine.on_disk(lambda: self._area.unlink(paths))
        await self.engine.write(lambda connection: recovery.empty_trash(connection, paths), durable=False)

    def _tx(self, connection: sqlite3.Connection) -> SqliteTx:
        return SqliteTx(connection, library=self._area.root, quota_bytes=self._quota_bytes)


class FinishedIncoming:
    """ports.Incoming of a content that lies complete in the library already."""

    def __init__(self, content: Content) -> None:
        self._content = content

    @property
    def missing(self) -> list[Cid]:
        return []

    @property
    def chosen(self) -> frozenset[int]:
        return frozenset()

    def lacks(self, cid: Cid) -> bool:
        return False

    async def put_leaf(self, cid: Cid, data: bytes) -> None:
        pass

    async def checkpoint(self) -> None:
        pass

    async def choose(self, files: Collection[int]) -> None:
        pass

    async def finish(self, files: Collection[int] | None = None) -> Content:
        return self._content


def _vacuum(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
