"""Catching up over the Network port: late joiners, broken lines, hostile peers, proofs, and what is provisional."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from p2pnode.core import sync_messages as wire
from p2pnode.core.ids import CircleId, PeerId
from p2pnode.core.records import encode_signed
from p2pnode.core.sync_hello import (
    Hello,
    Proof,
    Welcome,
    circle_tag,
    decode_welcome,
    encode_hello,
    encode_proof,
    make_proof,
)
from p2pnode.errors import NetworkError
from p2pnode.ports import Stream
from p2pnode.services import sync_peers, sync_session
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.sync import circle_key
from p2pnode.services.sync_peers import PROTOCOL
from p2pnode.services.sync_session import SILENCE_S
from tests.support.circle_nodes import CircleNode, pseudonym_of, until_same
from tests.support.circles import NOON, Circle, key
from tests.support.loopback import Hub, a_hub
from tests.support.waiting import until

STEWARD = "ann"


def circle_of_ann() -> Circle:
    return Circle(STEWARD, key_of=pseudonym_of)


async def founder(hub: Hub, circle: Circle, records: int = 0) -> CircleNode:
    node = CircleNode(hub, STEWARD, circle)
    await node.join()
    await node.start(hub.nursery)
    ballots = [circle.ballot(circle.steward, b"question %d" % number) for number in range(records)]
    for start in range(0, records, 100):
        await node.admit(*ballots[start : start + 100])
    return node


async def member(hub: Hub, circle: Circle, name: str) -> CircleNode:
    """A node that knows the circle's id and nothing else."""
    node = CircleNode(hub, name, circle)
    await node.join(charter=False)
    return await node.start(hub.nursery)


@pytest.mark.trio
async def test_a_late_joiner_with_only_an_address_catches_up() -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle, 300)
        await ann.write(circle.vouch(ann.key, pseudonym_of("bob")))
        bob = await member(hub, circle, "bob")
        await bob.network.connect(ann.network.addresses()[0])
        held = await until_same(ann, bob)
        assert len(held) == 302


@pytest.mark.trio
async def test_two_that_connect_need_one_session(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann, bob = await founder(hub, circle), await member(hub, circle, "bob")
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(50)
        assert await ann.held() == await bob.held()
        assert len(hub.links) == 1


@pytest.mark.trio
@pytest.mark.parametrize("caller", ["ann", "bob"])
async def test_what_does_not_fit_one_session_comes_in_the_next(caller: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_session, "MAX_SESSION_BYTES", 50_000)
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann, bob = await founder(hub, circle, 400), await member(hub, circle, "bob")
        one, other = (ann, bob) if caller == "ann" else (bob, ann)
        await one.network.connect(other.network.addresses()[0])
        await until_same(ann, bob)
        assert 2 < len(hub.links) < 8


@pytest.mark.trio
async def test_a_third_who_meets_only_the_second_gets_everything_and_gives_what_it_has() -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle, 20)
        await ann.write(*(circle.vouch(ann.key, pseudonym_of(name)) for name in ("bob", "cat")))
        bob, cat = await member(hub, circle, "bob"), await member(hub, circle, "cat")
        await bob.network.connect(ann.network.addresses()[0])
        await until_same(ann, bob)
        await ann.network.disconnect(bob.peer)
        await cat.network.connect(bob.network.addresses()[0])
        await until_same(ann, cat)
        await cat.write(circle.ballot(cat.key, b"mine"))
        assert await cat.sync.request(circle.id)
        await until_same(bob, cat)


@pytest.mark.trio
async def test_a_broken_line_keeps_what_came(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle, 400)
        bob = await member(hub, circle, "bob")
        hub.break_after = 60_000
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(5)
        some = len(await bob.held())
        assert 0 < some < 401
        hub.break_after = None
        assert await bob.sync.sync_with(ann.peer, circle.id)
        assert len(await bob.held()) == 401


@pytest.mark.trio
async def test_both_sides_know_who_the_other_proved_to_be() -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle)
        await ann.write(circle.vouch(ann.key, pseudonym_of("bob")))
        bob, eve = await member(hub, circle, "bob"), await member(hub, circle, "eve")
        for node in (bob, eve):
            await node.network.connect(ann.network.addresses()[0])
            await until_same(ann, node)
        await until(lambda: len(ann.sync.peers_of(circle.id)) == 2)
        assert bob.sync.peers_of(circle.id) == {ann.peer: ann.key.public}
        assert ann.sync.peers_of(circle.id) == {bob.peer: bob.key.public, eve.peer: eve.key.public}
        await until(lambda: ann.sync.is_member(circle.id, bob.key.public))
        assert not ann.sync.is_member(circle.id, eve.key.public)
        stranger = PeerId("zoe")
        assert ann.sync.members_first([stranger, eve.peer, bob.peer]) == [bob.peer, stranger, eve.peer]
        await ann.network.disconnect(bob.peer)
        await until(lambda: bob.peer not in ann.sync.peers_of(circle.id))


