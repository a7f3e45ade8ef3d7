"""The bucket of a limited line, on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.pace import LEAST_PIECE_BYTES, MOST_PIECE_BYTES, PIECE_S, SAVED_S, Pace

RATES = st.integers(1024, 10**9)


@given(RATES, st.lists(st.tuples(st.integers(1, MOST_PIECE_BYTES), st.floats(0, 3)), max_size=80))
def test_no_more_than_the_rate_goes_whoever_asks_when(rate: int, wishes: list[tuple[int, float]]) -> None:
    pace, now, gone, largest = Pace(rate, 0.0), 0.0, 0, 0
    for count, pause in wishes:
        now += pause
        now += pace.delay_s(now) + 1e-9
        pace.charge(count, now)
        gone, largest = gone + count, max(largest, count)
        assert gone <= rate * (now + SAVED_S) + largest + 1


@given(RATES, st.integers(1, MOST_PIECE_BYTES))
def test_who_always_has_more_gets_all_of_the_rate(rate: int, count: int) -> None:
    pace, now = Pace(rate, 0.0), 0.0
    for _ in range(1000):
        now += pace.delay_s(now) + 1e-9
        pace.charge(count, now)
    assert 1000 * count >= rate * now * 0.99 - count


def test_without_a_rate_nothing_waits_and_nothing_is_owed_later() -> None:
    pace = Pace()
    pace.charge(10**12, 1.0)
    assert pace.delay_s(1.0) == 0.0
    pace.set_rate(1000, 2.0)
    assert pace.delay_s(2.0) == 0.0


def test_a_new_rate_holds_at_once_and_what_did_not_go_is_given_back() -> None:
    pace = Pace(1000, 0.0)
    pace.charge(10_000, 0.0)
    assert pace.delay_s(0.0) == pytest.approx(10.0)
    pace.set_rate(100_000, 0.0)
    assert pace.delay_s(0.0) == pytest.approx(0.1)
    pace.charge(-10_000, 0.0)
    assert pace.delay_s(0.0) == 0.0


@given(RATES, st.integers(0, 500))
def test_a_round_of_pieces_takes_little_or_the_pieces_are_the_least(rate: int, waiting: int) -> None:
    piece = Pace(rate).piece(waiting)
    assert LEAST_PIECE_BYTES <= piece <= MOST_PIECE_BYTES
    assert piece == LEAST_PIECE_BYTES or piece * (waiting + 1) <= rate * 2 * PIECE_S


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    pace = Pace(1000, 100.0)
    pace.charge(1000, 100.0)
    owed = pace.delay_s(100.0)
    assert pace.delay_s(50.0) == owed
    assert pace.delay_s(100.0) == owed
