"""The mesh without a network: neighbours are lists of frames, time is a number."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from p2pnode.core.ids import PeerId
from p2pnode.net.gossip import message_id
from p2pnode.net.gossipsub import mesh as mesh_module
from p2pnode.net.gossipsub import rpc
from p2pnode.net.gossipsub.frames import FrameReader
from p2pnode.net.gossipsub.memory import HISTORY_BEATS, MAX_CACHED_BYTES, MAX_OFFERS, MAX_SEEN, SEEN_S, Cache, Seen
from p2pnode.net.gossipsub.mesh import (
    DEGREE,
    DEGREE_HIGH,
    DEGREE_LOW,
    FLOOD_PEERS,
    MAX_BACKOFF_S,
    MAX_TOPICS,
    MAX_WANTED,
    PRUNE_BACKOFF_S,
    REJOIN_S,
    Mesh,
)

TOPIC = "t"


class Wire:
    """One node's mesh, and what it sent to whom."""

    def __init__(self) -> None:
        self.sent: dict[PeerId, list[rpc.Rpc]] = defaultdict(list)
        self.frames: dict[PeerId, list[bytes]] = defaultdict(list)
        self.mesh = Mesh(self._send, random.Random(1))

    def _send(self, peer: PeerId, frame: bytes) -> None:
        self.frames[peer].append(frame)
        self.sent[peer] += [rpc.decode(body) for body in FrameReader().feed(frame)]

    def meets(self, count: int, *, subscribed: bool = True) -> list[PeerId]:
        peers = [PeerId(f"peer {number}") for number in range(count)]
        for peer in peers:
            self.mesh.greet(peer)
            if subscribed:
                self.mesh.heard(peer, rpc.Rpc(subscriptions=[(TOPIC, True)]), 0.0)
        return peers

    def grafted(self) -> set[PeerId]:
        return {peer for peer, said in self.sent.items() if any(TOPIC in one.graft for one in said)}

    def got(self, frame: bytes) -> set[PeerId]:
        return {peer for peer, frames in self.frames.items() if frame in frames}


