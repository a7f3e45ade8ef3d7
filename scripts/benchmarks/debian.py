"""Three ways to count on the Debian vouch graph: how many bogus votes four well-placed insiders cast, and how many honest ones count.

Each insider vouches for a thousand made-up keys, all of which vote. The stewards, who are SumUp's collector one after the other, are the
four who signed most keys; insiders are the four next. Printed by `scripts/bench debian`; the same table stands in the threat model.
"""

from __future__ import annotations

import random
from pathlib import Path

from p2pnode.core.charter import Charter, Class
from p2pnode.core.ids import CircleId, PublicKey, QuestionId, RecordId
from p2pnode.core.membership import Membership
from p2pnode.core.proposals import Question
from p2pnode.core.records import APPROVE, REJECT
from p2pnode.core.standing import Ballot
from p2pnode.core.tally import Counter, Tally
from scripts.benchmarks.figures import Figure
from tests.core import debian
from tests.core.sumup import SumUp, one_key_one_vote

STEWARDS, INSIDERS, SWARM_EACH = 4, 4, 1_000
DECISIONS, VOTERS, AGAINST = 20, 120, 0.6
"""Decisions that the honest do not favour: voters of each, and the part of them that is against."""


class Attacked:
    """The graph with its insiders' swarms; `honest` and `swarm` are members' numbers."""

    def __init__(self) -> None:
        graph = debian.vouches()
        busiest = sorted(graph, key=lambda key: (-len(graph[key]), key))
        self.stewards = tuple(sorted(busiest[:STEWARDS]))
        reached = Membership.of(self.stewards, graph).keys
        insiders = [key for key in busiest[STEWARDS:] if key in reached][:INSIDERS]
        minted = [debian.number_key(100_000 + number) for number in range(INSIDERS * SWARM_EACH)]
        for place, insider in enumerate(insiders):
            graph[insider] = [*graph[insider], *minted[place * SWARM_EACH : (place + 1) * SWARM_EACH]]
        self.members = Membership.of(self.stewards, graph)
        index = self.members.index
        self.swarm = [index[key] for key in (*insiders, *minted)]
        self.honest = [index[key] for key in reached if key not in insiders]

    def ours(self, approve: list[int], reject: list[int]) -> Tally:
        """K = 3, one bad steward tolerated, lists of the grown profile."""
        named = CircleId(bytes(32))
        rules = Charter(
            RecordId(named), named, bytes(32), "Debian", "", self.stewards, 1, 3, {"list": Class(b=INSIDERS, q=3)}, 365
        )
        question = Question(QuestionId(bytes(32)), named, "list", bytes(32), b"", {})
        sides = ((APPROVE, approve), (REJECT, reject))
        ballots = [Ballot(self._key(one), choice, ()) for choice, side in sides for one in side]
        return Counter(rules, self.members).count(question, ballots)

    def _key(self, number: int) -> PublicKey:
        return self.members.keys[number]


def debian_table(_folder: Path) -> list[Figure]:
    """The rows of the table."""
    graph = Attacked()
    honest, swarm = graph.honest, graph.swarm
    sumup = [SumUp(graph.members, graph.members.index[key], len(honest)) for key in graph.stewards]
    bogus_ours = max(len(one.approve) for one in graph.ours(swarm, []).sets)
    bogus_sumup = max(one.collected(swarm) for one in sumup)
    all_ours = min(len(one.approve) for one in graph.ours(honest, []).sets)
    all_sumup = min(one.collected(honest) for one in sumup)
    note = f"{len(swarm):,} bogus keys behind {INSIDERS} insiders; {len(honest)} honest members"
    figures = [
        Figure("bogus votes: one key one vote", one_key_one_vote(graph.members, swarm), "votes", note=note),
        Figure("bogus votes: SumUp, worst collector", bogus_sumup, "votes"),
        Figure("bogus votes: ours, worst steward set", bogus_ours, "votes"),
        Figure("honest votes: one key one vote", one_key_one_vote(graph.members, honest), "votes"),
        Figure("honest votes: SumUp, worst collector", all_sumup, "votes"),
        Figure("honest votes: ours, worst steward set", all_ours, "votes"),
    ]
    wrong = _wrongly_adopted(graph, sumup[0])
    said = f"of {DECISIONS} that {AGAINST:.0%} of {VOTERS} honest voters refuse and the swarm approves"
    return figures + [
        Figure(f"wrongly adopted: {name}", count, "", note=said if place == 0 else "")
        for place, (name, count) in enumerate(wrong.items())
    ]


def _wrongly_adopted(graph: Attacked, sumup: SumUp) -> dict[str, int]:
    rng = random.Random(5)
    adopted = {"one key one vote": 0, "SumUp, majority": 0, "ours": 0}
    for _ in range(DECISIONS):
        voters = rng.sample(graph.honest, VOTERS)
        reject = voters[: round(VOTERS * AGAINST)]
        approve = voters[len(reject) :] + graph.swarm
        adopted["one key one vote"] += len(approve) > len(reject)
        adopted["SumUp, majority"] += sumup.collected(approve) > sumup.collected(reject)
        adopted["ours"] += graph.ours(approve, reject).outcome == "adopted"
    return adopted
