"""The door to IPFS: its DHT hears of public roots and of nothing else, until somebody takes them, and is asked for those of others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from pytest_trio import trio_fixture
from trio.testing import MockClock

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import PeerId
from p2pnode.core.keys import KeyPair
from p2pnode.core.manifest import describe, first
from p2pnode.core.records import seq_of
from p2pnode.errors import NetworkError
from p2pnode.limits import PROVIDE_INTERVAL_S
from p2pnode.ports import Tx
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.ipfs import NEIGHBOURS_ASKED, RETRY_S, Ipfs
from p2pnode.store.memory import MemoryStore
from tests.support.bitswap_peer import Foreigner
from tests.support.contents import hold
from tests.support.dags import build
from tests.support.loopback import Hub, a_hub

pytestmark = pytest.mark.trio
NOW = 1_800_000_000


class Routing:
    """ports.ContentRouting that notes what it is told. `takers`: how many nodes take each record."""

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self.takers = 3
        self.known: dict[bytes, list[PeerId]] = {}

    async def provide(self, multihash: bytes) -> int:
        await trio.lowlevel.checkpoint()
        self.told.append(multihash)
        return self.takers

    async def find_providers(self, multihash: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        await trio.lowlevel.checkpoint()
        if multihash not in self.known:
            raise NetworkError("nobody answers")
        return self.known[multihash]


class World:
    def __init__(self, hub: Hub, routing: Routing | None) -> None:
        self.hub, self.routing = hub, routing
        self.network = hub.node("node")
        self.network.ipfs = routing
        self.store = MemoryStore(self.clock)
        self.ipfs = Ipfs(self.network, self.store, self.clock)

    def clock(self) -> float:
        return NOW + trio.current_time()

    async def publish(self, name: str, *, private: bool = False) -> Cid:
        """A work of its own, as a publish leaves it."""
        dag = build(name.encode())
        await hold(self.store, dag, public=not private)
        work = describe(title=name, root=dag.root, bytes=len(name), files=1)
        record = first(KeyPair(b"k" * 32), work, nonce=name.encode().ljust(16)[:16], seq=seq_of(NOW, 0), created=NOW)

        def put(tx: Tx) -> None:
            put_manifest(tx, record, state="own", private=private, added=self.clock())
            tx.pin(dag.root)

        await self.store.write(put)
        return dag.root


@trio_fixture
async def world() -> AsyncIterator[World]:
    async with a_hub() as hub:
        yield World(hub, Routing())


async def test_public_roots_are_told_and_nothing_else(autojump_clock: MockClock, world: World) -> None:
    shown = await world.publish("shown")
    await world.publish("hidden", private=True)
    await world.ipfs.start(world.hub.nursery)
    await trio.sleep(10)
    assert world.routing is not None and world.routing.told == [shown.multihash]


async def test_what_is_new_is_told_at_once_and_everything_again_within_the_day(
    autojump_clock: MockClock, world: World
) -> None:
    assert world.routing is not None
    await world.ipfs.start(world.hub.nursery)
    await trio.sleep(100)
    first = await world.publish("first")
    world.ipfs.wake()
    await trio.sleep(1)
    assert world.routing.told == [first.multihash]
    second = await world.publish("second")
    world.ipfs.wake()
    await trio.sleep(1)
    assert world.routing.told == [first.multihash, second.multihash]
    await trio.sleep(PROVIDE_INTERVAL_S + 2000)
    assert sorted(world.routing.told[2:]) == sorted([first.multihash, second.multihash])


async def test_what_nobody_took_is_told_again(autojump_clock: MockClock, world: World) -> None:
    assert world.routing is not None
    world.routing.takers = 0
    await world.publish("lonely")
    await world.ipfs.start(world.hub.nursery)
    await trio.sleep(20 * RETRY_S)
    tries = len(world.routing.told)
    assert 3 <= tries <= 6  # with pauses that grow
    world.routing.takers = 1
    await trio.sleep(40 * RETRY_S)
    assert len(world.routing.told) == tries + 1


async def test_a_content_without_a_work_is_told_while_it_is_kept(autojump_clock: MockClock, world: World) -> None:
    assert world.routing is not None
    dag = build({"a": b"fetched by its CID"})
    await hold(world.store, dag)
    await world.ipfs.start(world.hub.nursery)
    await trio.sleep(1)
    assert world.routing.told == []
    await world.store.write(lambda tx: tx.pin(dag.root))
    world.ipfs.wake()
    await trio.sleep(1)
    assert world.routing.told == [dag.root.multihash]


async def test_without_the_setting_nobody_is_told_anything(autojump_clock: MockClock) -> None:
    async with a_hub() as hub:
        world = World(hub, None)
        await world.publish("shown")
        await world.ipfs.start(hub.nursery)
        await trio.sleep(100)
        assert await world.ipfs.providers(Cid.of(RAW, b"x")) == []


async def test_providers_are_those_of_the_dht_then_a_few_neighbours(autojump_clock: MockClock, world: World) -> None:
    assert world.routing is not None
    await world.ipfs.start(world.hub.nursery)
    wanted = Cid.of(RAW, b"wanted")
    world.routing.known[wanted.multihash] = [PeerId("far"), PeerId("kubo3")]
    for number in range(NEIGHBOURS_ASKED + 4):
        Foreigner(world.hub.node(f"kubo{number}"))
        await world.network.connect(f"/memory/p2p/kubo{number}")
    await trio.testing.wait_all_tasks_blocked()
    found = await world.ipfs.providers(wanted)
    assert found[:2] == ["far", "kubo3"] and len(set(found)) == len(found) == 2 + NEIGHBOURS_ASKED
    assert (
        len(await world.ipfs.providers(Cid.of(RAW, b"unknown"))) == NEIGHBOURS_ASKED
    )  # a DHT that fails costs nothing else
