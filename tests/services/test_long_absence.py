"""Nodes that were apart for long: a month away, partitions that decided differently, records that nobody could admit at the time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
import trio.testing

from p2pnode.core import explain
from p2pnode.core.charter import Charter, follow
from p2pnode.core.ids import QuestionId
from p2pnode.core.proposals import propose
from p2pnode.core.record import Record
from p2pnode.core.verdict import CircleView
from tests.support.circle_nodes import CircleNode, pseudonym_of, until_same
from tests.support.circles import DAY_S, NOON, Circle
from tests.support.loopback import Hub, a_hub

MONTH_S = 30 * DAY_S
ANN, BOB, CAT, DAN = (pseudonym_of(name) for name in ("ann", "bob", "cat", "dan"))


async def node(hub: Hub, circle: Circle, name: str, *, quarantine_bytes: int = 1 << 20) -> CircleNode:
    made = CircleNode(hub, name, circle)
    made.admission._quarantine._limit = quarantine_bytes
    return await (await made.join()).start(hub.nursery)  # type: ignore[attr-defined, no-any-return]


async def view(node: CircleNode) -> CircleView:
    held = await node.held()
    return CircleView(Charter.of(node.circle.charter), held, int(node.now) // DAY_S)


async def said(node: CircleNode) -> list[bytes]:
    """Every verdict, as bytes."""
    seen = await view(node)
    return [explain.canonical(seen.explain(asked.question.id)) for asked in seen.questions()]


def new_rules(circle: Circle, *, created: int) -> tuple[Record, Record, Record]:
    """A charter of longer vouches upon the first one, the question about it, and the only steward's ballot: in force at once."""
    first = Charter.of(circle.charter)
    charter = follow(circle.steward, first, replace(first, name="New"), **circle._at(circle.steward, created, None))
    asked = propose(
        circle.steward,
        circle=circle.id,
        class_="charter",
        subject=circle.id,
        base=circle.charter.id,
        patch={"charter": charter.id},
        reason="",
        **circle._at(circle.steward, created, None),
    )
    return charter, asked, circle.ballot(circle.steward, asked.target, created=created)


@pytest.mark.trio
async def test_after_a_month_away_a_node_says_what_the_others_say(autojump_clock: trio.testing.MockClock) -> None:
    """While it was away vouches ran out, people came, rules changed and it was voted; it had voted, too, without a network."""
    async with a_hub() as hub:
        circle = Circle("ann", key_of=pseudonym_of)
        ann, bob = await node(hub, circle, "ann"), await node(hub, circle, "bob")
        old = NOON - (Charter.of(circle.charter).vouch_days - 10) * DAY_S
        asked = circle.proposal(ANN, b"work")
        await ann.admit(circle.vouch(ANN, BOB), circle.vouch(ANN, CAT, created=old), asked)
        await bob.network.connect(ann.network.addresses()[0])
        await until_same(ann, bob, deadline_s=60)
        bob.network.online = False
        await bob.write(circle.ballot(BOB, asked.target, "reject"))
        ann.now = bob.now = float(NOON + MONTH_S)
        later = NOON + MONTH_S - DAY_S
        await ann.admit(circle.vouch(ANN, DAN, created=later), circle.ballot(DAN, asked.target, created=later))
        await ann.admit(*(circle.ballot(ANN, b"other %d" % n, created=later) for n in range(300)))
        await ann.admit(*new_rules(circle, created=later))
        assert CAT.public not in (await view(ann)).members, "its vouch ran out"
        bob.network.online = True
        await bob.network.connect(ann.network.addresses()[0])
        await until_same(ann, bob, deadline_s=60)
        assert (await view(bob)).charter.name == "New"
        assert await said(bob) == await said(ann)
        assert {ballot.key for ballot in (await view(ann)).ballots(QuestionId(asked.target))} == {
            BOB.public,
            DAN.public,
        }


@pytest.mark.trio
async def test_partitions_that_decided_differently_agree_once_they_meet(autojump_clock: trio.testing.MockClock) -> None:
    """One half adopts what the other half rejects, each by its own ballots; healed, both count all of them and say the same bytes."""
    async with a_hub() as hub:
        circle = Circle("ann", key_of=pseudonym_of)
        nodes = [await node(hub, circle, name) for name in ("ann", "bob", "cat", "dan")]
        keys = [ANN, BOB, CAT, DAN]
        asked = circle.proposal(ANN, b"work")
        for one in nodes:
            await one.admit(asked, *(circle.vouch(ANN, key) for key in keys[1:]))
        hub.part({one.network.peer_id: number // 2 for number, one in enumerate(nodes)})
        for number, (one, key) in enumerate(zip(nodes, keys, strict=True)):
            await one.write(circle.ballot(key, asked.target, "approve" if number < 2 else "reject"))
        for left, right in ((0, 1), (2, 3)):
            await nodes[left].network.connect(nodes[right].network.addresses()[0])
            await until_same(nodes[left], nodes[right], deadline_s=60)
        decided = [(await view(one)).decide(QuestionId(asked.target)).tally.outcome for one in nodes]
        assert decided == ["adopted", "adopted", "rejected", "rejected"]
        hub.part({})
        await nodes[3].network.connect(nodes[0].network.addresses()[0])
        await nodes[1].network.connect(nodes[2].network.addresses()[0])
        await trio.sleep(600)
        await until_same(*nodes, deadline_s=60)
        told = [await said(one) for one in nodes]
        assert told[0] == told[1] == told[2] == told[3]


@pytest.mark.trio
async def test_what_the_quarantine_dropped_comes_again_once_its_author_is_known(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_hub() as hub:
        circle = Circle("ann", key_of=pseudonym_of)
        ann, bob = await node(hub, circle, "ann"), await node(hub, circle, "bob", quarantine_bytes=5000)
        vouch = circle.vouch(ANN, CAT)
        ballots = [circle.ballot(CAT, b"%d" % number) for number in range(50)]
        await ann.admit(vouch, *ballots)
        await bob.admit(*ballots)  # by gossip, say, before the vouch
        assert len(bob.admission._quarantine) < 10
        assert bob.admission._quarantine.bytes <= 5000
        await bob.admit(vouch)
        assert 2 < len(await bob.held()) < 12
        await bob.network.connect(ann.network.addresses()[0])
        assert len(await until_same(ann, bob, deadline_s=60)) == 52
