"""What a person allows, at moments of the test's choice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core.traffic_rules import (
    LEAST_BYTES_S,
    MAX_WINDOWS,
    Moment,
    Rates,
    TrafficRules,
    Usage,
    allowance,
    bytes_in_words,
    check_budget,
    check_rate,
    parse_bytes,
    parse_schedule,
)
from p2pnode.errors import UsageError

GB = 10**9


def moment(text: str) -> Moment:
    """2026-11-22 18:30, a Sunday, say."""
    at = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return Moment(at.year, at.month, at.day, at.weekday(), at.hour, at.minute)


def at(schedule: tuple[str, ...], text: str) -> Rates:
    return TrafficRules(Rates(100_000, 200_000), parse_schedule(schedule)).rates_at(moment(text))


def test_the_first_open_window_goes_before_the_ordinary_rates() -> None:
    schedule = ("22:00-07:00 unlimited", "06:00-08:00 up=50kB down=1MB")
    assert at(schedule, "2026-11-22 21:59") == Rates(100_000, 200_000)
    assert at(schedule, "2026-11-22 22:00") == Rates()
    assert at(schedule, "2026-11-23 06:59") == Rates()
    assert at(schedule, "2026-11-23 07:00") == Rates(50_000, 1_000_000)
    assert at(schedule, "2026-11-23 08:00") == Rates(100_000, 200_000)


def test_days_are_those_on_which_a_window_opens() -> None:
    schedule = ("fri-sat 22:00-02:00 up=5kB",)
    for text, open_ in (
        ("2026-11-20 21:59", False),  # a Friday
        ("2026-11-20 22:00", True),
        ("2026-11-21 01:59", True),
        ("2026-11-22 01:00", True),  # Sunday, of Saturday's
        ("2026-11-22 22:30", False),
        ("2026-11-20 01:00", False),  # Friday, of Thursday's
    ):
        assert (at(schedule, text) == Rates(5000, 0)) is open_, text
    assert at(("sun,mon-tue 00:00-24:00 unlimited",), "2026-11-24 23:59") == Rates()
    assert at(("sat-mon 8:00-8:00 unlimited",), "2026-11-24 07:59") == Rates()
    assert at(("sat-mon 8:00-8:00 unlimited",), "2026-11-24 08:00") != Rates()


@pytest.mark.parametrize(
    "text",
    [
        "", "night unlimited", "22:00 unlimited", "22:00-07:00", "25:00-07:00 unlimited", "22:00-24:01 unlimited",
        "22:60-07:00 unlimited", "22:00-07:00 fast", "22:00-07:00 up=1", "22:00-07:00 up=-5000", "22:00-07:00 up=5kB up=6kB",
        "22:00-07:00 up=5 kB", "someday 22:00-07:00 unlimited", "mon-someday 22:00-07:00 unlimited", "22:00-07:00 sideways=5kB",
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_schedule((text,))
    assert caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_a_window_or_refused(text: str) -> None:
    try:
        (window,) = parse_schedule((text,))
    except UsageError:
        return
    assert window.days and 0 <= window.start <= 1440 and 0 <= window.end <= 1440


def test_limits_of_what_can_be_set() -> None:
    with pytest.raises(UsageError):
        parse_schedule(("22:00-07:00 unlimited",) * (MAX_WINDOWS + 1))
    for rate in (-1, 1, 1023):
        with pytest.raises(UsageError):
            check_rate("rate_up_bytes_s", rate)
    check_rate("rate_up_bytes_s", 0)
    with pytest.raises(UsageError):
        check_budget("budget_hour_bytes", -1)


@pytest.mark.parametrize(
    ("text", "count"),
    [("500", 500), ("500kB", 500_000), ("2 GB", 2 * GB), ("1MB/s", 10**6), ("50g", 50 * GB), ("1.5MB", None), ("x", None), ("-5", None)],
)  # fmt: skip
def test_amounts(text: str, count: int | None) -> None:
    assert parse_bytes(text) == count


def test_amounts_in_words() -> None:
    assert [bytes_in_words(n) for n in (0, 999, 1000, 1_500_000, 50 * GB, 2 * 10**12)] == [
        "0 bytes", "999 bytes", "1 kB", "1.5 MB", "50 GB", "2 TB",
    ]  # fmt: skip


def test_use_is_counted_by_hour_and_month_and_forgotten_with_them() -> None:
    use = Usage().counted(10, moment("2026-11-30 23:10"))
    use = use.counted(5, moment("2026-11-30 23:59"))
    assert (use.hour_bytes, use.month_bytes) == (15, 15)
    use = use.counted(1, moment("2026-12-01 00:00"))
    assert (use.hour_bytes, use.month_bytes, use.month) == (1, 1, "2026-12")
    assert use.counted(0, moment("2026-12-01 01:00")).hour_bytes == 0
    assert use.counted(0, moment("2027-12-01 00:00")).month_bytes == 0


def test_a_budget_that_is_used_up_says_until_when_and_leaves_a_trickle() -> None:
    rules = TrafficRules(Rates(0, 500), month_bytes=50 * GB)
    now = moment("2026-11-22 18:30")
    assert allowance(rules, Usage(month_bytes=45 * GB - 1), now).waiting is None
    held = allowance(rules, Usage(month_bytes=45 * GB), now)
    assert held.waiting == "the month's budget of 50 GB is used up; it begins anew on 1 December"
    left_s = (8 * 24 + 5.5) * 3600
    assert held.rates == Rates(int(5 * GB // (2 * left_s)), 500)
    assert allowance(rules, Usage(month_bytes=60 * GB), now).rates == Rates(LEAST_BYTES_S, 500)
    assert allowance(rules, Usage(month_bytes=60 * GB), moment("2026-12-31 23:59")).waiting == (
        "the month's budget of 50 GB is used up; it begins anew on 1 January"
    )
    hourly = allowance(TrafficRules(hour_bytes=GB), Usage(hour_bytes=GB), moment("2026-11-22 23:30"))
    assert hourly.waiting == "the hour's budget of 1 GB is used up; it begins anew at 00:00"


@settings(max_examples=20)
@given(st.integers(10**6, 10**12), st.integers(1, 10**7))
def test_who_takes_all_that_is_allowed_stays_within_the_budget_or_at_the_least(budget: int, rate: int) -> None:
    """A virtual month in steps of a quarter of an hour."""
    rules, now = TrafficRules(Rates(rate, rate), month_bytes=budget), datetime(2026, 11, 1, tzinfo=UTC)
    use, steps = Usage(), 0
    while now.month == 11:
        here = Moment(now.year, now.month, now.day, now.weekday(), now.hour, now.minute)
        use = use.counted(0, here)
        held = allowance(rules, use, here)
        if held.waiting is None:
            step = min(900 * 2 * rate, max(0, budget * 9 // 10 + 1 - use.month_bytes))
        else:
            step = 900 * (held.rates.up + held.rates.down)
        use, steps, now = use.counted(step, here), steps + 1, now + timedelta(minutes=15)
    assert use.month_bytes <= max(budget, 0.9 * budget + steps * 900 * 2 * LEAST_BYTES_S) + budget * 0.01 + 10_000
