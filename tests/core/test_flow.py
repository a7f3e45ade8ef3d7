"""The flow against two independent computations, and what it promises about bad keys and pathological graphs."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core.flow import Budget, BudgetSpent, FlowGraph, is_capacity
from tests.core.flow_reference import brute_min_cut, greedy_basis, reference_flow

PLENTY = 10_000_000


@st.composite
def graphs(draw: st.DrawFn, most: int = 12) -> list[list[int]]:
    """Vouches of up to `most` keys, without self-vouches."""
    size = draw(st.integers(1, most))
    row = st.sets(st.integers(0, size - 1), max_size=5)
    return [sorted(draw(row) - {key}) for key in range(size)]


@st.composite
def questions(draw: st.DrawFn, most: int = 12) -> tuple[list[list[int]], list[int], int, list[int]]:
    """A graph, a steward set, K, and voters in some order."""
    vouches = draw(graphs(most))
    everyone = range(len(vouches))
    stewards = draw(st.sets(st.sampled_from(everyone), min_size=1, max_size=3))
    voters = draw(st.permutations([key for key in everyone if draw(st.booleans())]))
    return vouches, sorted(stewards), draw(st.sampled_from([3, 6, 12])), list(voters)


def counted(vouches: list[list[int]], stewards: list[int], k: int, voters: list[int]) -> list[int]:
    return FlowGraph(vouches).for_stewards(stewards, k).counted(voters, Budget(PLENTY))


@settings(max_examples=60, deadline=None)
@given(questions(most=4))
def test_the_flow_is_the_smallest_of_all_cuts(question: tuple[list[list[int]], list[int], int, list[int]]) -> None:
    assert len(counted(*question)) == brute_min_cut(*question)


@settings(max_examples=150, deadline=None)
@given(questions())
def test_which_ballots_count_is_the_greedy_basis_of_a_maximum_flow(
    question: tuple[list[list[int]], list[int], int, list[int]],
) -> None:
    assert counted(*question) == greedy_basis(*question)
    assert len(counted(*question)) == reference_flow(*question)


@settings(max_examples=200, deadline=None)
@given(questions())
def test_the_first_distances_are_those_of_any_walk(
    question: tuple[list[list[int]], list[int], int, list[int]],
) -> None:
    vouches, stewards, k, _ = question
    graph = FlowGraph(vouches)
    network = graph.for_stewards(stewards, k)
    assert network.distances == graph.distances(network.sources, network.capacities)


def test_ballots_make_way_for_one_another() -> None:
    """Graphs so thin that a later voter is only reached when an earlier one is sent another way round; one in some twenty needs it."""
    rng = random.Random(3)
    for _ in range(400):
        size = rng.randint(12, 30)
        vouches = [sorted(set(rng.sample(range(size), rng.randint(0, 4))) - {key}) for key in range(size)]
        voters = rng.sample(range(size), rng.randint(2, size))
        assert len(counted(vouches, [0, 1], 3, voters)) == reference_flow(vouches, [0, 1], 3, set(voters))


def test_a_network_answers_the_next_question_as_if_it_were_the_first() -> None:
    rng = random.Random(5)
    for _ in range(100):
        size = rng.randint(12, 30)
        graph = FlowGraph([sorted(set(rng.sample(range(size), rng.randint(0, 4))) - {key}) for key in range(size)])
        shared = graph.for_stewards([0, 1], 3)
        for _ in range(3):
            voters = rng.sample(range(size), rng.randint(2, size))
            fresh = graph.for_stewards([0, 1], 3).counted(voters, Budget(PLENTY))
            assert shared.counted(voters, Budget(PLENTY)) == fresh


def test_who_found_no_room_in_one_question_may_find_it_in_the_next() -> None:
    """Key 21 is behind key 20, to which one vouch leads; the rest is a dense crowd, so that nothing is measured anew in between."""
    crowd = [[other for other in range(20) if other != key] for key in range(20)]
    crowd[5].append(20)
    network = FlowGraph([*crowd, [21], []]).for_stewards([0], 3)
    assert network.counted([20, 21], Budget(PLENTY)) == [20]
    assert network.counted([21, 20], Budget(PLENTY)) == [21]


@settings(max_examples=150, deadline=None)
@given(questions(), st.data())
def test_b_bad_keys_raise_no_flow_by_more_than_b_times_k(
    question: tuple[list[list[int]], list[int], int, list[int]], data: st.DataObject
) -> None:
    """P3. The honest flow is that without the bad keys' vouches and ballots; with them they may mint keys and vouch at will."""
    vouches, stewards, k, voters = question
    honest = [key for key in range(len(vouches)) if key not in stewards]
    bad = data.draw(st.sets(st.sampled_from(honest), max_size=3)) if honest else set()
    minted = range(len(vouches), len(vouches) + data.draw(st.integers(0, 8)))
    everyone = range(len(vouches) + len(minted))
    clean = [[] if key in bad else targets for key, targets in enumerate(vouches)]
    attack = [*clean, *([] for _ in minted)]
    for key in (*bad, *minted):
        attack[key] = sorted(data.draw(st.sets(st.sampled_from(everyone), max_size=8)) - {key})
    before = len(counted(clean, stewards, k, [voter for voter in voters if voter not in bad]))
    after = len(counted(attack, stewards, k, sorted({*voters, *bad, *minted})))
    assert after <= before + len(bad) * k


