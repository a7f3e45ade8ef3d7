"""The tally: whether a question is adopted, by the rule that no number of made-up keys can bend (design 4.3).

For every steward set Q = S minus f stewards, A_Q and R_Q are the ballots for and against that count (`core.flow`). A question is
*adopted* iff for every such Q: A_Q - R_Q > B x K, A_Q >= q, and A_Q >= 2 R_Q where the class asks for a supermajority. For the
recall of a steward only the sets without that steward are asked; with f = 0 there are none, and then nothing is adopted.
*Rejected* is the mirror image, with R and A exchanged and the same B, q and supermajority: what honest flow does not disfavour
is never called rejected either. It is a word for readers and has no consequence; everything else is *undecided*.
A graph that costs more than ARC_BUDGET leaves its question *pending*, on every node alike.

Safety: with at most B bad keys, at most f of them stewards, what honest flow does not favour is never adopted. Pure integers and
keys; reads no records. Called by `core.verdict`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from p2pnode.core.charter import Charter, Class
from p2pnode.core.flow import Budget, BudgetSpent, FlowGraph, StewardNetwork
from p2pnode.core.ids import CircleId, PublicKey
from p2pnode.core.membership import Membership
from p2pnode.core.proposals import Question
from p2pnode.core.records import APPROVE, REJECT
from p2pnode.core.standing import Ballot

Outcome = Literal["adopted", "rejected", "undecided", "pending"]
ARC_BUDGET = 500_000_000
"""Arcs looked at for one question: about a minute of one core. Ten thousand members with 80,000 vouches spend 1 M a steward set."""
NETWORKS_KEPT = 16
"""Steward sets whose network stays in memory between questions: some 3 MB each in a circle of 10,000."""
STEWARDS_CLASS = "stewards"


@dataclass(frozen=True, slots=True)
class SetTally:
    """The ballots that count for one steward set: S without `left_out` (sorted). Voters are in the order they were counted."""

    left_out: tuple[PublicKey, ...]
    approve: tuple[PublicKey, ...]
    reject: tuple[PublicKey, ...]

    @property
    def margin(self) -> int:
        """A - R."""
        return len(self.approve) - len(self.reject)


@dataclass(frozen=True, slots=True)
class Tally:
    """The result of one question. `sets` has one entry for every steward set asked; it is empty when pending or not decidable."""

    outcome: Outcome
    rule: Class | None
    k: int
    sets: tuple[SetTally, ...] = field(repr=False)

    @property
    def worst(self) -> SetTally | None:
        """The set with the smallest margin; of several the one with the smallest list of left-out keys."""
        return min(self.sets, key=lambda one: (one.margin, one.left_out), default=None)

    @property
    def least_approve(self) -> int:
        """The smallest A over all sets."""
        return min((len(one.approve) for one in self.sets), default=0)


@dataclass(frozen=True, slots=True)
class Stream:
    """One choice's flow, by members' numbers: its voters and those that count, each in counting order, and what each vouch carries."""

    voters: tuple[int, ...]
    counted: list[int]
    vouches: dict[tuple[int, int], int]


class Counter:
    """Counts ballots in one circle on one day; the network is built once, at the first question."""

    def __init__(self, charter: Charter, membership: Membership, *, arc_budget: int = ARC_BUDGET) -> None:
        self._charter = charter
        self._members = membership
        self._arc_budget = arc_budget
        self._graph: FlowGraph | None = None
        self._networks: dict[tuple[tuple[PublicKey, ...], int], StewardNetwork] = {}

    def count(self, question: Question, ballots: Sequence[Ballot]) -> Tally:
        """The tally of one question from the ballots that stand on it. Order and non-members' ballots do not matter."""
        rule = self._charter.classes.get(question.class_)
        if rule is None:
            return Tally("undecided", None, self._charter.k, ())
        try:
            sets = self._sets(question, ballots, Budget(self._arc_budget))
        except BudgetSpent:
            return Tally("pending", rule, self._charter.k, ())
        return Tally(outcome_of(rule, self._charter.k, sets), rule, self._charter.k, sets)

    def would_count(self, ballots: Sequence[Ballot], left_out: Sequence[PublicKey], capacity: int) -> int:
        """How many approving and rejecting ballots would count with another K, for the set without `left_out`."""
        budget = Budget(self._arc_budget)
        try:
            counted = self._set(left_out, voters(self._charter.circle, ballots, self._members), capacity, budget)
        except BudgetSpent:
            return 0
        return len(counted.approve) + len(counted.reject)

    def streams(self, ballots: Sequence[Ballot], left_out: Sequence[PublicKey]) -> tuple[Stream, Stream] | None:
        """How the approving and the rejecting ballots flow for the set without `left_out`; None where that costs too much."""
        budget, network = Budget(self._arc_budget), self._network(tuple(left_out), self._charter.k)
        try:
            approve, reject = (
                Stream(tuple(side), *network.carried(side, budget))
                for side in voters(self._charter.circle, ballots, self._members)
            )
        except BudgetSpent:
            return None
        return approve, reject

    def _sets(self, question: Question, ballots: Sequence[Ballot], budget: Budget) -> tuple[SetTally, ...]:
        ordered = voters(self._charter.circle, ballots, self._members)
        sets = steward_sets(self._charter, question)
        return tuple(self._set(left_out, ordered, self._charter.k, budget) for left_out in sets)

    def _set(
        self, left_out: Sequence[PublicKey], ordered: tuple[list[int], list[int]], capacity: int, budget: Budget
    ) -> SetTally:
        network, keys = self._network(tuple(left_out), capacity), self._members.keys
        approve, reject = (tuple(keys[voter] for voter in network.counted(side, budget)) for side in ordered)
        return SetTally(tuple(left_out), approve, reject)

    def _network(self, left_out: tuple[PublicKey, ...], capacity: int) -> StewardNetwork:
        network = self._networks.get((left_out, capacity))
        if network is None:
            self._graph = self._graph or FlowGraph(self._members.vouches)
            outside = {self._members.index[key] for key in left_out}
            network = self._graph.for_stewards([s for s in self._members.stewards if s not in outside], capacity)
            if len(self._networks) < NETWORKS_KEPT:
                self._networks[left_out, capacity] = network
        return network


