"""The register rule: a function of the set, not of the order (attacks 9 and 11; P1, P6, P7 at this level)."""

from __future__ import annotations

import random
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.record import Record
from p2pnode.core.registers import effective, is_register, merge, register_of
from tests.core.examples import ANN, BEN, CIRCLE, OTHER_CIRCLE, WORK, ballot, proposal

POOL = [ballot(counter=counter, reason=reason) for counter in range(3) for reason in ("a", "b", "c")]


def replay(records: list[Record]) -> tuple[Record, ...]:
    held: tuple[Record, ...] = ()
    for record in records:
        change = merge(held, record)
        assert {r.id for r in change.drop} == {r.id for r in held} - {r.id for r in change.keep}
        assert change.void == (effective(change.keep) is None)
        held = change.keep
    return held


@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_matter(records: list[Record], rng: random.Random) -> None:
    shuffled = records + rng.sample(records, rng.randrange(len(records) + 1))
    rng.shuffle(shuffled)
    assert replay(shuffled) == replay(records)
    assert effective(shuffled) == effective(replay(records))


@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=8), st.lists(st.sampled_from(POOL), max_size=8))
def test_two_stores_that_exchange_what_they_kept_agree(one: list[Record], other: list[Record]) -> None:
    kept_one, kept_other = replay(one), replay(other) if other else ()
    assert replay([*kept_one, *kept_other]) == replay([*kept_other, *kept_one]) == replay(one + other)


def test_the_highest_seq_wins_whatever_came_last() -> None:
    old, new = ballot(choice="reject", counter=1), ballot(choice="approve", counter=2)
    for order in permutations([old, new]):
        assert replay(list(order)) == (new,)
    assert effective([old, new]) == new


def test_a_replayed_older_record_changes_nothing() -> None:
    """Attack 11: the rejected ballot of yesterday cannot come back."""
    old, new = ballot(choice="approve", days=0), ballot(choice="reject", days=1)
    change = merge([new], old)
    assert (change.keep, change.drop, change.void) == ((new,), (), False)


def test_an_equivocation_voids_the_register_everywhere() -> None:
    """Attack 9 and P7: two halves of a circle get two ballots of one seq; whoever knows both counts none."""
    yes, no = ballot(choice="approve", counter=7), ballot(choice="reject", counter=7)
    assert effective([yes]) == yes
    for order in permutations([yes, no]):
        held = replay(list(order))
        assert set(held) == {yes, no}
        assert effective(held) is None


def test_of_many_equivocating_bodies_the_two_smallest_ids_are_kept() -> None:
    many = [ballot(counter=7, reason=str(n)) for n in range(6)]
    smallest = tuple(sorted(many, key=lambda record: record.id)[:2])
    for seed in range(20):
        random.Random(seed).shuffle(many)
        assert replay(many) == smallest


def test_a_higher_seq_ends_the_void() -> None:
    yes, no, settled = ballot(counter=7), ballot(choice="reject", counter=7), ballot(choice="abstain", counter=8)
    for order in permutations([yes, no, settled]):
        assert replay(list(order)) == (settled,)


def test_the_same_body_twice_is_no_equivocation() -> None:
    yes = ballot()
    change = merge([yes], ballot())
    assert (change.keep, change.drop, change.void) == ((yes,), (), False)


def test_no_ballot_passes_for_one_of_another_circle_target_or_author() -> None:
    """P6: what is signed names its circle, author and target, so each of them is another register."""
    variants = [ballot(), ballot(circle=OTHER_CIRCLE), ballot(target=b"\x44" * 32), ballot(BEN)]
    assert len({register_of(record) for record in variants}) == len({record.id for record in variants}) == 4
    assert register_of(ballot()) == (CIRCLE, ANN.public, "ballot", WORK)


def test_only_vouch_ballot_and_profile_are_registers() -> None:
    assert is_register(ballot())
    assert not is_register(proposal())
    assert effective([]) is None
