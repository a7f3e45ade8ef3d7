"""The DHT without a network: messages, routing table, lookups in a made-up world of five hundred nodes."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.peer.id import ID
from trio.testing import MockClock

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError
from p2pnode.net.kad.lookup import MAX_REQUESTS, Lookup
from p2pnode.net.kad.server import REQUEST_BURST, REQUESTS_PER_S, KadServer
from p2pnode.net.kad.table import BUCKET_PEERS, RoutingTable, place_of, place_of_peer
from p2pnode.net.kad.wire import MAX_PEERS, Contact, KadMessage, decode, encode

KEY = b"\x12\x20" + b"k" * 32


def peer(number: int) -> PeerId:
    return PeerId(ID(b"\x12\x20" + hashlib.sha256(b"%d" % number).digest()).to_base58())


def contact(number: int) -> Contact:
    return Contact(peer(number), (f"/ip4/127.0.0.1/tcp/{number + 1}",))


def test_messages_there_and_back() -> None:
    message = KadMessage("GET_PROVIDERS", KEY, closer=(contact(1), contact(2)), providers=(contact(3),))
    assert decode(encode(message)[2:]) == message
    assert decode(encode(KadMessage("PING"))[1:]) == KadMessage("PING")


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    try:
        decode(data)
    except DecodeError:
        return


@pytest.mark.parametrize(
    "message",
    [
        b"\x08\x06" + Message(key=KEY).SerializeToString(),  # a type of some later specification
        Message(type="FIND_NODE", key=b"k" * 81).SerializeToString(),
        b"not protobuf",
    ],
)
def test_messages_we_do_not_speak(message: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(message)


def test_an_answer_need_not_repeat_the_key() -> None:
    """js-libp2p's answers to FIND_NODE have none: whoever wants one drops every such peer from its table."""
    answer = Message(type="FIND_NODE")
    entry = answer.closerPeers.add()
    entry.id = ID.from_base58(peer(1)).to_bytes()
    entry.addrs.append(b"\x04\x7f\x00\x00\x01\x06\x00\x02")
    assert decode(answer.SerializeToString()) == KadMessage("FIND_NODE", closer=(contact(1),))


def test_a_flood_of_peers_is_cut() -> None:
    message = Message(type="FIND_NODE", key=KEY)
    for number in range(1200):
        entry = message.closerPeers.add()
        entry.id = ID.from_base58(peer(number)).to_bytes()
        entry.addrs.extend([b"\x04\x7f\x00\x00\x01\x06\x00\x01"] * 100)
    message.closerPeers[3].id = b"garbage"
    found = decode(message.SerializeToString()).closer
    assert len(found) == MAX_PEERS - 1
    assert all(one.addresses == ("/ip4/127.0.0.1/tcp/1",) for one in found)


def test_the_nearest_come_first() -> None:
    table = RoutingTable(peer(0))
    for number in range(1, 200):
        table.add(contact(number), lambda peer: True)
    place = place_of(KEY)
    nearest = [one.peer for one in table.closest(place)]
    assert nearest == sorted(nearest, key=lambda one: place_of_peer(one) ^ place)
    assert len(nearest) == BUCKET_PEERS
    assert peer(0) not in table
    assert nearest[0] not in [one.peer for one in table.closest(place, without=[nearest[0]])]


def test_a_full_bucket_keeps_the_living() -> None:
    table = RoutingTable(peer(0))
    far = [n for n in range(1, 500) if (place_of_peer(peer(n)) ^ place_of_peer(peer(0))).bit_length() == 256]
    for number in far[:BUCKET_PEERS]:
        assert table.add(contact(number), lambda one: True)
    newcomer = contact(far[BUCKET_PEERS])
    assert not table.add(newcomer, lambda one: True)
    dead = peer(far[3])
    assert table.add(newcomer, lambda one: one != dead)
    assert dead not in table and newcomer.peer in table
    assert len(table) == BUCKET_PEERS
    table.remove(newcomer.peer)
    table.remove(newcomer.peer)
    assert len(table) == BUCKET_PEERS - 1


def test_refreshing_without_addresses_keeps_the_old_ones() -> None:
    table = RoutingTable(peer(0))
    table.add(contact(1), lambda one: True)
    table.add(Contact(peer(1), ()), lambda one: True)
    assert table.get(peer(1)) == contact(1)
    assert table.get(peer(2)) is None


