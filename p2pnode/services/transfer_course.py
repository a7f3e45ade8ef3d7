"""What happens to one transfer from its place in the queue to the last byte: it waits, finds, fetches, is paused, goes on.

The course of a transfer knows nothing of the list it stands in: services.transfers begins and ends it. A journey of its own, `run`, is
one task; it ends when everything chosen is here, when it was cancelled, or with the error that it raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import PeerId
from p2pnode.core.search_messages import PROTOCOL as SEARCH_PROTOCOL
from p2pnode.errors import FullDiskError, NetworkError, NoRoomError
from p2pnode.ports import Content, Emit, Network, Store, Traffic, WallClock, Work
from p2pnode.services import wanted
from p2pnode.services.fetch import Fetching
from p2pnode.services.ipfs import Ipfs
from p2pnode.services.outbox import root_key
from p2pnode.services.running import Running, limit_of
from p2pnode.services.search import Search
from p2pnode.services.telling import in_words
from p2pnode.services.transfer import Transfer

log = logging.getLogger("p2pnode.transfers")

MAX_RUNNING = 16
"""Transfers at a time: each has its own providers and buffers. Others wait for their turn."""
NEIGHBOURS_ASKED = 8
"""Connected peers that are asked although nobody said that they have it: a want list of one block is cheap."""
ROOM_RETRY_S = 60.0
"""Seconds before a transfer that ran out of room looks whether there is some again."""


class Course:
    """The same for every transfer of this node."""

    def __init__(
        self,
        store: Store,
        network: Network,
        search: Search,
        clock: WallClock,
        emit: Emit,
        wake_outbox: Callable[[], None],
        ipfs: Ipfs | None,
        traffic: Traffic | None,
    ) -> None:
        """With `ipfs` others than p2pnodes are asked too. With `traffic` transfers wait while it says so."""
        self._store, self._network, self._search = store, network, search
        self._clock, self._emit, self._wake_outbox = clock, emit, wake_outbox
        self._ipfs, self._traffic = ipfs, traffic
        self._places = trio.Semaphore(MAX_RUNNING)

    def fetching(self, root: Cid, transfer: Transfer, running: Callable[[], Running]) -> Fetching:
        """A fetch of that content that has not begun. `running` is asked once it runs."""

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

    async def run(self, running: Running) -> None:
        """Fetch until it ends or is cancelled; whoever pauses it resumes it. P2pnodeError: why it cannot be had."""
        while await self._once(running):
            pass

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
            await self.forget(running)
            return False
        running.scope = trio.CancelScope()
        running.fetching = self.fetching(running.transfer.root, running.transfer, lambda: running)
        return True

    async def _until_done(self, running: Running) -> None:
        await wanted.remember(self._store, running)
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
            await self.keep(running.transfer.root, takers)
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

    async def forget(self, running: Running) -> None:
        """It is not taken up again after a restart."""
        with trio.CancelScope(shield=True):
            await self._store.write(lambda tx: wanted.forget(tx, running.transfer.root))

    async def keep(self, root: Cid, works: Sequence[Work]) -> None:
        """What has come is kept for good, and others are told of it."""
        now = self._clock()
        await self._store.write(lambda tx: wanted.keep(tx, root, works, now))
        self._wake_outbox()