@settings(max_examples=80, deadline=None)
@given(questions(), st.data())
def test_more_voters_never_lower_the_flow_and_their_order_never_changes_it(
    question: tuple[list[list[int]], list[int], int, list[int]], data: st.DataObject
) -> None:
    vouches, stewards, k, voters = question
    shuffled = data.draw(st.permutations(voters))
    assert len(counted(vouches, stewards, k, list(shuffled))) == len(counted(*question))
    fewer = [voter for voter in voters if data.draw(st.booleans())]
    assert len(counted(vouches, stewards, k, fewer)) <= len(counted(*question))


def test_one_graph_answers_many_steward_sets_and_questions_without_remembering_the_last() -> None:
    graph = FlowGraph([[1, 2], [3], [3], []])
    first, second = graph.for_stewards([0], 3), graph.for_stewards([1], 3)
    for _ in range(2):
        assert first.counted([3, 2, 1, 0], Budget(PLENTY)) == [3, 2, 1, 0]
        assert second.counted([3, 2, 1, 0], Budget(PLENTY)) == [3, 1]
        assert first.counted([], Budget(0)) == []


def test_a_budget_is_spent_alike_everywhere_and_says_so() -> None:
    """The graph has 2,002 arcs: they are paid for at the start, known or not, and every search beyond."""
    chain = FlowGraph([[key + 1] for key in range(500)] + [[]]).for_stewards([0], 96)
    far_first = range(500, -1, -1)
    generous = Budget(PLENTY)
    chain.counted(far_first, generous)
    spent = PLENTY - generous.arcs_left
    assert spent > 10 * 2_002
    chain.counted(far_first, Budget(spent))
    for too_little in (spent - 1, 2_001):
        with pytest.raises(BudgetSpent):
            chain.counted(far_first, Budget(too_little))


def test_a_swarm_behind_one_key_is_looked_at_once() -> None:
    """10,000 made-up keys behind one insider: the work is a few looks at each arc, not one search each."""
    swarm = [[1], list(range(2, 10_002)), *([] for _ in range(10_000))]
    budget = Budget(PLENTY)
    assert len(FlowGraph(swarm).for_stewards([0], 3).counted(range(10_002), budget)) == 4
    assert PLENTY - budget.arcs_left < 200_000


@pytest.mark.parametrize("k", [0, 1, 2, 4, 5, 9, 97, 192])
def test_k_is_three_times_a_small_power_of_two(k: int) -> None:
    assert not is_capacity(k)
    with pytest.raises(ValueError, match="K is"):
        FlowGraph([[]]).for_stewards([0], k)