@pytest.mark.trio
async def test_a_lone_founder_is_not_provisional_and_members_are_until_they_synced() -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle)
        assert ann.sync.is_provisional(circle.id)
        await until(lambda: not ann.sync.is_provisional(circle.id))
        await ann.write(circle.vouch(ann.key, pseudonym_of("bob")))
        await until(lambda: ann.sync.is_provisional(circle.id))
        assert ann.sync.last_sync(circle.id) is None
        bob = await member(hub, circle, "bob")
        await bob.network.connect(ann.network.addresses()[0])
        await until(lambda: not ann.sync.is_provisional(circle.id))
        await until(lambda: not bob.sync.is_provisional(circle.id))
        assert ann.sync.last_sync(circle.id) == NOON


@pytest.mark.trio
async def test_strangers_learn_nothing_of_our_circles() -> None:
    async with a_hub() as hub:
        circle, other = circle_of_ann(), Circle("zoe", salt=bytes(32))
        ann = await founder(hub, circle)
        zoe = CircleNode(hub, "zoe", other)
        await zoe.store.write(lambda tx: tx.add_circle(other.id, bytes(32), NOON))
        await zoe.start(hub.nursery)
        await zoe.network.connect(ann.network.addresses()[0])
        assert not await zoe.sync.sync_with(ann.peer, other.id)
        stream = await zoe.network.open_stream(ann.peer, PROTOCOL)
        await send_frame(stream, encode_hello(Hello(bytes(16), circle_tag(other.id, bytes(16), zoe.peer, ann.peer))))
        assert await receive_frame(stream, 200) == b"\x01"
        assert ann.sync.peers_of(circle.id) == {}


@pytest.mark.trio
async def test_members_find_each_other_through_the_dht(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle, 5)
        for found in await ann.sync.circle_keys():
            await ann.network.provide(found)
        assert list(hub.providers) == [circle_key(circle.id)]
        bob = await member(hub, circle, "bob")
        assert await bob.sync.request(circle.id)
        await until_same(ann, bob)


@pytest.mark.trio
async def test_what_was_missed_comes_within_two_minutes(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle)
        bob = await member(hub, circle, "bob")
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(1)
        await ann.admit(circle.ballot(ann.key, b"later"))
        await trio.sleep(125)
        assert await ann.held() == await bob.held()


@pytest.mark.trio
async def test_own_records_are_passed_on_after_a_moment_even_without_gossip(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann, bob = await founder(hub, circle), await member(hub, circle, "bob")
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(5)
        await ann.write(circle.ballot(ann.key, b"one"), circle.ballot(ann.key, b"two"))
        sessions = len(hub.links)
        await trio.sleep(4)
        assert await ann.held() == await bob.held()
        assert len(hub.links) == sessions + 1


@pytest.mark.trio
async def test_a_circle_that_was_left_is_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann, bob = await founder(hub, circle), await member(hub, circle, "bob")
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(1)
        await bob.store.write(lambda tx: tx.remove_circle(circle.id))
        bob.admission.forget(circle.id)
        await trio.sleep(10)
        assert bob.sync.peers_of(circle.id) == {}
        assert bob.network.topics == {}
        assert not await ann.sync.sync_with(bob.peer, circle.id)


@pytest.mark.trio
async def test_joining_brings_the_circle_at_once_and_its_key_into_the_outbox() -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle, 10)
        bob = await CircleNode(hub, "bob", circle).start(hub.nursery)
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(0.05)
        await bob.join()
        await until_same(ann, bob)
        items = await bob.store.read(lambda tx: tx.due_outbox(NOON, 10))
        assert [(item.kind, item.payload) for item in items] == [("provide", circle_key(circle.id))]


# ---------------------------------------------------------------- hostile


class Hostile:
    """Speaks the protocol's bytes by hand; proves a pseudonym of its own."""

    def __init__(self, hub: Hub, circle: Circle, victim: CircleNode) -> None:
        self.network = hub.node("mallory")
        self.circle, self.victim, self.key = circle.id, victim, key("mallory")

    async def hello(self) -> Stream:
        await self.network.connect(self.victim.network.addresses()[0])
        stream = await self.network.open_stream(self.victim.peer, PROTOCOL)
        tag = circle_tag(self.circle, bytes(16), self.network.peer_id, self.victim.peer)
        await send_frame(stream, encode_hello(Hello(bytes(16), tag)))
        return stream

    async def session(self) -> Stream:
        stream = await self.hello()
        welcome = decode_welcome(await receive_frame(stream, 200) or b"")
        assert isinstance(welcome, Welcome)
        proof = make_proof(
            self.key, self.circle, prover=self.network.peer_id, verifier=self.victim.peer, nonce=welcome.nonce
        )
        await send_frame(stream, encode_proof(proof))
        return stream


