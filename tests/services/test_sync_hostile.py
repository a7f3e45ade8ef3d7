"""Attacks 16 to 19 through the real services: what they cost, that nothing we hold changes, and that honest peers are not kept out."""

from __future__ import annotations

import contextlib
import random
from itertools import pairwise

import pytest
import trio
import trio.testing

from p2pnode.core import reconcile
from p2pnode.core import sync_messages as wire
from p2pnode.core.gossip_frame import encode_frames
from p2pnode.core.ids import PeerId, RecordId
from p2pnode.core.records import encode_signed
from p2pnode.core.sync_index import SyncIndex, fingerprint
from p2pnode.core.sync_messages import KeyRange
from p2pnode.errors import NetworkError
from p2pnode.services import circle_set
from p2pnode.services.sync import INTERVAL_S
from p2pnode.services.sync_days import DAY_S
from p2pnode.services.sync_session import SESSION_S, SILENCE_S
from p2pnode.sim.faults import Faults
from p2pnode.sim.stream import WINDOW_BYTES
from tests.support.circle_nodes import CircleNode, pseudonym_of, until_same
from tests.support.circles import Circle, key
from tests.support.hostile_sync import HostileSync, sybil
from tests.support.loopback import Hub, a_hub

WRONG = bytes(16)


async def victim(hub: Hub, records: int = 400) -> tuple[CircleNode, Circle]:
    circle = Circle("ann", key_of=pseudonym_of)
    ann = CircleNode(hub, "ann", circle)
    await (await ann.join()).start(hub.nursery)  # type: ignore[attr-defined]
    await ann.admit(*(circle.ballot(circle.steward, b"question %d" % number) for number in range(records)))
    return ann, circle


async def newcomer(hub: Hub, circle: Circle, name: str = "bob") -> CircleNode:
    node = CircleNode(hub, name, circle)
    await node.join(charter=False)
    return await node.start(hub.nursery)


async def many_ranges(peer: HostileSync) -> None:
    """A million ranges, a thousand in each frame, none of which agrees."""
    bounds = [bytes([high, low, 1]) for high in range(1, 5) for low in range(250)]
    frame, taken = wire.encode_ranges(wire.REST, [KeyRange(a, b, WRONG) for a, b in pairwise(bounds)])
    assert taken == 999
    for _ in range(1000):
        await peer.say(*[frame] * 15)
        await peer.hear()


async def endless_splits(peer: HostileSync) -> None:
    """Whatever the victim says of a range, it differs."""
    said = [KeyRange(b"", None, WRONG)]
    while True:
        await peer.say(wire.encode_ranges(wire.REST, said)[0])
        heard = [entry for frame in await peer.hear() for entry in frame.ranges]
        said = [KeyRange(entry.lower, entry.upper, WRONG) for entry in heard] or [KeyRange(b"", None, WRONG)]


async def huge_lists(peer: HostileSync) -> None:
    """Ids that do not exist, named and wanted by the ten thousand."""
    for turn in range(1000):
        names = [RecordId(turn.to_bytes(2, "big") + number.to_bytes(30, "big")) for number in range(1000)]
        await peer.say(
            *[wire.encode_want(names)] * 10,
            wire.encode_ranges(wire.REST, [KeyRange(b"\xff", None, tuple(names[:32]))])[0],
        )
        await peer.hear()


async def records_nobody_asked_for(peer: HostileSync) -> None:
    """Well signed records of strangers, as many as a turn carries."""
    circle = Circle("ann", key_of=pseudonym_of)
    made = [encode_signed(circle.ballot(key(f"stranger {n}"), b"q", reason="r" * 400)) for n in range(60)]
    frames = [wire.encode_records(made[at : at + 10])[0] for at in range(0, 60, 10)]
    while True:
        await peer.say(*frames)
        await peer.hear()


async def all_of_it_again(peer: HostileSync) -> None:
    """To hold nothing, said again and again, so that everything is sent again and again."""
    nothing = wire.encode_ranges(wire.REST, [KeyRange(b"", None, ())])[0]
    while True:
        await peer.say(*[nothing] * 15)
        await peer.hear()


