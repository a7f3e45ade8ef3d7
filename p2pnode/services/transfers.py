"""The journey "get": from a work or a bare CID to verified files on this disk, and the list of what is under way.

A transfer belongs to the node, not to who asked: it goes on when a client closes, and after a restart, unless it is paused. Asking
again for the same content joins the transfer that runs. What was verified stays when one is cancelled.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import WORK_PREFIX, PeerId, id_text, split_text
from p2pnode.core.search_messages import PROTOCOL as SEARCH_PROTOCOL
from p2pnode.errors import (
    ChangedError,
    DecodeError,
    FullDiskError,
    NetworkError,
    NoRoomError,
    NotFoundError,
    P2pnodeError,
    RefusedError,
    TimedOutError,
)
from p2pnode.ports import Content, Emit, Json, Network, Store, Traffic, Tx, WallClock, Work
from p2pnode.services.background import contained
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.export import export
from p2pnode.services.fetch import Fetching
from p2pnode.services.ipfs import Ipfs
from p2pnode.services.lens import refuse_blocked
from p2pnode.services.outbox import PROVIDE, enqueue_work, root_key
from p2pnode.services.running import OnProgress, Remembered, Running, key_of, limit_of
from p2pnode.services.search import Search
from p2pnode.services.selection import Selection, both
from p2pnode.services.telling import differences, in_words
from p2pnode.services.transfer import Mode, Transfer, no_limit
from p2pnode.services.walk import read_skeleton

log = logging.getLogger("p2pnode.transfers")

KEPT_FINISHED = 100
"""Finished transfers that are still shown."""
MAX_RUNNING = 16
"""Transfers at a time: each has its own providers and buffers. Others wait for their turn."""
MAX_LISTED = 1000
"""Unfinished transfers, paused and waiting ones too: each is a row in every list."""
NEIGHBOURS_ASKED = 8
"""Connected peers that are asked although nobody said that they have it: a want list of one block is cheap."""
ROOM_RETRY_S = 60.0
"""Seconds before a transfer that ran out of room looks whether there is some again."""
WANTED = "wanted/"
"""Prefix of the meta keys under which unfinished transfers are remembered."""


class Transfers:
    """Every fetch of this node."""

    def __init__(
        self,
        store: Store,
        network: Network,
        search: Search,
        clock: WallClock,
        emit: Emit,
        wake_outbox: Callable[[], None],
        limited: Callable[[], str] = no_limit,
        ipfs: Ipfs | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """`limited` says in words by what rate the node is held back now, if it is. With `ipfs` others than p2pnodes are asked too.
        With `traffic` transfers wait while it says so."""
        self._traffic = traffic
        self._ipfs = ipfs
        self._store, self._network, self._search = store, network, search
        self._clock, self._emit, self._wake_outbox, self._limited = clock, emit, wake_outbox, limited
        self._running: dict[Cid, Running] = {}
        self._finished: list[Transfer] = []
        self._places = trio.Semaphore(MAX_RUNNING)
        self._count = 0
        self._nursery: trio.Nursery | None = None

    async def start(self, nursery: trio.Nursery) -> None:
        """Transfers run in `nursery`; those that a stop interrupted go on."""
        self._nursery = nursery
        for key, value in await self._store.read(lambda tx: tx.meta_with_prefix(WANTED)):
            try:
                await self._take_up(Cid.parse(key.removeprefix(WANTED)), Remembered.from_bytes(value))
            except P2pnodeError as error:
                log.warning("an unfinished transfer cannot go on: %s", error)

    async def _take_up(self, root: Cid, remembered: Remembered) -> None:
        def known(tx: Tx) -> list[Work]:
            return [work for id in remembered.works if (work := tx.work(id)) is not None]

        works = await self._store.read(known)
        running = self._begin(root, works[0] if works else None, remembered.only, "get", paused=remembered.paused)
        running.by_cid = remembered.by_cid or not works
        for work in works:
            running.joined(work)
        running.transfer.last_seen = running.remembered_seen = remembered.last_seen

    # ------------------------------------------------------------ what is under way

    def is_running(self, root: Cid) -> bool:
        """Whether that content is being fetched now."""
        return root in self._running

    def fetching(self, root: Cid) -> Fetching | None:
        """The fetch of that content, if it runs now."""
        running = self._running.get(root)
        return None if running is None or running.paused else running.fetching

    def shown(self) -> list[Json]:
        """All that are unfinished, then the finished ones, newest first."""
        running = [running.transfer.json() for running in self._running.values()]
        return running + [transfer.json() for transfer in reversed(self._finished)]

    async def cancel(self, transfer: str) -> None:
        """Give it up; what was verified is kept. NotFoundError if no such transfer runs."""
        running = self._find(transfer)
        running.cancelled = True
        running.scope.cancel()
        await running.over.wait()

    async def pause(self, transfer: str) -> None:
        """Stop it until it is resumed, after a restart too. Nothing happens if it is paused already."""
        running = self._find(transfer)
        if running.transfer.mode == "read" and not running.wanted:
            raise RefusedError("this is being read, not fetched", hint="stop the program that reads it")
        if not running.paused:
            running.paused = True
            running.resumed = trio.Event()
            running.scope.cancel()
            running.transfer.say("paused", "paused by you")
            await self._remember(running)

    async def resume(self, transfer: str) -> None:
        """Go on with one that was paused. Nothing happens if it runs."""
        running = self._find(transfer)
        if running.paused:
            running.paused = False
            await self._remember(running)
            running.resumed.set()

    def _find(self, transfer: str) -> Running:
        for running in self._running.values():
            if running.transfer.id == transfer:
                return running
        raise NotFoundError(f"no transfer {transfer!r} is running", hint="see: p2pnode transfers")

    def hold(self) -> None:
        """A budget is used up: what runs stops, and goes on by itself when there is a new one."""
        for running in self._running.values():
            if not running.paused and not running.cancelled:
                running.scope.cancel()

    # ------------------------------------------------------------ getting

    async def get(
        self,
        text: str,
        path: str | None,
        *,
        on_progress: OnProgress,
        only: Selection = None,
        timeout_s: float = math.inf,
    ) -> Json:
        """Fetch (or find here) all of it or what is chosen, and, with `path`, put a copy there. The answer of `p2pnode get`.

        TimedOutError when it is not complete within `timeout_s`: the transfer itself goes on.
        """
        if path is not None and await trio.to_thread.run_sync(os.path.lexists, path):
            raise RefusedError(f"{path} exists already", hint="give another -o PATH; nothing is overwritten")
        root, work = await self.resolve(text)
        content = await self._held(root, work)
        providers = 0
        if content is None:
            running = self._join(root, work, only)
            with trio.move_on_after(timeout_s):
                content = await self._wait(running, work, on_progress)
            if content is None:
                raise TimedOutError(
                    f"not complete after {timeout_s:g} s: {running.transfer.reason()}",
                    hint="it goes on in the node; look at it, pause it or cancel it with: p2pnode transfers",
                )
            providers = len(running.transfer.used_providers)
        return await self._answer(content, root, work, path, only, providers)

    async def _answer(
        self, content: Content, root: Cid, work: Work | None, path: str | None, only: Selection, providers: int
    ) -> Json:
        answer: Json = {"path": content.base, "bytes": content.size, "providers": providers, "cid": str(root)}
        if path is not None:
            exported = await export(self._store, root, path, only=only)
            answer |= {"path": path, "bytes": exported.size}
        if path is not None or content.owned:  # else it lies where it was published from, with everything it has
            answer |= differences(await read_skeleton(self._store, root), only)
        if only is not None:
            answer |= {"only": list(only), "state": content.state}
        if work is not None:
            answer |= {"work": id_text(WORK_PREFIX, work.id), "title": work.title}
        return answer

    async def resolve(self, text: str) -> tuple[Cid, Work | None]:
        """The root that a work's id or a CID stands for, and the work. NotFoundError: it is neither, or nobody knows it."""
        if split_text(text) is None:
            try:
                root = Cid.parse(text)
            except DecodeError as error:
                raise NotFoundError(
                    f"{text!r} is neither a work nor a CID", hint="find one with: p2pnode search"
                ) from error
            works = await self._store.read(lambda tx: tx.works_with_root(root))
            return root, works[0] if works else None
        work = await self._search.find(text)
        await self._store.read(lambda tx: refuse_blocked(tx, work.id))
        return work.root, work

    async def _held(self, root: Cid, work: Work | None) -> Content | None:
        content = await self._store.read(lambda tx: tx.content(root))
        if content is not None and content.damaged and not content.public:  # asking for it would tell others of it
            raise ChangedError("this is private, and some of it has changed or is damaged: nobody else is asked for it")
        if content is None or content.state != "complete":
            return None
        if work is not None and work.state == "heard":
            await self._keep(root, [work])
        return content

    async def _wait(self, running: Running, work: Work | None, on_progress: OnProgress) -> Content:
        running.watchers.append(on_progress)
        try:
            await running.complete.wait()
        finally:
            running.watchers.remove(on_progress)
        if running.error is not None:
            raise running.error
        if running.content is None:
            raise RefusedError("the transfer was cancelled", hint="what came is kept; get it again to go on")
        if running.content.size > limit_of(work):
            raise RefusedError(
                f"this content has {running.content.size} bytes; its manifest says that it has at most {limit_of(work)}"
            )
        return running.content

    @asynccontextmanager
    async def reading(
        self, root: Cid, work: Work | None, on_progress: OnProgress | None = None
    ) -> AsyncIterator[Fetching]:
        """What is not here of that content can be had while this lasts. RefusedError if its transfer is paused."""
        running = self._running.get(root)
        if running is None:
            running = self._begin(root, work, (), "read")
        if running.paused:
            raise RefusedError(
                "this is not here in full, and its transfer is paused",
                hint=f"go on with: p2pnode transfers resume {running.transfer.id}",
            )
        watchers = [] if on_progress is None else [on_progress]
        running.watchers += watchers
        try:
            with running.fetching.reading():
                yield running.fetching
        finally:
            for watcher in watchers:
                running.watchers.remove(watcher)

    # ------------------------------------------------------------ the life of one

    def _join(self, root: Cid, work: Work | None, only: Selection) -> Running:
        running = self._running.get(root)
        if running is None:
            return self._begin(root, work, only, "get")
        running.joined(work)
        if running.complete.is_set():  # what was chosen before is there, and somebody reads on
            running.complete, running.content = trio.Event(), None
        running.only = both(running.only, only) if running.wanted else only
        running.wanted, running.transfer.mode, running.transfer.only = True, "get", running.only
        running.fetching.choose(only)
        if running.paused:  # who asks for it again wants it
            running.paused = False
            running.resumed.set()
        if self._nursery is not None:
            self._nursery.start_soon(contained, self._remember, running)
        return running

    def _begin(self, root: Cid, work: Work | None, only: Selection, mode: Mode, *, paused: bool = False) -> Running:
        if self._nursery is None or len(self._running) >= MAX_LISTED:
            raise RefusedError(f"{MAX_LISTED} transfers are unfinished", hint="cancel some: p2pnode transfers")
        self._count += 1
        transfer = Transfer(
            f"t-{self._count}",
            root,
            clock=self._clock,
            work=None if work is None else id_text(WORK_PREFIX, work.id),
            title=str(root) if work is None else work.title,
            mode=mode,
            listener=lambda transfer: self._told(running),
            limited=self._limited,
        )
        transfer.only = only if mode == "get" else None
        works = {} if work is None else {work.id: work}
        running = Running(transfer, self._fetching(root, transfer, lambda: running), only, mode == "get", works)
        running.by_cid, running.paused = work is None, paused
        running.fetching.allow(running.max_bytes)
        self._running[root] = running
        self._nursery.start_soon(contained, self._run, running)
        return running

    def _fetching(self, root: Cid, transfer: Transfer, running: Callable[[], Running]) -> Fetching:
        async def complete(content: Content) -> None:
            await self._complete(running(), content)

        return Fetching(
            self._network,
            self._store,
            root,
            transfer.title,
            find_more=lambda: self._providers(running()),
            transfer=transfer,
            on_complete=complete,
            only=(),
            max_bytes=0,
            bitswap=None if self._ipfs is None else self._ipfs.bitswap,
        )

    def _told(self, running: Running) -> None:
        shown = running.transfer.json()
        self._emit("transfer.progress", shown)
        for watcher in list(running.watchers):
            watcher(shown)
        seen = running.transfer.last_seen
        if running.transfer.state == "waiting" and running.remembered_seen != seen and self._nursery is not None:
            running.remembered_seen = seen
            self._nursery.start_soon(contained, self._remember, running)

    async def _run(self, running: Running) -> None:
        try:
            while await self._once(running):
                pass
        except P2pnodeError as error:
            running.error = error
            running.transfer.say("failed", in_words(error))
            await self._forget(running)  # may fail too, on a full disk: then the next start tries it once more
        finally:
            del self._running[running.transfer.root]
            self._finished = [*self._finished, running.transfer][-KEPT_FINISHED:]
            running.complete.set()
            running.over.set()

    async def _once(self, running: Running) -> bool:
        """Fetch until it ends, is paused or is cancelled; whether it may go on."""
        with running.scope:
            try:
                await self._until_done(running)
                return False
            except (NoRoomError, FullDiskError) as error:
                if running.transfer.last_seen is None:
                    raise  # nothing came yet: who asked for it hears at once that it does not fit
                running.transfer.say("queued", f"waits for room, and looks every minute: {in_words(error)}")
                await trio.sleep(ROOM_RETRY_S)
        if running.cancelled:
            running.transfer.say("cancelled", "cancelled; what came is kept")
            await self._forget(running)
            return False
        running.scope = trio.CancelScope()
        running.fetching = self._fetching(running.transfer.root, running.transfer, lambda: running)
        return True

    async def _until_done(self, running: Running) -> None:
        await self._remember(running)
        if running.paused:
            running.transfer.say("paused", "paused by you")
            await running.resumed.wait()
        if self._traffic is not None and (reason := self._traffic.waiting_reason()):
            running.transfer.say("queued", reason)
            await self._traffic.allowed()
        await self._fetch(running)
        self._say_done(running)

    async def _fetch(self, running: Running) -> None:
        transfer = running.transfer
        if running.wanted:
            running.fetching.choose(running.only)
        running.fetching.allow(running.max_bytes)
        if self._places.value == 0:
            transfer.say("queued", f"waits for its turn: {MAX_RUNNING} transfers run already")
        async with self._places:
            transfer.say("finding", "looking for providers")
            heard = [peer for work in running.works for peer in self._search.heard_from(work)]
            await running.fetching.run(heard)

    def _say_done(self, running: Running) -> None:
        count = len(running.transfer.used_providers)
        source = f"from {count} provider{'' if count == 1 else 's'}"
        if not running.wanted:
            running.transfer.say("done", f"read, {source}; what came is kept for a while")
        elif running.content is not None and running.content.state == "complete":
            running.transfer.say("done", f"complete, {source}")
        else:
            running.transfer.say("done", f"what was chosen is complete, {source}")

    async def _complete(self, running: Running, content: Content) -> None:
        """Everything that was chosen is on the disk."""
        if not running.wanted:
            return
        takers = [work for work in running.works.values() if content.size <= limit_of(work)]
        if takers or running.by_cid or not running.works:
            await self._keep(running.transfer.root, takers)
        running.content = content
        running.complete.set()
        transfer = running.transfer
        self._emit("work.fetched", {"work": transfer.work, "cid": str(transfer.root), "title": transfer.title})

    async def _providers(self, running: Running) -> list[PeerId]:
        """Who may have it: who the DHT names, then who answered a search with it, then neighbours."""
        found: list[PeerId] = []
        try:
            found += await self._network.find_providers(root_key(running.transfer.root))
        except NetworkError as error:
            log.debug("no providers from the DHT: %s", error.message)
        for work in running.works:
            found += self._search.heard_from(work)
        neighbours = [view.peer for view in self._network.peers() if SEARCH_PROTOCOL in view.protocols]
        strangers = [] if self._ipfs is None else await self._ipfs.providers(running.transfer.root)
        return list(dict.fromkeys(found + neighbours[:NEIGHBOURS_ASKED] + strangers))

    # ------------------------------------------------------------ what is remembered

    async def _remember(self, running: Running) -> None:
        if running.wanted and not running.complete.is_set():
            key, value = key_of(WANTED, running.transfer.root), Remembered.of(running).to_bytes()
            await self._store.write(lambda tx: tx.set_meta(key, value))

    async def _forget(self, running: Running) -> None:
        with trio.CancelScope(shield=True):
            await self._store.write(lambda tx: tx.set_meta(key_of(WANTED, running.transfer.root), None))

    async def _keep(self, root: Cid, works: Sequence[Work]) -> None:
        """ONE transaction: kept, pinned, and what is to be told of it."""
        now = self._clock()

        def keep(tx: Tx) -> None:
            tx.pin(root)
            tx.set_public(root, True)
            tx.set_meta(key_of(WANTED, root), None)
            if not works:
                tx.enqueue(PROVIDE, root_key(root), now)
            for work in works:
                if tx.work(work.id) is None:  # the catalogue keeps what was only heard for a while
                    put_manifest(tx, work.manifest, state="heard", private=False, added=now)
                if work.state == "heard":
                    tx.set_work_state(work.id, "kept")
                enqueue_work(tx, work, now)

        await self._store.write(keep)
        self._wake_outbox()
