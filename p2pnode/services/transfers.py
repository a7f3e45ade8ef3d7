"""The journey "get": from a work or a bare CID to verified files on this disk, and the list of what is under way.

A transfer belongs to the node, not to who asked: it goes on when a client closes, and after a restart, unless it is paused. Asking
again for the same content joins the transfer that runs. What was verified stays when one is cancelled.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import WORK_PREFIX, id_text, split_text
from p2pnode.errors import (
    ChangedError,
    DecodeError,
    NotFoundError,
    P2pnodeError,
    RefusedError,
    TimedOutError,
)
from p2pnode.ports import Content, Emit, Json, Network, Store, Traffic, Tx, WallClock, Work
from p2pnode.services import wanted
from p2pnode.services.background import contained
from p2pnode.services.export import export
from p2pnode.services.fetch import Fetching
from p2pnode.services.ipfs import Ipfs
from p2pnode.services.lens import refuse_blocked
from p2pnode.services.running import OnProgress, Running, limit_of
from p2pnode.services.search import Search
from p2pnode.services.selection import Selection, both, chosen_files
from p2pnode.services.telling import differences, in_words
from p2pnode.services.transfer import Mode, Transfer, no_limit
from p2pnode.services.transfer_course import Course
from p2pnode.services.walk import read_skeleton

log = logging.getLogger("p2pnode.transfers")

KEPT_FINISHED = 100
"""Finished transfers that are still shown."""
MAX_LISTED = 1000
"""Unfinished transfers, paused and waiting ones too: each is a row in every list."""


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
        """`limited` says in words by what rate the node is held back now, if it is; `ipfs` and `traffic`: see Course."""
        self._store, self._search = store, search
        self._clock, self._emit, self._limited = clock, emit, limited
        self._course = Course(store, network, search, clock, emit, wake_outbox, ipfs, traffic)
        self._running: dict[Cid, Running] = {}
        self._finished: list[Transfer] = []
        self._count = 0
        self._nursery: trio.Nursery | None = None

    async def start(self, nursery: trio.Nursery) -> None:
        """Transfers run in `nursery`; those that a stop interrupted go on."""
        self._nursery = nursery
        for root, remembered in await wanted.remembered(self._store):
            try:
                await self._take_up(root, remembered)
            except P2pnodeError as error:
                log.warning("an unfinished transfer cannot go on: %s", error)

    async def _take_up(self, root: Cid, remembered: wanted.Remembered) -> None:
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
            await wanted.remember(self._store, running)

    async def resume(self, transfer: str) -> None:
        """Go on with one that was paused. Nothing happens if it runs."""
        running = self._find(transfer)
        if running.paused:
            running.paused = False
            await wanted.remember(self._store, running)
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
        elif only is not None:
            chosen_files(await read_skeleton(self._store, root), only)  # a slip is told as when it is fetched
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
            await self._course.keep(root, [work])
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
            self._nursery.start_soon(contained, wanted.remember, self._store, running)
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
        running = Running(transfer, self._course.fetching(root, transfer, lambda: running), only, mode == "get", works)
        running.by_cid, running.paused = work is None, paused
        running.fetching.allow(running.max_bytes)
        self._running[root] = running
        self._nursery.start_soon(contained, self._run, running)
        return running

    def _told(self, running: Running) -> None:
        shown = running.transfer.json()
        self._emit("transfer.progress", shown)
        for watcher in list(running.watchers):
            watcher(shown)
        seen = running.transfer.last_seen
        if running.transfer.state == "waiting" and running.remembered_seen != seen and self._nursery is not None:
            running.remembered_seen = seen
            self._nursery.start_soon(contained, wanted.remember, self._store, running)

    async def _run(self, running: Running) -> None:
        try:
            await self._course.run(running)
        except P2pnodeError as error:
            running.error = error
            running.transfer.say("failed", in_words(error))
            await self._course.forget(running)  # may fail too, on a full disk: then the next start tries it once more
        finally:
            del self._running[running.transfer.root]
            self._finished = [*self._finished, running.transfer][-KEPT_FINISHED:]
            running.complete.set()
            running.over.set()