async def is_reset(stream: Stream) -> bool:
    try:
        with trio.fail_after(60):
            while await stream.receive_some(4096):
                pass
    except NetworkError:
        return True
    return False


@pytest.mark.trio
@pytest.mark.parametrize(
    "frame",
    [
        b"\xff" * 100,
        bytes([wire.RECORDS | wire.LAST, 0, 3, 1, 2, 3]),
        wire.encode_records([bytes(64) + encode_signed(Circle("x").charter)[64:]])[0],
        wire.encode_records([encode_signed(Circle("x").charter)])[0],
        wire.with_flags(wire.encode_empty(), wire.LAST | wire.AGAIN),
    ],
)
async def test_breaking_the_rules_costs_points_and_changes_nothing(frame: bytes) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle, 10)
        before = await ann.held()
        stream = await Hostile(hub, circle, ann).session()
        await send_frame(stream, frame)
        assert await is_reset(stream)
        assert [peer for peer, _, _ in ann.network.penalties] == ["mallory"]
        assert await ann.held() == before


@pytest.mark.trio
async def test_a_frame_over_the_limit_costs_points() -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle)
        stream = await Hostile(hub, circle, ann).session()
        await stream.send_all(b"\x7f\xff\xff\xff")
        assert await is_reset(stream)
        assert len(ann.network.penalties) == 1


@pytest.mark.trio
async def test_a_false_proof_is_no_proof() -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle)
        hostile = Hostile(hub, circle, ann)
        stream = await hostile.hello()
        await receive_frame(stream, 200)
        await send_frame(stream, encode_proof(Proof(pseudonym_of("bob").public, bytes(64))))
        assert await is_reset(stream)
        assert ann.sync.peers_of(circle.id) == {}
        assert len(ann.network.penalties) == 1


@pytest.mark.trio
async def test_silence_ends_a_session(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle)
        for begin in (Hostile(hub, circle, ann).hello, Hostile(hub, circle, ann).session):
            stream = await begin()
            since = trio.current_time()
            assert await is_reset(stream)
            assert trio.current_time() - since <= SILENCE_S + 1
        assert ann.network.penalties == []


@pytest.mark.trio
async def test_too_many_sessions_are_refused_for_a_while(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann = await founder(hub, circle)
        answers = []
        for _ in range(20):
            stream = await Hostile(hub, circle, ann).hello()
            answers.append((await receive_frame(stream, 200) or b"")[:1])
            await stream.aclose()
        assert answers[:12] == [b"\x00"] * 12
        assert answers[12:] == [b"\x02"] * 8


@pytest.mark.trio
async def test_only_records_of_the_circle_are_handed_out() -> None:
    async with a_hub() as hub:
        circle, other = circle_of_ann(), Circle("other", salt=bytes(32))
        ann = await founder(hub, circle)
        secret = other.vouch(other.steward, key("a"))
        await ann.store.write(lambda tx: tx.put_record(secret))
        stream = await Hostile(hub, circle, ann).session()
        await send_frame(stream, wire.with_flags(wire.encode_want([secret.id, circle.charter.id]), wire.LAST))
        frame = wire.decode_frame(await receive_frame(stream, 40_000) or b"")
        assert frame.records == (encode_signed(circle.charter),)


@pytest.mark.trio
async def test_equal_circles_cost_about_338_bytes(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = circle_of_ann()
        ann, bob = await founder(hub, circle, 400), await member(hub, circle, "bob")
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(10)
        assert await ann.held() == await bob.held()
        assert await bob.sync.sync_with(ann.peer, circle.id)
        assert 330 <= hub.links[-1].bytes <= 375  # 254 to introduce each other


def test_circle_keys_are_the_protocols() -> None:
    assert circle_key(CircleId(bytes(32))).hex() == "be79df19cc8a0a5f9f343c708a003f281d882b29509c78ce3824bce8ef406b10"


@pytest.mark.trio
async def test_peers_that_go_in_the_middle_of_a_session_are_not_remembered_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sync_peers, "REMEMBERED_PAIRS", 3)
    async with a_hub() as hub:
        peers = (await founder(hub, circle_of_ann())).sync._peers
        pairs = [(CircleId(bytes(32)), PeerId(f"peer {number}")) for number in range(10)]
        for pair in pairs:
            peers.gone(pair[1])  # before the session notices
            peers._met(pair)
        assert list(peers._ended_at) == pairs[-3:]