async def salted_again(peer: HostileSync) -> None:
    """A session that reads every key, over and over."""
    whole = wire.encode_ranges(wire.REST, [KeyRange(b"", None, WRONG)])[0]
    first = [wire.encode_salt(WRONG)]
    while True:
        await peer.say(*first, *[whole] * 12)
        first = []
        await peer.hear()


HONEST, SYBILS = 50, 12


def pairs_across(rng: random.Random) -> list[tuple[int, int]]:
    """One link for each node beside the ring."""
    order = rng.sample(range(HONEST), HONEST)
    return [
        (one, other)
        for one, other in zip(order[::2], order[1::2], strict=True)
        if abs(one - other) not in (1, HONEST - 1)
    ]


ATTACKS = [many_ranges, endless_splits, huge_lists, records_nobody_asked_for, all_of_it_again, salted_again]


@pytest.mark.trio
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_17_abuse_ends_at_the_caps_and_honest_peers_are_served(
    attack: object, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(reconcile, "MAX_RANGES", 1 << 13)  # an eighth of it, to be quick
    async with a_hub() as hub:
        ann, circle = await victim(hub)
        before = await ann.held()
        peer = await HostileSync(hub, circle, ann).begin()
        with contextlib.suppress(NetworkError):
            await attack(peer)  # type: ignore[operator]
            pytest.fail("it was never cut")
        assert peer.sent + peer.heard <= reconcile.MAX_SESSION_BYTES + WINDOW_BYTES
        assert await ann.held() == before
        bob = await newcomer(hub, circle)
        await bob.network.connect(ann.network.addresses()[0])
        await until_same(ann, bob, deadline_s=120)


@pytest.mark.trio
async def test_17_a_slow_drip_holds_a_place_for_a_minute_at_most(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        ann, circle = await victim(hub)
        peer = await HostileSync(hub, circle, ann).begin()
        began = trio.current_time()
        with contextlib.suppress(NetworkError):
            for byte in bytes(1000):
                await peer.stream.send_all(bytes([byte]))
                await trio.sleep(SILENCE_S - 1)
        assert trio.current_time() - began <= SESSION_S + SILENCE_S


@pytest.mark.trio
async def test_17_who_breaks_the_rules_again_and_again_is_banned_and_who_is_useless_is_left_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_hub() as hub:
        ann, circle = await victim(hub)
        for _ in range(5):  # a point is forgiven every minute
            peer = await HostileSync(hub, circle, ann).begin()
            await peer.say(wire.encode_records([bytes(100)])[0])
            with contextlib.suppress(NetworkError):
                await peer.hear()
            await trio.sleep(10)
        assert [ban.peer for ban in ann.network.banned()] == ["mallory"]
        with pytest.raises(NetworkError):
            await HostileSync(hub, circle, ann).begin()


@pytest.mark.trio
async def test_18_crafted_collisions_are_found_within_a_day(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """With fingerprints of no bits at all everything looks equal, for ever, but to a salted session."""
    monkeypatch.setattr(
        circle_set, "SyncIndex", lambda *a, **k: SyncIndex(*a, **k, print_of=lambda total, count: WRONG)
    )
    async with a_hub() as hub:
        ann, circle = await victim(hub, 60)
        bob = CircleNode(hub, "bob", circle)
        await (await bob.join()).start(hub.nursery)  # type: ignore[attr-defined]
        await bob.admit(*(circle.ballot(circle.steward, b"hidden %d" % number) for number in range(60)))
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(60)
        assert await ann.held() != await bob.held()
        await trio.sleep(DAY_S / 3)
        assert await ann.held() == await bob.held()
        salted = [link for link in hub.links if link.bytes > 2000]
        assert len(salted) <= 3, "once a day from each side is enough"


@pytest.mark.trio
async def test_18_eight_bits_hide_records_for_some_sessions_only(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    def weak(total: int, count: int) -> bytes:
        return fingerprint(total, count)[:1] * 16

    monkeypatch.setattr(circle_set, "SyncIndex", lambda *a, **k: SyncIndex(*a, **k, print_of=weak))
    async with a_hub() as hub:
        ann, circle = await victim(hub, 400)
        bob = await newcomer(hub, circle)
        held = await ann.held()
        await bob.admit(*held[::2])
        await bob.network.connect(ann.network.addresses()[0])
        await trio.sleep(DAY_S / 3)
        assert await bob.held() == held


@pytest.mark.trio
async def test_16_a_late_joiner_among_sybils_says_provisional_until_it_meets_the_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_hub() as hub:
        ann, circle = await victim(hub, 20)
        people = [pseudonym_of(name) for name in ("cat", "dan", "eve")]
        await ann.write(*(circle.vouch(ann.key, one) for one in people))
        bad = pseudonym_of("mallory")
        sybils = [CircleNode(hub, f"sybil {number}", circle) for number in range(8)]
        vouches = [circle.vouch(ann.key, bad), *(circle.vouch(bad, sybil.key) for sybil in sybils)]
        for sybil in sybils:
            await (await sybil.join()).start(hub.nursery)  # type: ignore[attr-defined]
            await sybil.admit(*vouches)
        bob = await newcomer(hub, circle)
        for sybil in sybils:
            await bob.network.connect(sybil.network.addresses()[0])
        await trio.sleep(600)
        assert len(await bob.held()) == 1 + len(vouches), "they show their own records only"
        assert bob.sync.is_provisional(circle.id), "all of them were vouched for by one"
        await bob.network.connect(ann.network.addresses()[0])
        await until_same(ann, bob, deadline_s=300)


@pytest.mark.trio
async def test_19_a_flood_of_old_records_in_new_wraps_is_not_relayed_and_a_ballot_comes_through(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Eight of ten neighbours are Sybils that wrap old records anew, a hundred frames a second each."""
    async with a_hub() as hub:
        ann, circle = await victim(hub, 64)
        bob = await newcomer(hub, circle)
        await bob.network.connect(ann.network.addresses()[0])
        old = [encode_signed(record) for record in await until_same(ann, bob)]
        relayed = verified = 0
        for number in range(800):
            sybil = PeerId(f"sybil {number % 8}")
            for frame in encode_frames([old[number % len(old)], old[(number * 7) % len(old)]]):
                verified += 1
                relayed += bob.gossip.validate(circle.id, sybil, frame)
        assert relayed == 0
        news = circle.ballot(ann.key, b"news")
        await ann.write(news)
        await ann.gossip.publish_records(circle.id, [encode_signed(news)])
        assert news in await until_same(ann, bob)


@pytest.mark.trio
@pytest.mark.parametrize("seed", range(2))
async def test_19_with_four_sybils_in_five_connections_a_ballot_is_everywhere_within_two_periods(
    seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    """Fifty nodes with three honest neighbours each and twelve that swallow gossip and settle every session at once."""
    rng = random.Random(seed)
    async with a_hub() as hub:
        hub.rng, hub.faults = random.Random(seed), Faults(latency_s=(0.01, 0.4), gossip_loss=0.3)
        circle = Circle("ann", key_of=pseudonym_of)
        names = ["ann", *(f"person {number}" for number in range(HONEST - 1))]
        vouches = [circle.vouch(circle.steward, pseudonym_of(name)) for name in names]
        nodes = [await CircleNode(hub, name, circle).join() for name in names]
        for node in nodes:
            await node.admit(*vouches)
            await node.start(hub.nursery)  # type: ignore[attr-defined]
        sybils = [sybil(hub, circle.id, f"sybil {number}") for number in range(SYBILS)]
        for number, node in enumerate(nodes):
            for other in (*sybils, nodes[(number + 1) % HONEST].network):
                await node.network.connect(other.addresses()[0])
        for one, other in pairs_across(rng):
            await nodes[one].network.connect(nodes[other].network.addresses()[0])
        await trio.sleep(200)
        author = rng.choice(nodes)
        ballot = circle.ballot(author.key, b"q")  # type: ignore[attr-defined]
        await author.write(ballot)  # type: ignore[attr-defined]
        await author.gossip.publish_records(circle.id, [encode_signed(ballot)])  # type: ignore[attr-defined]
        await trio.sleep(2 * INTERVAL_S[1])
        without = [node for node in nodes if ballot not in await node.held()]
        assert len(without) == 0
