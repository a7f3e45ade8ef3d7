"""Announcing and finding among many nodes of our own DHT that are far from each other, some of them dead: in virtual time."""

from __future__ import annotations

import hashlib
from statistics import quantiles

import pytest
import trio
from trio.testing import MockClock

from p2pnode.core.ids import PeerId
from p2pnode.core.keyspace import place_bytes, wire_key
from p2pnode.net.kad.announce import BATCH_KEYS, REGION_S, Announcer, Neighbourhood
from p2pnode.net.kad.table import BUCKET_PEERS, place_of, place_of_peer
from p2pnode.net.kad.wire import Contact
from tests.support.kad_world import KadWorld

pytestmark = pytest.mark.trio

FAR_S = 0.04
"""One way: 80 ms there and back."""


def keys(count: int) -> list[bytes]:
    return [hashlib.sha256(b"key %d" % number).digest() for number in range(count)]


async def held(world: KadWorld, key: bytes) -> int:
    """How many of the nearest living nodes hold a record of the first node's."""
    wire, holders = wire_key(key), 0
    for one in world.nearest(place_of(wire)):
        found = await world.nodes[one].server.providers(wire)
        holders += any(contact.peer == world.peers[0] for contact in found)
    return holders


async def test_many_keys_reach_the_nodes_that_a_look_up_for_each_would_have_found(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        world = KadWorld(nursery, 150)
        own, some = world.nodes[world.peers[0]], keys(200)
        counts = await own.provide_all(some)
        assert min(counts.values()) >= BUCKET_PEERS - 2
        assert sum([await held(world, key) for key in some]) >= 0.97 * 200 * (BUCKET_PEERS - 1)
        # one stream or two for each node and look-up, where a look-up for each key needs twenty requests and more
        assert world.counters[world.peers[0]].streams < 400
        assert all([await world.nodes[world.peers[7]].find_providers(key) == [world.peers[0]] for key in some[::20]])
        nursery.cancel_scope.cancel()


async def test_a_third_of_the_nodes_is_dead_and_every_key_has_holders(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        world = KadWorld(nursery, 150, delay_s=FAR_S, seed=2)
        world.vanish(world.chance.sample(world.peers[1:], 50))
        own, some = world.nodes[world.peers[0]], sorted(keys(300), key=place_bytes)
        for begin in range(0, len(some), BATCH_KEYS):
            counts = await own.provide_all(some[begin : begin + BATCH_KEYS])
            assert min(counts.values()) >= BUCKET_PEERS // 2
        strangers = [one for one in world.alive() if one != world.peers[0]]
        for key in some[::15]:
            stranger = world.nodes[world.chance.choice(strangers)]
            assert await stranger.find_providers(key) == [world.peers[0]]
        nursery.cancel_scope.cancel()


async def test_finding_is_quick_when_all_live_and_when_a_third_has_vanished(autojump_clock: MockClock) -> None:
    """The aims of the network, for nodes 80 ms apart: p50 400 ms and p95 1.5 s, and p95 3 s after a third vanished."""

    async def seconds() -> list[float]:
        took = []
        for number in range(60):
            asker = world.nodes[world.chance.choice([one for one in world.alive() if one != world.peers[0]])]
            began = trio.current_time()
            assert await asker.find_providers(some[number % len(some)]) == [world.peers[0]]
            took.append(trio.current_time() - began)
        return took

    async with trio.open_nursery() as nursery:
        world = KadWorld(nursery, 100, delay_s=FAR_S, seed=3)
        some = keys(30)
        await world.nodes[world.peers[0]].provide_all(some)
        cuts = quantiles(await seconds(), n=20)
        assert cuts[9] <= 0.4 and cuts[18] <= 1.5
        world.vanish(world.chance.sample(world.peers[1:], 33))
        assert quantiles(await seconds(), n=20)[18] <= 3.0
        nursery.cancel_scope.cancel()


async def test_what_strangers_find_is_tried_from_far_away_and_by_others_records(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        world = KadWorld(nursery, 60)
        own, (told, kept_back) = world.nodes[world.peers[0]], keys(2)
        await own.provide(told)
        own.answer_for([kept_back])
        assert await own.is_found(told) is True
        assert await own.is_found(kept_back) is False  # that we would say so ourselves helps nobody
        world.vanish(world.peers[1:])
        assert await own.is_found(told) is None
        nursery.cancel_scope.cancel()


async def test_a_region_is_looked_up_once_while_it_is_fresh(autojump_clock: MockClock) -> None:
    looks: list[bytes] = []

    async def look(wire: bytes) -> Neighbourhood:
        looks.append(wire)
        nearest = world.nearest(place_of(wire))
        bits = (place_of_peer(nearest[-1]) ^ place_of(wire)).bit_length() - 1
        return Neighbourhood([Contact(one, ()) for one in nearest], bits)

    told: list[tuple[Contact, int]] = []

    async def tell(contact: Contact, wires: object) -> bool | None:
        assert isinstance(wires, list) and len(wires) <= BATCH_KEYS
        told.append((contact, len(wires)))
        return None if contact.peer in dead else True

    async with trio.open_nursery() as nursery:
        world = KadWorld(nursery, 100)
        announcer, dead = Announcer(look, tell), set[PeerId]()
        some = sorted((wire_key(key) for key in keys(400)), key=place_of)
        for begin in range(0, 400, 20):
            await announcer.tell_all(some[begin : begin + 20])
        assert (
            len(looks) <= 30
        )  # 100 nodes have about five regions; parts of one with none of our keys beside them count apart
        before = len(looks)
        await trio.sleep(REGION_S + 1)
        await announcer.tell_all(some[-1:])
        assert len(looks) > before
        before, dead = len(looks), {contact.peer for contact, _ in told[-20:]}
        assert await announcer.tell_all(some[-1:]) == {some[-1]: 0}
        await announcer.tell_all(some[-1:])
        assert len(looks) > before  # whoever went is not believed to be there
        nursery.cancel_scope.cancel()
