"""P1 and P2 together: nodes that each got another part of a circle's history, in another order, end equal by sync alone."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from p2pnode.core.admission import Caps
from p2pnode.core.charter import Charter
from p2pnode.core.verdict import CircleView
from tests.support.circle_nodes import CircleNode, pseudonym_of
from tests.support.circles import DAY_S, NOON, Circle, history
from tests.support.loopback import a_hub

CAPS = Caps(registers=6, permanents=3)
"""Small, so that every run drops records, and with them introductions."""


@pytest.mark.trio
@pytest.mark.parametrize("seed", range(10))
async def test_partitions_heal_to_the_same_records_and_the_same_verdicts(
    seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    rng = random.Random(seed)
    circle = Circle("ann", key_of=pseudonym_of)
    records = history(circle, rng)
    async with a_hub() as hub:
        nodes = [CircleNode(hub, name, circle, caps=CAPS) for name in ("ann", "bob", "cat", "dan")]
        for node in nodes:
            await node.join(charter=False)
            for record in rng.sample(records, rng.randrange(len(records) // 3, len(records))):
                await node.admit(record)
            await node.start(hub.nursery)
        for _ in range(6):  # every pair in a random order, until a round brings nothing new
            pairs = [(one, other) for one in nodes for other in nodes if one is not other]
            for one, other in rng.sample(pairs, len(pairs)):
                assert await one.sync.sync_with(other.peer, circle.id)
                await trio.sleep(6)  # a peer may begin one session in five seconds
        held = [await node.held() for node in nodes]
        assert held[0] == held[1] == held[2] == held[3]
        assert len(held[0]) > 10
        views = [CircleView(Charter.of(circle.charter), records, NOON // DAY_S) for records in held]
        explained = [[view.explain(asked.question.id) for asked in view.questions()] for view in views]
        assert explained[0] == explained[1] == explained[2] == explained[3]
        sessions = len(hub.links)
        assert await nodes[0].sync.sync_with(nodes[1].peer, circle.id)
        assert hub.links[sessions].bytes < 450, "they still try to give each other what is not kept"
