"""Who is a member on a day: registers, expiry, revocation, self-vouches, the 50 that hold, and why hops never limit the tally."""

from __future__ import annotations

import random

import pytest

from p2pnode.core.flow import Budget, FlowGraph
from p2pnode.core.membership import ACTIVE_VOUCHES, Membership
from tests.core import debian
from tests.core.ballots import membership
from tests.core.circles import DAY, Circle, keys, person


def test_members_are_reached_by_vouches_and_have_hops() -> None:
    circle = Circle()
    circle.vouch("founder", "ann")
    circle.vouch("ann", "ben")
    circle.vouch("stranger", "cat")
    view = circle.view()
    assert list(view.members) == keys("founder", "ann", "ben")
    assert [view.hops(person(name).public) for name in ("founder", "ann", "ben", "cat")] == [0, 1, 2, None]
    assert view.vouchers(person("ben").public) == (person("ann").public,)
    assert view.vouchers(person("cat").public) == ()
    assert view.is_steward(person("founder").public) and not view.is_steward(person("ann").public)


@pytest.mark.parametrize(
    ("day", "member"), [(DAY - 2, False), (DAY - 1, True), (DAY, True), (DAY + 29, True), (DAY + 30, False)]
)
def test_a_vouch_holds_from_its_day_for_vouch_days(day: int, member: bool) -> None:
    """The day before it counts already: clocks may be a day apart."""
    circle = Circle(vouch_days=30)
    circle.vouch("founder", "ann")
    assert circle.view(day).is_member(person("ann").public) == member


def test_a_renewed_vouch_counts_from_its_new_day() -> None:
    circle = Circle(vouch_days=30)
    circle.vouch("founder", "ann")
    circle.vouch("founder", "ann", day=DAY + 20)
    assert circle.view(DAY + 49).is_member(person("ann").public)
    assert not circle.view(DAY + 50).is_member(person("ann").public)


def test_a_revocation_takes_everybody_behind_it_out_too() -> None:
    circle = Circle()
    circle.vouch("founder", "ann")
    circle.vouch("ann", "ben")
    circle.vouch("founder", "ann", give=False)
    assert list(circle.view().members) == keys("founder")
    circle.vouch("founder", "ann")
    assert list(circle.view().members) == keys("founder", "ann", "ben")


def test_two_different_vouches_with_one_number_are_none() -> None:
    circle = Circle()
    circle.vouch("founder", "ann", seq=7)
    circle.vouch("founder", "ann", seq=7, give=False)
    assert not circle.view().is_member(person("ann").public)


def test_vouching_for_oneself_does_nothing_and_takes_no_place() -> None:
    circle = Circle()
    circle.vouch("founder", "founder")
    circle.vouches("founder", range(ACTIVE_VOUCHES))
    assert len(circle.view().members) == 1 + ACTIVE_VOUCHES
    assert circle.view().vouchers(person("founder").public) == ()


def test_the_fifty_vouches_with_the_smallest_ids_hold() -> None:
    circle = Circle()
    given = [circle.vouch("founder", number) for number in range(60)]
    smallest = sorted(given, key=lambda record: record.id)[:ACTIVE_VOUCHES]
    view = circle.view()
    assert set(view.members) == {record.target for record in smallest} | {person("founder").public}
    revoked = next(number for number in range(60) if person(number).public == smallest[0].target)
    circle.vouch("founder", revoked, give=False)
    assert len(circle.view().members) == 1 + ACTIVE_VOUCHES, "the next one takes the place"


def test_a_long_chain_and_a_vouch_bomb_are_walked_without_recursion() -> None:
    chain = {number: [number + 1] for number in range(10_000)}
    assert membership([0], chain).hops[-1] == 10_000
    bomb = {0: range(1, 50), **{number: range(100 * number, 100 * number + 50) for number in range(1, 50)}}
    assert len(membership([0], bomb).keys) == 1 + 49 + 49 * 50


def test_order_and_repetition_of_vouches_do_not_matter() -> None:
    circle = Circle()
    for number in range(30):
        circle.vouch("founder" if number < 3 else number // 3, number)
    shuffled = [*circle.records, *circle.records]
    random.Random(1).shuffle(shuffled)
    first = circle.view().membership
    circle.records = shuffled
    assert circle.view().membership == first


def test_a_hop_limit_would_let_one_bad_member_gain_more_than_k() -> None:
    """The variant that was broken: vouches of members three hops away do not hold. Key 1 is bad, the six chains are honest."""
    chains = {0: [10 + i for i in range(6)], **{10 * j + i: [10 * j + 10 + i] for j in (1, 2, 3) for i in range(6)}}
    shortcut = {**chains, 0: [*chains[0], 1], 1: [30 + i for i in range(6)]}

    def counted(vouches: dict[int, list[int]], limit: int) -> int:
        members = membership([0], vouches)
        hold = [targets if hops < limit else () for targets, hops in zip(members.vouches, members.hops, strict=True)]
        far = [members.index[key] for key in members.keys if int.from_bytes(key, "big") >= 40]
        return len(FlowGraph(hold).for_stewards(members.stewards, 3).counted(far, Budget(10**6)))

    assert (counted(chains, 3), counted(shortcut, 3)) == (0, 6), (
        "with a limit of three: six more than before, over K = 3"
    )
    assert (counted(chains, 99), counted(shortcut, 99)) == (6, 6), "without a limit: nothing gained"


def test_the_debian_graph_has_the_members_it_has() -> None:
    members: Membership = debian.membership(4)
    assert len(members.keys) == 868
    assert sum(map(len, members.vouches)) == 10_725
    assert max(members.hops) == 5
