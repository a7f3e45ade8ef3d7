"""Salted sessions: what crafted sums hide they find, at the price of a usual session, and nobody can make us read for ever."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core import sync_messages as wire
from p2pnode.core import sync_salted
from p2pnode.core.ids import RecordId
from p2pnode.core.reconcile import Reconciliation
from p2pnode.core.sync_index import SyncIndex, fingerprint
from p2pnode.core.sync_messages import KeyRange
from p2pnode.core.sync_salted import MAX_READINGS, SaltedIndex
from p2pnode.errors import PeerError
from tests.core.test_reconcile import many, spread
from tests.support.sync_pair import Entry, Side, run_session

SALT = bytes(range(16))
SECOND = 1_700_000_000


def weak(total: int, count: int) -> bytes:
    """Eight bits: an accident is common."""
    return fingerprint(total, count)[:1] * 16


def crafted() -> tuple[list[Entry], list[Entry]]:
    """Two sets of the same count and the same sum of ids, which no usual fingerprint of a range that holds both pairs tells apart."""
    one, other, step = 10**70, 10**71, 10**60
    ids = [(one, other), (one + step, other - step)]
    mine, yours = ([(SECOND, RecordId(n.to_bytes(32, "big"))) for n in pair] for pair in ids)
    return mine, yours


def test_sets_with_one_sum_look_equal_to_a_usual_session_and_not_to_a_salted_one() -> None:
    mine, yours = crafted()
    one, other = Side.of(rest=mine), Side.of(rest=yours)
    assert one.rest.fingerprint(b"", None) == other.rest.fingerprint(b"", None)
    report = run_session(one, other, salt=SALT)
    assert report.complete
    assert one.held() == other.held()
    assert len(one.rest) == 4


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(0, 80), st.integers(0, 2**32), st.binary(min_size=16, max_size=16))
def test_after_one_salted_session_both_hold_the_union(rest: int, control: int, seed: int, salt: bytes) -> None:
    control_sides, rest_sides = spread(control, seed, b"c"), spread(rest, seed, b"r")
    sides = [Side.of(c, r, print_of=weak) for c, r in zip(control_sides, rest_sides, strict=True)]
    union = [sorted({*mine, *yours}) for mine, yours in zip(sides[0].held(), sides[1].held(), strict=True)]
    assert run_session(*sides, seed=seed, salt=salt).complete
    assert list(sides[0].held()) == list(sides[1].held()) == union


def test_colliding_fingerprints_of_eight_bits_hide_nothing_from_it() -> None:
    entries = many(3000)
    gap = set(random.Random(5).sample(entries, 900))
    one = Side.of(rest=[entry for entry in entries if entry not in gap], print_of=weak)
    other = Side.of(rest=entries, print_of=weak)
    run_session(one, other, seed=0)
    assert one.held() != other.held()
    run_session(one, other, salt=SALT)
    assert one.held() == other.held()


def test_equal_sets_cost_what_a_usual_session_costs_and_a_salt() -> None:
    entries = many(10_000)
    sides = [Side.of(entries[:500], entries) for _ in range(2)]
    usual, salted = run_session(*sides), run_session(*sides, salt=SALT)
    assert salted.complete
    assert salted.bytes == usual.bytes + 4 + 1 + 16


def test_who_did_so_today_says_that_it_is_cut_and_gets_no_blame() -> None:
    one, other = Side.of(rest=many(100)), Side.of(rest=many(100)[:50])
    report = run_session(one, other, salt=SALT, may_salt=False)
    assert not report.complete
    assert report.records == 0


@pytest.mark.parametrize("place", ["second", "by the answering side", "later"])
def test_a_salt_stands_first_or_breaks_the_rules(place: str) -> None:
    index = SyncIndex(many(100))
    engine = Reconciliation(
        index, index, initiator=place == "by the answering side", rng=random.random, may_salt=lambda: True
    )
    if place == "second":
        engine.receive(wire.encode_empty())
    elif place == "later":
        engine.receive(wire.with_flags(wire.encode_ranges(wire.REST, [KeyRange(b"", None, bytes(16))])[0], wire.LAST))
        engine.turn({})
    else:
        engine.turn({})
    with pytest.raises(PeerError, match="first frame"):
        engine.receive(wire.encode_salt(SALT))


def test_a_copy_does_not_follow_and_is_read_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_salted, "LEAST_KEYS", 1)
    index = SyncIndex(many(500))
    copy = SaltedIndex(index, SALT)
    before = copy.fingerprint(b"", None)
    index.add(SECOND, RecordId(bytes(32)))
    assert copy.fingerprint(b"", None) == before != SaltedIndex(index, SALT).fingerprint(b"", None)
    for _ in range(MAX_READINGS - 2):
        copy.fingerprint(b"", None)
    with pytest.raises(PeerError, match="again and again"):
        copy.fingerprint(b"", None)


@pytest.mark.parametrize("scattered", [1, 5000])
def test_an_honest_session_stays_below_that(scattered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_salted, "LEAST_KEYS", 1)
    entries = many(20_000)
    gap = set(random.Random(scattered).sample(entries, scattered))
    one, other = Side.of(rest=[entry for entry in entries if entry not in gap]), Side.of(rest=entries)
    assert run_session(one, other, salt=SALT).complete
    assert one.held() == other.held()