def steward_sets(charter: Charter, question: Question) -> list[tuple[PublicKey, ...]]:
    """The lists of stewards left out, each sorted, in ascending order; for the recall of a steward only those that leave it out."""
    recalled = question.subject if question.class_ == STEWARDS_CLASS and question.subject in charter.stewards else None
    every = combinations(sorted(charter.stewards), charter.f)
    return [left_out for left_out in every if recalled is None or recalled in left_out]


def voters(circle: CircleId, ballots: Sequence[Ballot], members: Membership) -> tuple[list[int], list[int]]:
    """Members (as numbers) who approve and who reject, in the order in which everybody counts them."""
    sides: tuple[list[PublicKey], list[PublicKey]] = ([], [])
    for ballot in ballots:
        if ballot.key in members.index and ballot.choice in (APPROVE, REJECT):
            sides[ballot.choice == REJECT].append(ballot.key)
    approve, reject = (sorted(side, key=lambda key: counting_order(circle, key)) for side in sides)
    return [members.index[key] for key in approve], [members.index[key] for key in reject]


def counting_order(circle: CircleId, key: PublicKey) -> bytes:
    """By what ballots are counted: nobody chooses a place for a key without minting it anew, and every circle has another order."""
    return hashlib.sha256(circle + key).digest()


def outcome_of(rule: Class, k: int, sets: Sequence[SetTally]) -> Outcome:
    """Adopted, rejected or undecided. No set at all decides nothing."""
    counts = [(len(one.approve), len(one.reject)) for one in sets]
    if counts and all(_prevails(rule, k, approve, reject) for approve, reject in counts):
        return "adopted"
    if counts and all(_prevails(rule, k, reject, approve) for approve, reject in counts):
        return "rejected"
    return "undecided"


def _prevails(rule: Class, k: int, for_: int, against: int) -> bool:
    wide = for_ >= 2 * against or not rule.supermajority
    return for_ - against > rule.b * k and for_ >= rule.q and wide


def cost_to_flip(tally: Tally) -> int | None:
    """Members other than stewards that must at least change sides, or turn bad, before the outcome can be another; a proved
    lower bound. For an adopted question: before it is not; for any other: before it is adopted. None where nothing can be said.

    One such key moves A and R of any set by at most K each, with all keys that stand behind it.
    """
    worst, rule, k = tally.worst, tally.rule, tally.k
    if worst is None or rule is None:
        return None
    margin, least = worst.margin, tally.least_approve
    lead = min(len(one.approve) - 2 * len(one.reject) for one in tally.sets)
    if tally.outcome == "adopted":
        ways = [_up(margin - rule.b * k, 2 * k), _up(least - rule.q + 1, k)]
        ways += [_up(lead + 1, 3 * k)] if rule.supermajority else []
        return max(1, min(ways))
    needs = [_up(rule.b * k + 1 - margin, 2 * k), _up(rule.q - least, k)]
    needs += [_up(-lead, 3 * k)] if rule.supermajority else []
    return max(1, *needs)


def _up(number: int, divisor: int) -> int:
    """The quotient rounded up."""
    return -(-number // divisor)
