"""The outbox worker: tells the network what was committed.

Commit, then send: a journey puts items into the outbox inside its own transaction, and this worker carries them out, with back-off,
over restarts. Gossip is a hint (reconciliation is the guarantee), so a gossip item is done once it was handed over. Keys for the DHT
are told in the order of the key space, many together, and do not hold gossip up; `services.announcing` tells them again.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import ID_BYTES, CircleId
from p2pnode.core.keyspace import KEY_BYTES, place_bytes
from p2pnode.core.manifest import Manifest
from p2pnode.core.words import word_key, work_words
from p2pnode.errors import P2pnodeError
from p2pnode.ports import Network, OutboxItem, Store, Tx, WallClock, Work
from p2pnode.services.announcing import CHUNK_KEYS, Announcing

log = logging.getLogger("p2pnode.outbox")

PROVIDE, GOSSIP = "provide", "gossip"
BATCH_ITEMS = 64
"""Items taken at once: one gossip frame's worth."""
IDLE_S = 60.0
"""Longest sleep when nothing is due: a clock that jumped is noticed after a minute."""
FIRST_RETRY_S, LAST_RETRY_S = 15.0, 1800.0
"""Back-off of what could not be told: doubles from the first to the last."""
PAGE_KEYS = 2048
"""New keys taken at once: enough that some lie together, few enough that what is published meanwhile waits for a minute at most."""
NEW_KEYS_S = 40.0
"""New keys told in a second: ten thousand works with their words in three quarters of an hour."""
TOLD_KEYS = 200_000
"""Keys remembered as told while the outbox is not empty, about 15 MB: works share words, and each word is told once."""


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
        seeds: Callable[[], bool] = lambda: True,
    ) -> None:
        """While `seeds` says no, what is new here is not told to the DHT; it waits."""
        self._store, self._network, self._clock = store, network, clock
        self._gossip, self._circle_keys, self._seeds = gossip, circle_keys, seeds
        self._wake = {GOSSIP: trio.Event(), PROVIDE: trio.Event()}
        self._told: set[bytes] = set()  # and held, since the outbox was last empty: the first half of each key
        self._turn = trio.Lock()  # new keys and old ones are told in turns, not side by side
        self.announcing = Announcing(
            store,
            network,
            clock,
            provide_keys=provide_keys,
            other_keys=self._other_keys,
            turn=self._turn,
            tell_later=self._tell_later,
            seeds=seeds,
        )

    def wake(self) -> None:
        """Look at the outbox now."""
        for event in self._wake.values():
            event.set()

    async def run(self) -> None:
        """Serve the outbox and re-provide, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve, GOSSIP, BATCH_ITEMS, self._carry_out)
            nursery.start_soon(self._serve, PROVIDE, PAGE_KEYS, self._provide)
            nursery.start_soon(self._wake_when_peers_come)
            nursery.start_soon(self.announcing.run)

    async def _serve(self, kind: str, most: int, carry_out: Callable[[list[OutboxItem]], Awaitable[None]]) -> None:
        while True:
            self._wake[kind] = trio.Event()
            items = await self._due(kind, most)
            if items:
                await carry_out(items)
                continue
            if kind == PROVIDE:
                self._told.clear()
            with trio.move_on_after(IDLE_S if self._network.peers() else LAST_RETRY_S):
                await self._wake[kind].wait()

    async def _due(self, kind: str, most: int) -> list[OutboxItem]:
        now = self._clock()
        if kind == PROVIDE and not self._seeds():
            return []
        return await self._store.read(lambda tx: tx.due_outbox(now, most, kind))

    async def _carry_out(self, items: list[OutboxItem]) -> None:
        frames: dict[CircleId, list[OutboxItem]] = defaultdict(list)
        for item in items:
            if len(item.payload) > ID_BYTES:
                frames[CircleId(item.payload[:ID_BYTES])].append(item)
        await self._done([item for item in items if len(item.payload) <= ID_BYTES])
        for circle, group in frames.items():
            await self._try(partial(self._send_gossip, circle, group), group)

    async def _provide(self, items: list[OutboxItem]) -> None:
        """A page of new keys, in the order of the key space; each stays until somebody holds it."""
        of_key: dict[bytes, list[OutboxItem]] = defaultdict(list)
        for item in items:
            of_key[item.payload].append(item)
        self._network.answer_for([key for key in of_key if len(key) == KEY_BYTES])
        fresh = [key for key in of_key if len(key) == KEY_BYTES and _half(key) not in self._told]
        await self._done([item for key in of_key.keys() - set(fresh) for item in of_key[key]])
        keys = sorted(fresh, key=place_bytes)
        for begin in range(0, len(keys), CHUNK_KEYS):
            began, chunk = trio.current_time(), keys[begin : begin + CHUNK_KEYS]
            wanted = [
                key for key in chunk if self._network.answers_for(key)
            ]  # what was unpublished meanwhile is not told
            held = await self._tell(wanted)
            waiting = [key for key in wanted if not held.get(key)]
            self._remember([key for key in wanted if held.get(key)])
            await self._done([item for key in chunk if key not in waiting for item in of_key[key]])
            await self._later([item for key in waiting for item in of_key[key]])
            if begin + CHUNK_KEYS < len(keys):
                await trio.sleep_until(began + len(chunk) / NEW_KEYS_S)

    def _remember(self, keys: Iterable[bytes]) -> None:
        if len(self._told) >= TOLD_KEYS:
            self._told.clear()
        self._told.update(map(_half, keys))

    async def _tell(self, keys: list[bytes]) -> dict[bytes, int]:
        try:
            async with self._turn:
                return await self._network.provide_all(keys)
        except P2pnodeError as error:
            log.info("could not tell the network: %s", error.message)
            return {}

    async def _other_keys(self) -> list[bytes]:
        """Of circles, and of contents that are kept for everybody without being a work."""
        return [*await self._circle_keys(), *await self._store.read(_public_root_keys)]

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

        if items:
            await self._store.write(work, durable=False)

    async def _tell_later(self, keys: Sequence[bytes]) -> None:
        """Keys that were told again and that nobody holds."""
        due = self._clock() + FIRST_RETRY_S
        self._told.difference_update(map(_half, keys))

        def work(tx: Tx) -> None:
            for key in keys:
                tx.enqueue(PROVIDE, key, due)

        if keys:
            await self._store.write(work, durable=False)

    async def _wake_when_peers_come(self) -> None:
        async with self._network.peer_events() as events:
            async for event in events:
                if event.connected:
                    self.announcing.somebody_came()
                    await self._store.write(_make_due(self._clock()), durable=False)
                    self.wake()


def _half(key: bytes) -> bytes:
    return key[: KEY_BYTES // 2]


def _public_root_keys(tx: Tx) -> list[bytes]:
    found = [(stock.root, tx.content(stock.root)) for stock in tx.stock() if stock.state == "complete"]
    return [root_key(root) for root, content in found if content is not None and content.public]


def _make_due(now: float) -> Callable[[Tx], None]:
    """A peer came: whatever waits for one is due at once, also what was put off by a clock that ran ahead."""

    def work(tx: Tx) -> None:
        for item in tx.due_outbox(math.inf, PAGE_KEYS):
            if item.due > now:
                tx.retry_outbox(item.id, now)

    return work