@cache
def tables(count: int) -> dict[PeerId, RoutingTable]:
    """Of nodes that know their neighbours in number, and with them some of every distance."""
    made = {}
    for number in range(1, count):
        table = made[peer(number)] = RoutingTable(peer(number))
        for other in range(number, number + 80):
            table.add(contact(other % (count - 1) + 1), lambda one: True)
    return made


class World:
    """Five hundred nodes; some are dead."""

    def __init__(self, count: int = 500, dead: frozenset[PeerId] = frozenset()) -> None:
        self.tables = tables(count)
        self.dead = dead
        self.asked: list[PeerId] = []

    async def find(self, place: int, one: Contact) -> KadMessage:
        self.asked.append(one.peer)
        await trio.lowlevel.checkpoint()
        if one.peer in self.dead:
            raise NetworkError("no answer")
        return KadMessage("FIND_NODE", KEY, closer=tuple(self.tables[one.peer].closest(place)))


@pytest.mark.trio
async def test_a_lookup_ends_at_the_nearest_of_five_hundred() -> None:
    world, place = World(), place_of(KEY)
    lookup = Lookup(place, peer(0), [contact(5), contact(400)], lambda one: world.find(place, one))
    await lookup.run()
    nearest = sorted(world.tables, key=lambda one: place_of_peer(one) ^ place)[:BUCKET_PEERS]
    found = [one.peer for one in lookup.answered]
    assert found[:5] == nearest[:5]
    assert len(set(found) & set(nearest)) >= 18
    assert len(world.asked) == len(set(world.asked)) <= MAX_REQUESTS


@pytest.mark.trio
async def test_a_lookup_walks_around_the_dead() -> None:
    place = place_of(KEY)
    nearest = sorted(tables(500), key=lambda one: place_of_peer(one) ^ place)
    world = World(dead=frozenset(nearest[:10:2]))
    lookup = Lookup(place, peer(0), [contact(5), contact(400)], lambda one: world.find(place, one))
    await lookup.run()
    assert [one.peer for one in lookup.answered][:3] == [nearest[1], nearest[3], nearest[5]]


@pytest.mark.trio
async def test_a_liar_with_ever_nearer_peers_is_given_up() -> None:
    asked = []

    async def lie(one: Contact) -> KadMessage:
        await trio.lowlevel.checkpoint()
        asked.append(one)
        return KadMessage("FIND_NODE", KEY, closer=tuple(contact(1000 * len(asked) + n) for n in range(20)))

    lookup = Lookup(place_of(KEY), peer(0), [contact(1)], lie)
    await lookup.run()
    assert len(asked) <= MAX_REQUESTS


@pytest.mark.trio
async def test_nobody_to_ask() -> None:
    lookup = Lookup(place_of(KEY), peer(0), [], lambda one: World(2).find(0, one))
    await lookup.run()
    assert lookup.answered == []


@pytest.mark.trio
async def test_stopping_ends_at_once() -> None:
    world, place = World(), place_of(KEY)

    async def once(one: Contact) -> KadMessage:
        lookup.stop()
        return await world.find(place, one)

    lookup = Lookup(place, peer(0), [contact(5)], once)
    await lookup.run()
    assert len(world.asked) == 1


class Hurried:
    """A stream on which one PING follows the other."""

    peer = PeerId("hurried")

    def __init__(self, count: int) -> None:
        self._left = encode(KadMessage("PING")) * count
        self.answers = 0

    async def receive_some(self, max_bytes: int) -> bytes:
        await trio.lowlevel.checkpoint()
        data, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return data

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.answers += 1


@pytest.mark.trio
async def test_who_asks_too_fast_is_answered_later(autojump_clock: MockClock) -> None:
    table = RoutingTable(peer(0))
    server = KadServer(table, None, lambda: 0.0, lambda key: False, lambda: Contact(peer(0), ()))  # type: ignore[arg-type]
    stream = Hurried(REQUEST_BURST)
    await server.serve(stream)  # type: ignore[arg-type]
    assert stream.answers == REQUEST_BURST and trio.current_time() < 1
    stream = Hurried(REQUEST_BURST + 200)
    began = trio.current_time()
    await server.serve(stream)  # type: ignore[arg-type]
    assert stream.answers == REQUEST_BURST + 200
    assert 199 / REQUESTS_PER_S <= trio.current_time() - began < 210 / REQUESTS_PER_S
