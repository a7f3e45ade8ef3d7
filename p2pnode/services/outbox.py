"""The outbox worker: tells the network what was committed, and keeps telling the DHT what we provide.

Commit, then send: a journey puts items into the outbox inside its own transaction, and this worker carries them out, with back-off,
over restarts. Gossip is a hint (reconciliation is the guarantee), so a gossip item is done once it was handed over.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import ID_BYTES, CircleId
from p2pnode.core.manifest import Manifest
from p2pnode.core.words import word_key, work_words
from p2pnode.errors import P2pnodeError
from p2pnode.limits import PROVIDE_INTERVAL_S
from p2pnode.ports import Network, OutboxItem, Store, Tx, WallClock, Work

log = logging.getLogger("p2pnode.outbox")

PROVIDE, GOSSIP = "provide", "gossip"
BATCH_ITEMS = 64
"""Items taken at once: one gossip frame's worth."""
IDLE_S = 60.0
"""Longest sleep when nothing is due: a clock that jumped is noticed after a minute."""
FIRST_RETRY_S, LAST_RETRY_S = 15.0, 1800.0
"""Back-off of what could not be told: doubles from the first to the last."""
PROVIDE_PAUSE_S = 0.05
"""Pause between two provides: a large library is told at a steady low rate, not in a burst."""
PAGE_WORKS = 500
"""Works read at once when everything is provided again."""


def provide_keys(work: Work) -> list[bytes]:
    """The DHT keys of a public work: its root, its own id (so that the id alone finds it) and its words."""
    manifest = Manifest.of(work.manifest)
    return [root_key(work.root), bytes(work.id), *(word_key(word) for word in work_words(manifest))]


def root_key(root: Cid) -> bytes:
    """The DHT key of a content: its digest, as in IPFS; of a digest that is no 32 bytes, the SHA-256 of its multihash."""
    return root.digest if len(root.digest) == ID_BYTES else hashlib.sha256(root.multihash).digest()


def enqueue_work(tx: Tx, work: Work, now: float) -> None:
    """Put everything that the network is to be told of a public work into the outbox."""
    for key in provide_keys(work):
        tx.enqueue(PROVIDE, key, now)


class Outbox:
    """One per node; `run` lives in the node's nursery. `wake` after a commit or when a peer came."""

    def __init__(
        self,
        store: Store,
        network: Network,
        clock: WallClock,
        *,
        gossip: Callable[[CircleId, list[bytes]], Awaitable[None]],
        circle_keys: Callable[[], Awaitable[Iterable[bytes]]],
    ) -> None:
        self._store, self._network, self._clock = store, network, clock
        self._gossip, self._circle_keys = gossip, circle_keys
        self._wake = trio.Event()
        self._somebody_came = trio.Event()

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    async def run(self) -> None:
        """Serve the outbox and re-provide, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve)
            nursery.start_soon(self._wake_when_peers_come)
            nursery.start_soon(self._provide_again)

    async def _serve(self) -> None:
        while True:
            self._wake = trio.Event()
            items = await self._due(self._clock())
            if items:
                await self._carry_out(items)
                continue
            with trio.move_on_after(IDLE_S if self._network.peers() else LAST_RETRY_S):
                await self._wake.wait()

    async def _due(self, now: float) -> list[OutboxItem]:
        return await self._store.read(lambda tx: tx.due_outbox(now, BATCH_ITEMS))

    async def _carry_out(self, items: list[OutboxItem]) -> None:
        frames: dict[CircleId, list[OutboxItem]] = defaultdict(list)
        for item in items:
            if item.kind == GOSSIP and len(item.payload) > ID_BYTES:
                frames[CircleId(item.payload[:ID_BYTES])].append(item)
        for circle, group in frames.items():
            await self._try(partial(self._send_gossip, circle, group), group)
        for item in items:
            if item.kind == PROVIDE:
                await self._try(partial(self._send_provide, item), [item])
        known = {GOSSIP, PROVIDE}
        await self._done([item for item in items if item.kind not in known])

    async def _try(self, send: Callable[[], Awaitable[bool]], items: list[OutboxItem]) -> None:
        try:
            told = await send()
        except P2pnodeError as error:
            log.info("could not tell the network: %s", error.message)
            told = False
        if told:
            await self._done(items)
        else:
            await self._later(items)

    async def _send_gossip(self, circle: CircleId, items: list[OutboxItem]) -> bool:
        await self._gossip(circle, [item.payload[ID_BYTES:] for item in items])
        return True

    async def _send_provide(self, item: OutboxItem) -> bool:
        return await self._network.provide(item.payload) > 0

    async def _done(self, items: list[OutboxItem]) -> None:
        def work(tx: Tx) -> None:
            for item in items:
                tx.done_outbox(item.id)

        if items:
            await self._store.write(work, durable=False)

    async def _later(self, items: list[OutboxItem]) -> None:
        now = self._clock()

        def work(tx: Tx) -> None:
            for item in items:
                wait = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(item.attempts, 10))
                tx.retry_outbox(item.id, now + wait)

        await self._store.write(work, durable=False)

    async def _wake_when_peers_come(self) -> None:
        async with self._network.peer_events() as events:
            async for event in events:
                if event.connected:
                    self._somebody_came.set()
                    await self._store.write(_make_due(self._clock()), durable=False)
                    self.wake()

    async def _provide_again(self) -> None:
        """Everything once after the start (other nodes forget within a day) and then at every interval."""
        while True:
            await self._somebody_came.wait()
            for key in await self._circle_keys():
                await self._provide_one(key)
            offset, told = 0, set[bytes]()
            while works := await self._page(offset):
                offset += len(works)
                for key in (key for work in works if not work.private for key in provide_keys(work)):
                    if key not in told:
                        told.add(key)
                        await self._provide_one(key)
            await trio.sleep(PROVIDE_INTERVAL_S)

    async def _page(self, offset: int) -> list[Work]:
        return await self._store.read(lambda tx: tx.works(limit=PAGE_WORKS, offset=offset))

    async def _provide_one(self, key: bytes) -> None:
        try:
            await self._network.provide(key)
        except P2pnodeError as error:
            log.info("could not provide again: %s", error.message)
        await trio.sleep(PROVIDE_PAUSE_S)


def _make_due(now: float) -> Callable[[Tx], None]:
    """A peer came: whatever waits for one is due at once, also what was put off by a clock that ran ahead."""

    def work(tx: Tx) -> None:
        for item in tx.due_outbox(math.inf, BATCH_ITEMS):
            tx.retry_outbox(item.id, now)

    return work
