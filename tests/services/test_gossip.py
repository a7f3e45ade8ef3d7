"""Gossip: what is relayed, what is not and for how long, and that it all ends behind the one door."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from p2pnode.core.gossip_frame import MAX_RECORDS, circle_topic, encode_frames
from p2pnode.core.ids import PeerId
from p2pnode.core.record import Record
from p2pnode.core.records import encode_signed
from p2pnode.services.gossip import FORWARDED_BURST, KEPT_VERDICTS, WRITTEN_BURST
from tests.support.circle_nodes import CircleNode, pseudonym_of, until_same
from tests.support.circles import Circle, key
from tests.support.loopback import Hub, a_hub
from tests.support.waiting import until

NEIGHBOUR = PeerId("neighbour")


def frame_of(*records: Record) -> bytes:
    (frame,) = encode_frames([encode_signed(record) for record in records])
    return frame


async def ann_alone(hub: Hub) -> tuple[CircleNode, Circle]:
    circle = Circle("ann", key_of=pseudonym_of)
    ann = CircleNode(hub, "ann", circle)
    await ann.join()
    return await ann.start(hub.nursery), circle


@pytest.mark.trio
async def test_a_ballot_reaches_a_neighbour_of_a_neighbour() -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        nodes = [ann]
        for name in ("bob", "cat"):
            node = CircleNode(hub, name, circle)
            await node.join()
            await node.start(hub.nursery)
            await node.network.connect(nodes[-1].network.addresses()[0])
            nodes.append(node)
        await until_same(*nodes)
        ballot = circle.ballot(ann.key, b"q")
        await ann.write(ballot)
        await ann.gossip.publish_records(circle.id, [encode_signed(ballot)])
        assert ballot in await until_same(*nodes)


@pytest.mark.trio
async def test_news_of_a_known_author_is_relayed_once() -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        ballot = circle.ballot(circle.steward, b"q")
        assert ann.gossip.validate(circle.id, NEIGHBOUR, frame_of(ballot))
        ann.gossip.deliver(circle.id, NEIGHBOUR, frame_of(ballot))
        await trio.testing.wait_all_tasks_blocked()
        assert ballot in await ann.held()
        assert not ann.gossip.validate(circle.id, NEIGHBOUR, frame_of(ballot))
        rewrapped = frame_of(ballot, circle.charter)
        assert not ann.gossip.validate(circle.id, NEIGHBOUR, rewrapped)
        assert ann.gossip.validate(circle.id, NEIGHBOUR, frame_of(ballot, circle.ballot(circle.steward, b"other")))


@pytest.mark.trio
async def test_strangers_records_are_not_relayed_but_wait_for_their_vouch() -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        ballot, vouch = circle.ballot(key("a"), b"q"), circle.vouch(circle.steward, key("a"))
        assert not ann.gossip.validate(circle.id, NEIGHBOUR, frame_of(ballot))
        await trio.testing.wait_all_tasks_blocked()
        assert ballot not in await ann.held()
        await ann.admit(vouch)
        assert ballot in await ann.held()


@pytest.mark.trio
async def test_a_badly_signed_copy_does_not_censor_the_good_record() -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        good = encode_signed(circle.ballot(circle.steward, b"q"))
        (bad_frame,), (good_frame,) = encode_frames([bytes(64) + good[64:]]), encode_frames([good])
        assert not ann.gossip.validate(circle.id, NEIGHBOUR, bad_frame)
        assert not ann.gossip.validate(circle.id, NEIGHBOUR, bad_frame)
        assert ann.gossip.validate(circle.id, NEIGHBOUR, good_frame)


@pytest.mark.trio
async def test_rubbish_and_other_circles_records_are_refused() -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        other = Circle("other", salt=bytes(32))
        for frame in (b"", b"rubbish", bytes(70_000), frame_of(other.charter)):
            assert not ann.gossip.validate(circle.id, NEIGHBOUR, frame)


@pytest.mark.trio
async def test_verdicts_on_rubbish_are_remembered_within_bounds() -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        for number in range(KEPT_VERDICTS + 50):
            ann.gossip.validate(circle.id, PeerId(f"peer {number}"), b"rubbish %d" % number)
        assert len(ann.gossip._bad) == KEPT_VERDICTS


@pytest.mark.trio
async def test_a_forwarder_past_its_rate_waits_and_what_it_brought_is_not_held_against_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        accepted = 0
        for number in range(2 * FORWARDED_BURST):
            author = key(f"author {number}")
            await ann.admit(circle.vouch(circle.steward, author))
            frame = frame_of(circle.ballot(author, b"q"))
            accepted += ann.gossip.validate(circle.id, NEIGHBOUR, frame)
        assert accepted == FORWARDED_BURST
        assert ann.gossip.validate(circle.id, PeerId("another"), frame)
        await trio.sleep(1)
        assert ann.gossip.validate(circle.id, NEIGHBOUR, frame)


@pytest.mark.trio
async def test_an_author_past_its_rate_is_left_to_sync(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        frames = [frame_of(circle.ballot(circle.steward, b"%d" % number)) for number in range(WRITTEN_BURST + 10)]
        accepted = [
            ann.gossip.validate(circle.id, PeerId(f"peer {number}"), frame) for number, frame in enumerate(frames)
        ]
        assert accepted == [True] * WRITTEN_BURST + [False] * 10
        await trio.sleep(1)
        assert [ann.gossip.validate(circle.id, PeerId("late"), frame) for frame in frames[-3:]] == [True, True, False]


@pytest.mark.trio
async def test_a_full_frame_is_admitted_whole() -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        frame = frame_of(*(circle.ballot(circle.steward, b"%d" % number) for number in range(MAX_RECORDS)))
        assert ann.gossip.validate(circle.id, NEIGHBOUR, frame)
        ann.gossip.deliver(circle.id, NEIGHBOUR, frame)
        await trio.testing.wait_all_tasks_blocked()
        assert len(await ann.held()) == 1 + MAX_RECORDS


@pytest.mark.trio
async def test_more_frames_than_can_wait_are_dropped_not_kept() -> None:
    async with a_hub() as hub:
        ann, circle = await ann_alone(hub)
        frame = frame_of(circle.ballot(circle.steward, b"q"))
        for _ in range(5000):
            ann.gossip.deliver(circle.id, NEIGHBOUR, frame)
        await trio.testing.wait_all_tasks_blocked()
        assert len(await ann.held()) == 2


@pytest.mark.trio
async def test_topics_follow_the_circles_that_we_are_in(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        circle = Circle("ann", key_of=pseudonym_of)
        bob = await CircleNode(hub, "bob", circle).start(hub.nursery)
        assert bob.network.topics == {}
        await bob.join()
        await until(lambda: list(bob.network.topics) == [circle_topic(circle.id)])
        await bob.store.write(lambda tx: tx.remove_circle(circle.id))
        bob.admission.forget(circle.id)
        await trio.sleep(10)
        assert bob.network.topics == {}
        await bob.gossip.publish_records(circle.id, [encode_signed(circle.charter)])
