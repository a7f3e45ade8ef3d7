"""The outbox: what was committed is told, again and again until somebody heard it, over restarts."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from p2pnode.core.ids import CircleId
from p2pnode.core.keyspace import place_bytes
from p2pnode.ports import OutboxItem, Store, Tx
from p2pnode.services.announcing import CHUNK_KEYS
from p2pnode.services.outbox import GOSSIP, PROVIDE, Outbox
from p2pnode.store.memory import MemoryStore
from tests.support.loopback import Hub, LoopbackNetwork

KEY = bytes(31) + b"k"
CIRCLE = CircleId(bytes(31) + b"c")
DEADLINE_S = 30.0

pytestmark = pytest.mark.trio


class Told:
    """What the outbox handed to gossip."""

    def __init__(self) -> None:
        self.frames: list[tuple[CircleId, list[bytes]]] = []
        self.came = trio.Event()

    async def gossip(self, circle: CircleId, records: list[bytes]) -> None:
        self.frames.append((circle, records))
        self.came.set()


async def no_circles() -> list[bytes]:
    return []


@asynccontextmanager
async def running(store: Store, network: LoopbackNetwork, told: Told) -> AsyncIterator[Outbox]:
    async with trio.open_nursery() as nursery:
        outbox = Outbox(store, network, lambda: 1000.0, gossip=told.gossip, circle_keys=no_circles)
        nursery.start_soon(outbox.run)
        yield outbox
        nursery.cancel_scope.cancel()


async def waiting(store: Store) -> list[OutboxItem]:
    return await store.read(lambda tx: tx.due_outbox(1e12, 100))


async def until_empty(store: Store) -> None:
    with trio.fail_after(DEADLINE_S):
        while await waiting(store):  # noqa: ASYNC110  (a store has no event)
            await trio.sleep(0.01)


async def test_gossip_of_one_circle_goes_in_one_frame_and_is_done() -> None:
    store, told = MemoryStore(lambda: 1000.0), Told()
    async with trio.open_nursery() as nursery:
        network = Hub(nursery).node("anna")
        for record in (b"one", b"two"):
            await store.write(lambda tx, record=record: tx.enqueue(GOSSIP, CIRCLE + record, 0.0))  # type: ignore[misc]
        async with running(store, network, told):
            await until_empty(store)
        nursery.cancel_scope.cancel()
    assert told.frames == [(CIRCLE, [b"one", b"two"])]


async def test_what_nobody_heard_waits_and_is_told_when_a_peer_comes() -> None:
    store, told = MemoryStore(lambda: 1000.0), Told()
    async with trio.open_nursery() as nursery:
        hub = Hub(nursery)
        anna, ben = hub.node("anna"), hub.node("ben")
        await store.write(lambda tx: tx.enqueue(PROVIDE, KEY, 0.0))
        async with running(store, anna, told):
            with trio.fail_after(DEADLINE_S):
                while not any(item.attempts for item in await waiting(store)):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            await anna.connect(ben.addresses()[0])
            await until_empty(store)
            assert await ben.find_providers(KEY) == [anna.peer_id]
        nursery.cancel_scope.cancel()


async def test_what_a_clock_that_ran_ahead_put_off_is_told_when_a_peer_comes() -> None:
    store, told = MemoryStore(lambda: 1000.0), Told()
    async with trio.open_nursery() as nursery:
        hub = Hub(nursery)
        anna, ben = hub.node("anna"), hub.node("ben")
        await store.write(lambda tx: tx.enqueue(PROVIDE, KEY, 1000.0 + 86_400))
        async with running(store, anna, told):
            await anna.connect(ben.addresses()[0])
            await until_empty(store)
        nursery.cancel_scope.cancel()


class Slow:
    """A network on which telling a key takes its time; notes what is told. The rest is a loopback network's."""

    def __init__(self, network: LoopbackNetwork) -> None:
        self._network = network
        self.told: list[bytes] = []
        self.may_go = trio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    async def provide_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        await self.may_go.wait()
        self.told += keys
        return dict.fromkeys(keys, 1)


async def test_new_keys_are_told_in_the_order_of_the_key_space_and_gossip_does_not_wait_for_them() -> None:
    store, told = MemoryStore(lambda: 1000.0), Told()
    keys = [hashlib.sha256(b"%d" % number).digest() for number in range(CHUNK_KEYS + 5)]

    def fill(tx: Tx) -> None:
        for key in [*keys, keys[0]]:  # two works have a word in common
            tx.enqueue(PROVIDE, key, 0.0)
        tx.enqueue(GOSSIP, CIRCLE + b"one", 1.0)

    async with trio.open_nursery() as nursery:
        network = Slow(Hub(nursery).node("anna"))
        await store.write(fill)
        async with running(store, network, told):  # type: ignore[arg-type]
            with trio.fail_after(DEADLINE_S):
                await told.came.wait()
            assert network.told == []
            network.may_go.set()
            await until_empty(store)
        nursery.cancel_scope.cancel()
    assert network.told == sorted(keys, key=place_bytes)


async def test_a_word_that_works_share_is_told_once_however_far_apart_they_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("p2pnode.services.outbox.PAGE_KEYS", 2)
    store, told = MemoryStore(lambda: 1000.0), Told()
    first, second, third = (hashlib.sha256(b"%d" % number).digest() for number in range(3))

    def fill(tx: Tx) -> None:
        for key in (KEY, first, KEY, second, third, KEY):
            tx.enqueue(PROVIDE, key, 0.0)

    async with trio.open_nursery() as nursery:
        network = Slow(Hub(nursery).node("anna"))
        network.may_go.set()
        await store.write(fill)
        async with running(store, network, told) as outbox:  # type: ignore[arg-type]
            await until_empty(store)
            assert sorted(network.told) == sorted([KEY, first, second, third])
            network.unprovide(KEY)
            await store.write(lambda tx: tx.enqueue(PROVIDE, KEY, 0.0))
            outbox.wake()
            await until_empty(store)
            assert network.answers_for(KEY), "published again"
        nursery.cancel_scope.cancel()


async def test_what_is_unpublished_before_its_turn_is_not_told() -> None:
    store, told = MemoryStore(lambda: 1000.0), Told()
    keys = sorted((hashlib.sha256(b"%d" % number).digest() for number in range(CHUNK_KEYS + 5)), key=place_bytes)
    for key in keys:
        await store.write(lambda tx, key=key: tx.enqueue(PROVIDE, key, 0.0))  # type: ignore[misc]
    async with trio.open_nursery() as nursery:
        network = Slow(Hub(nursery).node("anna"))
        async with running(store, network, told):  # type: ignore[arg-type]
            with trio.fail_after(DEADLINE_S):
                while not network.answers_for(keys[-1]):  # noqa: ASYNC110  (the page was read)
                    await trio.sleep(0.01)
            network.unprovide(keys[-1])
            network.may_go.set()
            await until_empty(store)
        nursery.cancel_scope.cancel()
    assert network.told == keys[:-1]
