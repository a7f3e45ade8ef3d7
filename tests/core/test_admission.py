"""The pure rules of admission: who is known, and what is kept of one author."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core.admission import Caps, adopted_among, belongs, beyond_caps, is_early, known_authors
from p2pnode.core.charter import Charter
from p2pnode.core.ids import NO_CIRCLE
from p2pnode.core.record import Record
from p2pnode.core.verdict import CircleView
from tests.support.circles import DAY_S, NOON, Circle, key

A, B, C, D = (key(name) for name in "abcd")


def test_known_is_who_is_reached_from_a_steward_by_any_vouch() -> None:
    circle = Circle()
    chain = [circle.vouch(circle.steward, A), circle.vouch(A, B), circle.vouch(C, D)]
    known = known_authors([circle.charter, *chain], circle.id)
    assert known == {circle.steward.public, A.public, B.public}


def test_revoked_and_ancient_vouches_still_introduce() -> None:
    circle = Circle()
    revoked = circle.vouch(circle.steward, A, give=False)
    ancient = circle.vouch(A, B, created=5 * DAY_S)
    assert {A.public, B.public} < known_authors([circle.charter, revoked, ancient], circle.id)


def test_keys_that_only_vouch_for_each_other_are_unknown() -> None:
    circle = Circle()
    assert known_authors([circle.charter, circle.vouch(A, B), circle.vouch(B, A)], circle.id) == {circle.steward.public}


def test_without_the_genesis_charter_nobody_is_known() -> None:
    circle, other = Circle(), Circle("another")
    assert known_authors([circle.vouch(circle.steward, A), other.charter], circle.id) == frozenset()


def test_what_belongs_to_a_circle() -> None:
    circle, other = Circle(), Circle("another")
    assert belongs(circle.charter, circle.id)
    assert not belongs(other.charter, circle.id)
    assert not belongs(other.vouch(A, B), circle.id)
    assert not belongs(circle.charter, NO_CIRCLE)


@pytest.mark.parametrize(("days", "early"), [(-20_000, False), (0, False), (1, False), (2, True)])
def test_records_of_days_after_tomorrow_are_early(days: int, early: bool) -> None:
    circle = Circle()
    created = max(0, NOON - NOON % DAY_S + days * DAY_S)
    assert is_early(circle.ballot(A, b"q", created=created), NOON) is early


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 6))
def test_what_is_kept_of_an_author_is_the_same_whatever_was_dropped_before(
    seed: int, registers: int, permanents: int
) -> None:
    circle, rng = Circle(), random.Random(seed)
    caps = Caps(registers, permanents)
    records = [circle.vouch(A, key(str(number))) for number in range(rng.randrange(12))]
    records += [circle.ballot(A, b"%d" % number) for number in range(rng.randrange(12))]
    records += [circle.proposal(A, b"%d" % number) for number in range(rng.randrange(12))]
    part = rng.sample(records, rng.randrange(len(records) + 1))
    kept = keep(records, circle, caps)
    assert kept == keep([*keep(part, circle, caps), *records], circle, caps)
    rest = [record for record in records if record not in part]
    assert kept == keep([*keep(part, circle, caps), *keep(rest, circle, caps)], circle, caps)
    assert len(kept) <= registers + permanents


def keep(records: list[Record], circle: Circle, caps: Caps) -> set[Record]:
    distinct = list(dict.fromkeys(records))
    return set(distinct) - set(beyond_caps(distinct, circle.id, caps=caps))


def test_void_pairs_count_as_one_register() -> None:
    circle = Circle()
    pair = [circle.ballot(A, b"q", choice, counter=7) for choice in ("approve", "reject")]
    assert beyond_caps(pair, circle.id, caps=Caps(registers=1)) == []


def test_the_genesis_charter_and_what_was_adopted_always_stay() -> None:
    circle = Circle()
    one, two = circle.proposal(circle.steward, b"one"), circle.proposal(circle.steward, b"two")
    records = [circle.charter, one, two]
    assert set(beyond_caps(records, circle.id, caps=Caps(permanents=0))) == {one, two}
    assert beyond_caps(records, circle.id, adopted=[two.id], caps=Caps(permanents=0)) == [one]


def test_adopted_are_proposals_and_the_manifests_they_list() -> None:
    circle = Circle()
    yes, no = circle.proposal(circle.steward, b"yes"), circle.proposal(circle.steward, b"no")
    ballot = circle.ballot(circle.steward, yes.target)
    view = CircleView(Charter.of(circle.charter), [yes, no, ballot], NOON // DAY_S)
    assert adopted_among([yes, no], view) == {yes.id}
