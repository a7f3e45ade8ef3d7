"""The journey "get": from a work or a bare CID to verified files on this disk, and the list of what is under way.

A transfer belongs to the node, not to who asked: it goes on when a client closes, and after a restart. Asking again for the same
content joins the transfer that runs. What was verified stays when one is cancelled.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import WORK_PREFIX, PeerId, id_text, parse_id, split_text
from p2pnode.core.layout import Skeleton
from p2pnode.core.search_messages import PROTOCOL as SEARCH_PROTOCOL
from p2pnode.core.skeleton import MAX_CONTENT_BYTES
from p2pnode.errors import (
    DecodeError,
    NetworkError,
    NotFoundError,
    P2pnodeError,
    RefusedError,
    StoreError,
    TimedOutError,
)
from p2pnode.ports import Content, Emit, Json, Network, Store, Tx, WallClock, Work
from p2pnode.services.background import contained
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.export import export, read_skeleton
from p2pnode.services.fetch import fetch
from p2pnode.services.outbox import PROVIDE, enqueue_work, root_key
from p2pnode.services.search import Search
from p2pnode.services.transfer import Transfer

log = logging.getLogger("p2pnode.transfers")

MAX_DIFFERENCES_TOLD = 200
"""Links and new names told in an answer, each; the counts are always whole."""
KEPT_FINISHED = 100
"""Finished transfers that are still shown."""
MAX_RUNNING = 16
"""Transfers at a time: each has its own providers and buffers."""
NEIGHBOURS_ASKED = 8
"""Connected peers that are asked although nobody said that they have it: a want list of one block is cheap."""
WANTED = "wanted/"
"""Prefix of the meta keys under which unfinished transfers are remembered."""

OnProgress = Callable[[Json], None]


@dataclass(slots=True)
class _Running:
    transfer: Transfer
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    done: trio.Event = field(default_factory=trio.Event)
    error: P2pnodeError | None = None
    content: Content | None = None
    watchers: list[OnProgress] = field(default_factory=list)


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
    ) -> None:
        self._store, self._network, self._search = store, network, search
        self._clock, self._emit, self._wake_outbox = clock, emit, wake_outbox
        self._running: dict[Cid, _Running] = {}
        self._finished: list[Transfer] = []
        self._count = 0
        self._nursery: trio.Nursery | None = None

    async def start(self, nursery: trio.Nursery) -> None:
        """Transfers run in `nursery`; those that a stop interrupted go on."""
        self._nursery = nursery
        for key, value in await self._store.read(lambda tx: tx.meta_with_prefix(WANTED)):
            try:
                self._begin(Cid.parse(key.removeprefix(WANTED)), await self._remembered_work(json.loads(value)["work"]))
            except (P2pnodeError, ValueError, KeyError) as error:
                log.warning("an unfinished transfer cannot go on: %s", error)

    async def _remembered_work(self, text: str | None) -> Work | None:
        if text is None:
            return None
        work = parse_id(WORK_PREFIX, text)
        return await self._store.read(lambda tx: tx.work(work))  # type: ignore[arg-type]

    def is_running(self, root: Cid) -> bool:
        """Whether that content is being fetched now."""
        return root in self._running

    def shown(self) -> list[Json]:
        """All that run, then the finished ones, newest first."""
        running = [running.transfer.json() for running in self._running.values()]
        return running + [transfer.json() for transfer in reversed(self._finished)]

    async def cancel(self, transfer: str) -> None:
        """Give it up; what was verified is kept. NotFoundError if no such transfer runs."""
        for running in self._running.values():
            if running.transfer.id == transfer:
                running.scope.cancel()
                await running.done.wait()
                return
        raise NotFoundError(f"no transfer {transfer!r} is running", hint="see: p2pnode transfers")

    async def get(self, text: str, path: str | None, *, on_progress: OnProgress, timeout_s: float = math.inf) -> Json:
        """Fetch (or find here) and, with `path`, put a copy there. The answer of `p2pnode get`.

        TimedOutError when it is not complete within `timeout_s`: the transfer itself goes on.
        """
        if path is not None and await trio.to_thread.run_sync(os.path.lexists, path):
            raise RefusedError(f"{path} exists already", hint="give another -o PATH; nothing is overwritten")
        root, work = await self._resolve(text)
        content = await self._held(root, work)
        providers = 0
        if content is None:
            running = self._running.get(root) or self._begin(root, work)
            with trio.move_on_after(timeout_s):
                content = await self._wait(running, on_progress)
            if content is None:
                raise TimedOutError(
                    f"not complete after {timeout_s:g} s: {running.transfer.reason()}",
                    hint="it goes on in the node; look at it, or cancel it, with: p2pnode transfers",
                )
            providers = len(running.transfer.used_providers)
        answer: Json = {"path": content.base, "bytes": content.size, "providers": providers, "cid": str(root)}
        if path is not None:
            await export(self._store, root, path)
            answer["path"] = path
        if path is not None or content.owned:  # else it lies where it was published from, with everything it has
            answer |= _differences(await read_skeleton(self._store, root))
        if work is not None:
            answer |= {"work": id_text(WORK_PREFIX, work.id), "title": work.title}
        return answer

    async def _resolve(self, text: str) -> tuple[Cid, Work | None]:
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
        return work.root, work

    async def _held(self, root: Cid, work: Work | None) -> Content | None:
        content = await self._store.read(lambda tx: tx.content(root))
        if content is None or content.state != "complete":
            return None
        if work is not None and work.state == "heard":
            await self._keep(root, work)
        return content

    def _begin(self, root: Cid, work: Work | None) -> _Running:
        if self._nursery is None or len(self._running) >= MAX_RUNNING:
            raise RefusedError(
                f"{MAX_RUNNING} transfers run already", hint="wait for one, or cancel one: p2pnode transfers"
            )
        self._count += 1
        running = _Running(
            Transfer(
                f"t-{self._count}",
                root,
                clock=self._clock,
                work=None if work is None else id_text(WORK_PREFIX, work.id),
                title=str(root) if work is None else work.title,
                listener=lambda transfer: self._told(running),
            )
        )
        self._running[root] = running
        self._nursery.start_soon(contained, self._run, running, work)
        return running

    def _told(self, running: _Running) -> None:
        shown = running.transfer.json()
        self._emit("transfer.progress", shown)
        for watcher in list(running.watchers):
            watcher(shown)

    async def _wait(self, running: _Running, on_progress: OnProgress) -> Content:
        running.watchers.append(on_progress)
        try:
            await running.done.wait()
        finally:
            running.watchers.remove(on_progress)
        if running.error is not None:
            raise running.error
        if running.content is None:
            raise RefusedError("the transfer was cancelled", hint="what came is kept; get it again to go on")
        return running.content

    async def _run(self, running: _Running, work: Work | None) -> None:
        transfer = running.transfer
        try:
            with running.scope:
                await self._remember(transfer)
                running.content = await self._fetch(transfer, work)
                await self._keep(transfer.root, work)
                count = len(transfer.used_providers)
                transfer.say("done", f"complete, from {count} provider{'' if count == 1 else 's'}")
                self._emit("work.fetched", {"work": transfer.work, "cid": str(transfer.root), "title": transfer.title})
            if running.scope.cancelled_caught:
                await self._forget(transfer)
                transfer.say("cancelled", "cancelled; what came is kept")
        except* P2pnodeError as group:
            running.error = _first(group)
            transfer.say("failed", running.error.message)
            await self._forget(transfer)  # may fail too, on a full disk: then the next start tries it once more
        finally:
            del self._running[transfer.root]
            self._finished = [*self._finished, transfer][-KEPT_FINISHED:]
            running.done.set()

    async def _fetch(self, transfer: Transfer, work: Work | None) -> Content:
        return await fetch(
            self._network,
            self._store,
            transfer.root,
            transfer.title,
            providers=[] if work is None else self._search.heard_from(work.id),
            find_more=lambda: self._providers(transfer.root, work),
            transfer=transfer,
            max_bytes=MAX_CONTENT_BYTES if work is None else min(work.bytes, MAX_CONTENT_BYTES),
        )

    async def _providers(self, root: Cid, work: Work | None) -> list[PeerId]:
        """Who may have it: who the DHT names, then who answered a search with it, then neighbours."""
        found: list[PeerId] = []
        try:
            found += await self._network.find_providers(root_key(root))
        except NetworkError as error:
            log.debug("no providers from the DHT: %s", error.message)
        if work is not None:
            found += self._search.heard_from(work.id)
        neighbours = [view.peer for view in self._network.peers() if SEARCH_PROTOCOL in view.protocols]
        return list(dict.fromkeys(found + neighbours[:NEIGHBOURS_ASKED]))

    async def _remember(self, transfer: Transfer) -> None:
        value = json.dumps({"work": transfer.work}).encode()
        await self._store.write(lambda tx: tx.set_meta(WANTED + str(transfer.root), value))

    async def _forget(self, transfer: Transfer) -> None:
        with trio.CancelScope(shield=True):
            await self._store.write(lambda tx: tx.set_meta(WANTED + str(transfer.root), None))

    async def _keep(self, root: Cid, work: Work | None) -> None:
        """ONE transaction: kept, pinned, and what is to be told of it."""
        now = self._clock()

        def keep(tx: Tx) -> None:
            tx.pin(root)
            tx.set_public(root, True)
            tx.set_meta(WANTED + str(root), None)
            if work is None:
                tx.enqueue(PROVIDE, root_key(root), now)
                return
            if tx.work(work.id) is None:  # the catalogue keeps what was only heard for a while
                put_manifest(tx, work.manifest, state="heard", private=False, added=now)
            tx.set_work_state(work.id, "kept")
            enqueue_work(tx, work, now)

        await self._store.write(keep)
        self._wake_outbox()


def _differences(skeleton: Skeleton) -> Json:
    """What of the content is not on the disk as its author had it."""
    renamed = [{"name": name.decode("utf-8", "replace"), "path": path} for name, path in skeleton.renamed]
    return {
        "left_out": [path for path, _ in skeleton.symlinks[:MAX_DIFFERENCES_TOLD]],
        "left_out_count": len(skeleton.symlinks),
        "renamed": renamed[:MAX_DIFFERENCES_TOLD],
        "renamed_count": len(renamed),
    }


def _first(group: BaseExceptionGroup[P2pnodeError]) -> P2pnodeError:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return _first(error)
        return error
    return StoreError("the transfer failed")