def message(data: bytes) -> tuple[bytes, bytes]:
    """(id, frame)"""
    return message_id(data), rpc.message_frame(rpc.new_message(b"sender", b"1", TOPIC, data))


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_who_comes_is_told_our_topics(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    (peer,) = wire.meets(1, subscribed=False)
    assert list(wire.sent[peer][0].subscriptions) == [(TOPIC, True)]
    wire.mesh.leave(TOPIC, 1.0)
    assert list(wire.sent[peer][-1].subscriptions) == [(TOPIC, False)]


def test_the_mesh_takes_whoever_comes_first_and_is_filled_by_heartbeats(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    peers = wire.meets(20)
    assert len(wire.mesh.mesh(TOPIC)) == DEGREE_LOW
    lost = sorted(wire.mesh.mesh(TOPIC))[0]
    wire.mesh.gone(lost)
    wire.mesh.heartbeat(1.0)
    assert len(wire.mesh.mesh(TOPIC)) == DEGREE and lost not in wire.mesh.mesh(TOPIC)
    assert wire.mesh.mesh(TOPIC) < set(peers)


def test_too_many_grafts_are_refused_and_too_large_a_mesh_is_cut(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    for peer in wire.meets(20):
        wire.mesh.heard(peer, rpc.Rpc(graft=[TOPIC]), 0.0)
    assert len(wire.mesh.mesh(TOPIC)) == DEGREE_HIGH
    pruned = [peer for peer, said in wire.sent.items() if any(one.prune for one in said)]
    assert len(pruned) == 20 - DEGREE_HIGH
    wire.mesh._topics[TOPIC].add(PeerId("one more"))
    wire.mesh.heartbeat(1.0)
    assert len(wire.mesh.mesh(TOPIC)) == DEGREE


def test_a_pruned_neighbour_stays_away_as_long_as_it_was_told(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    (peer,) = wire.meets(1)
    wire.mesh.heard(peer, rpc.Rpc(prune=[(TOPIC, 7)]), 10.0)
    wire.mesh.heartbeat(16.9)
    assert wire.mesh.mesh(TOPIC) == set()
    wire.mesh.heard(peer, rpc.Rpc(graft=[TOPIC]), 16.9)  # it breaks the rule that it made: another back-off
    assert wire.mesh.mesh(TOPIC) == set() and wire.sent[peer][-1].prune == [(TOPIC, PRUNE_BACKOFF_S)]
    wire.mesh.heartbeat(18.0)
    assert wire.mesh.mesh(TOPIC) == set()
    wire.mesh.heartbeat(16.9 + PRUNE_BACKOFF_S + 0.1)
    assert wire.mesh.mesh(TOPIC) == {peer}


def test_no_back_off_lasts_for_ever(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    (peer,) = wire.meets(1)
    wire.mesh.heard(peer, rpc.Rpc(prune=[(TOPIC, 2**63)]), 0.0)
    wire.mesh.heartbeat(MAX_BACKOFF_S + 1)
    assert wire.mesh.mesh(TOPIC) == {peer}


def test_grafts_of_strangers_topics_and_unknown_ones_change_nothing(wire: Wire) -> None:
    (peer,) = wire.meets(1, subscribed=False)
    wire.mesh.heard(peer, rpc.Rpc(graft=["nope"], prune=[("nope", 5)]), 0.0)
    wire.mesh.join(TOPIC, 0.0)
    wire.mesh.heard(peer, rpc.Rpc(graft=[TOPIC]), 0.0)  # it does not follow the topic
    assert wire.mesh.mesh(TOPIC) == set() and wire.mesh._backoff == {}


def test_who_leaves_and_rejoins_is_taken_back_soon(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    (peer,) = wire.meets(1)
    wire.mesh.leave(TOPIC, 1.0)
    assert (TOPIC, REJOIN_S) in wire.sent[peer][-2].prune
    wire.mesh.join(TOPIC, 1.1)
    wire.mesh.heartbeat(1.2 + REJOIN_S)
    assert wire.mesh.mesh(TOPIC) == {peer}


def test_own_messages_go_to_many_others_to_the_mesh(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    peers = wire.meets(FLOOD_PEERS + 8)
    id, frame = message(b"ours")
    wire.mesh.publish(id, TOPIC, frame, 0.0)
    assert len(wire.got(frame)) == FLOOD_PEERS and wire.mesh.mesh(TOPIC) <= wire.got(frame)
    inside = sorted(wire.mesh.mesh(TOPIC))
    id, frame = message(b"theirs")
    wire.mesh.accepted(id, TOPIC, frame, (inside[0], inside[1]), 0.0)
    assert wire.got(frame) == set(inside[2:])
    assert id in wire.mesh.seen and peers


def test_a_message_can_be_said_where_we_do_not_listen(wire: Wire) -> None:
    (peer,) = wire.meets(1)
    id, frame = message(b"ours")
    wire.mesh.publish(id, TOPIC, frame, 0.0)
    assert wire.got(frame) == {peer}


def test_outside_the_mesh_messages_are_offered_and_sent_when_asked_for(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    peers = wire.meets(10)
    id, frame = message(b"theirs")
    wire.mesh.accepted(id, TOPIC, frame, (), 0.0)
    wire.mesh.heartbeat(1.0)
    outside = [peer for peer in peers if peer not in wire.mesh.mesh(TOPIC)]
    assert all(wire.sent[peer][-1].have == [id] for peer in outside)
    for _ in range(MAX_OFFERS + 2):
        wire.mesh.heard(outside[0], rpc.Rpc(want=[id]), 1.0)
    assert wire.frames[outside[0]].count(frame) == MAX_OFFERS
    for beat in range(HISTORY_BEATS):
        wire.mesh.heartbeat(2.0 + beat)
    wire.mesh.heard(outside[1], rpc.Rpc(want=[id]), 9.0)
    assert frame not in wire.frames[outside[1]]


def test_what_we_miss_is_asked_for_once(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    first, second = wire.meets(2)
    id, frame = message(b"missed")
    wire.mesh.heard(first, rpc.Rpc(have=[id]), 0.0)
    wire.mesh.heard(second, rpc.Rpc(have=[id]), 0.0)
    assert wire.sent[first][-1].want == [id] and not wire.sent[second][-1].want
    for beat in range(3):
        wire.mesh.heartbeat(1.0 + beat)
    wire.mesh.heard(second, rpc.Rpc(have=[id]), 4.0)  # the first did not keep its word
    assert wire.sent[second][-1].want == [id]
    wire.mesh.accepted(id, TOPIC, frame, (), 4.0)
    before = len(wire.sent[first])
    wire.mesh.heard(first, rpc.Rpc(have=[id]), 4.0)
    assert len(wire.sent[first]) == before


def test_a_neighbour_makes_us_keep_only_so_much(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    wire.mesh.join(TOPIC, 0.0)
    (peer,) = wire.meets(1)
    wire.mesh.heard(peer, rpc.Rpc(subscriptions=[(f"topic {n}", True) for n in range(2 * MAX_TOPICS)]), 0.0)
    assert len(wire.mesh._subscribers) <= MAX_TOPICS
    monkeypatch.setattr(mesh_module, "MAX_WANTED", 10)
    wire.mesh.heard(peer, rpc.Rpc(have=[bytes([n]) * 32 for n in range(100)]), 0.0)
    assert len(wire.mesh._wanted) == 10 < MAX_WANTED
    wire.mesh.gone(peer)
    wire.mesh.heartbeat(1.0)
    wire.mesh.heartbeat(2.0)
    wire.mesh.heartbeat(3.0)
    assert not wire.mesh._subscribers and not wire.mesh._subscribed and not wire.mesh._wanted


def test_saying_a_thing_a_thousand_times_costs_what_once_costs(wire: Wire) -> None:
    wire.mesh.join(TOPIC, 0.0)
    (peer,) = wire.meets(1)
    id, frame = message(b"theirs")
    wire.mesh.accepted(id, TOPIC, frame, (), 0.0)
    wire.mesh.heard(peer, rpc.Rpc(prune=[(TOPIC, 1)] * 1000), 0.0)
    before = len(wire.frames[peer])
    for _ in range(3):
        wire.mesh.heard(peer, rpc.Rpc(subscriptions=[(TOPIC, False), (TOPIC, True)] * 500), 0.5)
        wire.mesh.heard(peer, rpc.Rpc(subscriptions=[(TOPIC, False)], graft=[TOPIC] * 1000), 0.5)
    wire.mesh.heard(peer, rpc.Rpc(subscriptions=[(TOPIC, True)]), 0.5)
    said = wire.sent[peer][before:]
    assert sum(bool(one.have) for one in said) <= 1 and len(said) <= 4
    wire.mesh.heartbeat(1.0)
    wire.mesh.heard(peer, rpc.Rpc(subscriptions=[(TOPIC, False)]), 1.5)
    wire.mesh.heard(peer, rpc.Rpc(subscriptions=[(TOPIC, True)]), 1.5)
    assert sum(bool(one.have) for one in wire.sent[peer]) <= 3


def test_memories_are_bounded() -> None:
    seen = Seen()
    for number in range(MAX_SEEN + 10):
        seen.add(number.to_bytes(32, "big"), 0.0)
    assert (9).to_bytes(32, "big") not in seen and (10).to_bytes(32, "big") in seen
    seen.expire(SEEN_S + 1)
    assert (10).to_bytes(32, "big") not in seen
    cache = Cache()
    for number in range(12):
        cache.put(bytes([number]), TOPIC, bytes(MAX_CACHED_BYTES // 10))
    assert len(cache) == 10 and cache.take(b"\x00", "peer") is None
    cache.put(b"\x0b", TOPIC, b"again")  # said again: its bytes count once
    assert cache._bytes == 9 * (MAX_CACHED_BYTES // 10) + 5


def settle(nodes: int, seed: int) -> dict[PeerId, Mesh]:
    """Nodes that are all neighbours of each other, after a few heartbeats."""
    rng = random.Random(seed)
    wires: list[tuple[PeerId, PeerId, bytes]] = []
    meshes = {
        PeerId(f"node {n}"): Mesh(lambda to, frame, n=n: wires.append((PeerId(f"node {n}"), to, frame)), rng)
        for n in range(nodes)
    }

    def deliver(now: float) -> None:
        while wires:
            chosen = wires[rng.randrange(len(wires))][:2]  # any stream, but each in its order
            first = next(number for number, wire in enumerate(wires) if wire[:2] == chosen)
            sender, to, frame = wires.pop(first)
            for body in FrameReader().feed(frame):
                meshes[to].heard(sender, rpc.decode(body), now)

    for mesh in meshes.values():
        mesh.join(TOPIC, 0.0)
        for peer, other in meshes.items():
            if other is not mesh:
                mesh.greet(peer)
    for beat in range(5):
        deliver(float(beat))
        for mesh in meshes.values():
            mesh.heartbeat(beat + 0.5)
    deliver(6.0)
    return meshes


@pytest.mark.parametrize("nodes", [2, 5, 20, 40])
def test_meshes_of_many_nodes_settle(nodes: int) -> None:
    """Both ends agree, nobody is left with too few, and everybody can be reached."""
    for seed in range(3):
        meshes = settle(nodes, seed)
        links = {peer: mesh.mesh(TOPIC) for peer, mesh in meshes.items()}
        assert all(peer in links[other] for peer, others in links.items() for other in others)
        assert all(min(DEGREE_LOW, nodes - 1) <= len(others) <= DEGREE_HIGH for others in links.values())
        reached, todo = set(), [next(iter(links))]
        while todo:
            peer = todo.pop()
            if peer not in reached:
                reached.add(peer)
                todo += links[peer]
        assert reached == set(links)
