"""The rule itself: vectors, safety and liveness on thousands of random circles, and what no ballot may do."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core.charter import Class
from p2pnode.core.tally import cost_to_flip
from tests.core import ballots, make_flow_vectors
from tests.core.ballots import number_key, number_of, tally
from tests.core.flow_reference import reference_flow

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "flow.json").read_text(encoding="utf-8"))
RANDOM_CIRCLES = 2_000


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vectors(vector: dict[str, Any]) -> None:
    assert bytes.fromhex(vector["circle"]) == ballots.CIRCLE
    vouches: dict[int, list[int]] = {}
    for by, to in vector["vouches"]:
        vouches.setdefault(by, []).append(to)
    members = ballots.membership(vector["stewards"], vouches)
    assert [number_of(key) for key in members.keys] == vector["members"]
    assert list(members.hops) == vector["hops"]
    rule = Class(vector["b"], vector["q"], bool(vector["supermajority"]))
    result = tally(
        vector["stewards"], vouches, vector["approve"], vector["reject"], f=vector["f"], k=vector["k"], rule=rule
    )
    sets = [
        {name: [number_of(key) for key in getattr(one, name)] for name in ("left_out", "approve", "reject")}
        for one in result.sets
    ]
    assert sets == vector["sets"]
    assert (result.outcome == "adopted") == vector["adopted"]


def test_the_vectors_are_what_their_maker_writes() -> None:
    """Their numbers come from the slow reference; a second run changes nothing."""
    assert make_flow_vectors.render() == make_flow_vectors.PATH.read_text(encoding="utf-8")


class World:
    """A small random circle of honest keys 0..n-1, and what bad keys make of it."""

    def __init__(self, rng: random.Random, *, bad_stewards: bool) -> None:
        self.rng = rng
        self.k = rng.choice([3, 3, 6])
        self.f = rng.choice([0, 1])
        self.stewards = list(range(rng.randint(1, 4) if self.f == 0 else rng.randint(4, 5)))
        self.b = rng.randint(max(self.f, 0), 2)
        size = len(self.stewards) + rng.randint(self.b + 1, 14)
        everyone = range(size)
        self.vouches = {key: rng.sample(everyone, rng.randint(0, min(6, size))) for key in everyone}
        outside = rng.sample(everyone[len(self.stewards) :], self.b)
        inside = rng.sample(self.stewards, self.f) if bad_stewards and self.b else []
        self.bad = set((inside + outside)[: self.b])
        self.honest = [key for key in everyone if key not in self.bad]
        against = rng.random()
        self.approve = [key for key in self.honest if rng.random() > against]
        self.reject = [key for key in self.honest if key not in self.approve and rng.random() < 0.9]
        self.rule = Class(b=self.b, q=1)

    def honest_vouches(self) -> dict[int, list[int]]:
        return {key: [to for to in self.vouches[key] if to not in self.bad] for key in self.honest}

    def attacked(self) -> tuple[dict[int, list[int]], list[int]]:
        """Vouches with those of the bad keys and of a swarm they mint, and the swarm with the bad keys as voters."""
        minted = list(range(1000, 1000 + self.rng.randint(0, 25)))
        attackers = [*self.bad, *minted]
        everyone = [*self.honest, *attackers]
        vouches = {key: list(self.vouches[key]) for key in self.honest}
        for key in attackers:
            vouches[key] = self.rng.sample(everyone, self.rng.randint(0, len(everyone)))
        return vouches, attackers

    def honest_margins(self) -> list[int]:
        """A - R in the honest graph, by the slow reference, for every steward set without a bad one."""
        index = {key: at for at, key in enumerate(self.honest)}
        vouches = [[index[to] for to in targets if to != key] for key, targets in self.honest_vouches().items()]
        margins = []
        for left_out in combinations(self.stewards, self.f):
            inside = [key for key in self.stewards if key not in left_out]
            if not self.bad.intersection(inside):
                sides = ({index[key] for key in side} for side in (self.approve, self.reject))
                a, r = (reference_flow(vouches, [index[key] for key in inside], self.k, side) for side in sides)
                margins.append(a - r)
        return margins


def test_what_honest_members_do_not_favour_is_never_adopted(capsys: pytest.CaptureFixture[str]) -> None:
    """P4, with at most B bad keys, at most f of them stewards, and as many made-up keys as they like."""
    seed = 4
    rng = random.Random(seed)
    tried = wrong = one_key_one_vote = bare_margin = 0
    while tried < RANDOM_CIRCLES:
        world = World(rng, bad_stewards=True)
        if max(world.honest_margins()) > 0:
            continue
        tried += 1
        vouches, attackers = world.attacked()
        approve = [*world.approve, *attackers]
        result = tally(world.stewards, vouches, approve, world.reject, f=world.f, k=world.k, rule=world.rule)
        wrong += result.outcome == "adopted"
        bare_margin += all(one.margin > 0 for one in result.sets)
        members = ballots.membership(world.stewards, vouches).index
        one_key_one_vote += sum(number_key(key) in members for key in approve) > sum(
            number_key(key) in members for key in world.reject
        )
    with capsys.disabled():
        print(
            f"\nseed {seed}: {tried} decisions that honest members do not favour: adopted {wrong}; a bare margin {bare_margin};",
            end=" ",
        )
        print(f"one key one vote {one_key_one_vote}")
    assert wrong == 0
    assert bare_margin > 0 and one_key_one_vote > 0, "the attack is too weak to prove anything"


def test_what_honest_members_clearly_favour_is_adopted(capsys: pytest.CaptureFixture[str]) -> None:
    """P5: honest stewards, an honest margin over 2 x B x K in every set, and the swarm rejects."""
    rng = random.Random(5)
    tried = 0
    while tried < RANDOM_CIRCLES // 10:
        world = World(rng, bad_stewards=False)
        if min(world.honest_margins()) <= 2 * world.b * world.k:
            continue
        tried += 1
        vouches, attackers = world.attacked()
        reject = [*world.reject, *attackers]
        result = tally(world.stewards, vouches, world.approve, reject, f=world.f, k=world.k, rule=world.rule)
        assert result.outcome == "adopted"
    with capsys.disabled():
        print(f"\n{tried} decisions that honest members clearly favour: all adopted")


def test_fewer_keys_than_the_cost_never_flip_a_decision() -> None:
    """`cost_to_flip` is a lower bound: so many members that are no stewards, less one, turn bad and mint what they like."""
    rng = random.Random(6)
    tried = 0
    while tried < RANDOM_CIRCLES // 5:
        world = World(rng, bad_stewards=False)
        world.bad = set()
        world.rule = Class(b=world.b, q=rng.randint(1, 4), supermajority=rng.random() < 0.5)
        before = tally(
            world.stewards, world.vouches, world.approve, world.reject, f=world.f, k=world.k, rule=world.rule
        )
        cost = cost_to_flip(before)
        assert cost is not None and cost >= 1
        others = [key for key in world.vouches if key not in world.stewards]
        if cost < 2 or len(others) < cost - 1:
            continue
        tried += 1
        adopted = before.outcome == "adopted"
        world.bad = set(rng.sample(others, cost - 1))
        world.honest = [key for key in world.vouches if key not in world.bad]
        vouches, attackers = world.attacked()
        sides = [[key for key in side if key not in world.bad] for side in (world.approve, world.reject)]
        sides[adopted].extend(attackers)
        after = tally(world.stewards, vouches, *sides, f=world.f, k=world.k, rule=world.rule)
        assert (after.outcome == "adopted") == adopted


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_what_single_ballots_cannot_do(seed: int) -> None:
    """P8: a reject never lowers A, an abstention changes nothing, one more approval never undoes an adoption."""
    rng = random.Random(seed)
    world = World(rng, bad_stewards=False)
    outsiders = [key for key in world.vouches if key not in {*world.approve, *world.reject}]

    def result(approve: list[int], reject: list[int]) -> list[tuple[int, int]]:
        counted = tally(world.stewards, world.vouches, approve, reject, f=world.f, k=world.k, rule=world.rule)
        return [(len(one.approve), len(one.reject)) for one in counted.sets]

    before = result(world.approve, world.reject)
    for one in outsiders[:2]:
        more_reject = result(world.approve, [*world.reject, one])
        more_approve = result([*world.approve, one], world.reject)
        for (a, r), (a1, r1), (a2, r2) in zip(before, more_reject, more_approve, strict=True):
            assert a1 == a and r <= r1 <= r + 1
            assert r2 == r and a <= a2 <= a + 1
    members = ballots.membership(world.stewards, world.vouches)
    counter = ballots.Counter(ballots.charter(world.stewards, f=world.f, k=world.k, rule=world.rule), members)
    cast = ballots.ballots(world.approve, world.reject)
    abstained = ballots.ballots(world.approve, world.reject, outsiders)
    assert counter.count(ballots.question(), cast).sets == counter.count(ballots.question(), abstained).sets


def test_a_class_the_charter_does_not_name_decides_nothing() -> None:
    result = tally([0], {}, [0], asked=ballots.question("takedown"))
    assert (result.outcome, result.rule, result.sets) == ("undecided", None, ())


def test_rejection_mirrors_adoption() -> None:
    everyone = {key: [other for other in range(8) if other != key] for key in range(8)}
    rule = Class(b=1, q=3)
    assert tally([0], everyone, [0], range(1, 6), rule=rule).outcome == "rejected"
    assert tally([0], everyone, range(1, 6), [0], rule=rule).outcome == "adopted"
    assert tally([0], everyone, [0], range(1, 5), rule=rule).outcome == "undecided"
    assert tally([0], everyone, [], range(1, 3), rule=Class(b=0, q=3)).outcome == "undecided"


def test_the_recall_of_a_steward_asks_only_sets_without_it() -> None:
    friends = {key: [other for other in range(8) if other != key] for key in range(8)}
    recall = ballots.question("stewards", number_key(2))
    result = tally(range(4), friends, [0, 1, 3, 4, 5, 6, 7], [2], f=1, rule=Class(b=1, q=3), asked=recall)
    assert [one.left_out for one in result.sets] == [(number_key(2),)]
    assert result.outcome == "adopted"


def test_without_sets_that_leave_a_steward_out_nobody_recalls_it() -> None:
    """An empty list of sets must not pass as "every set agrees"."""
    result = tally([0], {0: [1, 2, 3]}, [1, 2, 3], asked=ballots.question("stewards", number_key(0)))
    assert (result.outcome, result.sets) == ("undecided", ())


def test_a_graph_that_costs_too_much_is_pending() -> None:
    chain = {key: [key + 1] for key in range(300)}
    assert tally([0], chain, range(300), k=96, arc_budget=100_000).outcome == "adopted"
    assert tally([0], chain, range(300), k=96, arc_budget=1_000).outcome == "pending"


def test_the_closest_set_is_the_one_shown_and_ties_go_to_the_smallest_list() -> None:
    rule = Class(b=1, q=1)
    alike = tally(range(4), {0: [1, 2, 3], 1: [0, 2, 3], 2: [0, 1, 3], 3: [0, 1, 2]}, range(4), f=1, rule=rule)
    assert len({one.margin for one in alike.sets}) == 1
    assert alike.worst is not None and alike.worst.left_out == (number_key(0),)
