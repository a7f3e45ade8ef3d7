"""What a person allows a node to send and receive: rates, times of day at which others hold, budgets by hour and month; as arithmetic.

Rules
- Rates are bytes a second, each way, 0 for no limit. Of the windows of the schedule the first that covers a moment goes before the rates.
- A budget counts both directions together, from the full hour or the first of the month, by this machine's local time.
- When 90 % of a budget are used, transfers wait; the rest is for records, votes and the DHT, spread over what is left of the hour or
  month, and never slower than LEAST_BYTES_S, because a node that is never heard is not there.

Knows no clock: a moment is given. Used by `services.traffic`, and by `config` to check what is set.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from typing import Final

from p2pnode.errors import UsageError

LEAST_RATE_BYTES_S: Final = 1024
"""The lowest rate that can be set: below it pings are late and peers hang up."""
LEAST_BYTES_S: Final = 1024
"""Each way, when a budget is used up: signs of life to a hundred peers; 2.7 GB in a month."""
TRANSFERS_PERCENT: Final = 90
"""Of a budget, for transfers; the rest is for records, votes and the DHT."""
MOST_BYTES: Final = 10**15
"""Of a rate, a budget or a size that is set: a petabyte, which no home reaches. What is more is a slip of the pen, and fits no database."""
SHOWN_DIGITS: Final = 30
"""Of a number that is refused: a longer one only fills the screen."""
MAX_WINDOWS: Final = 50
"""Of one schedule: every hour of every day would be a misuse."""

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_WINDOW: Final = re.compile(r"(?:([a-z,-]+)\s+)?(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s+(\S.*)", re.ASCII)
_AMOUNT: Final = re.compile(r"(\d{1,15})\s*([kmgt]?)b?(?:/s)?", re.ASCII)
_HINT: Final = 'like "22:00-07:00 unlimited" or "mon-fri 08:00-18:00 up=50kB down=1MB"'


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes a second; 0: no limit."""

    up: int = 0
    down: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """Local time of day and date; `weekday` is 0 on Mondays."""

    year: int
    month: int
    day: int
    weekday: int
    hour: int
    minute: int
    second: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end` (minutes after midnight; an end that is not later is one of the next day) on these weekdays."""

    days: frozenset[int]
    start: int
    end: int
    rates: Rates

    def covers(self, moment: Moment) -> bool:
        """Whether the window is open. The hours after midnight belong to the day before."""
        minute = moment.hour * 60 + moment.minute
        if self.start < self.end:
            return moment.weekday in self.days and self.start <= minute < self.end
        before = (moment.weekday - 1) % 7
        return (moment.weekday in self.days and minute >= self.start) or (before in self.days and minute < self.end)


@dataclass(frozen=True, slots=True)
class TrafficRules:
    """All that is set. Budgets in bytes, 0: none."""

    rates: Rates = Rates()
    windows: tuple[Window, ...] = ()
    hour_bytes: int = 0
    month_bytes: int = 0

    def rates_at(self, moment: Moment) -> Rates:
        """Rates of the first window that is open, else the ordinary ones."""
        return next((window.rates for window in self.windows if window.covers(moment)), self.rates)


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of both directions in the running hour and month, which their names tell from others."""

    hour: str = ""
    month: str = ""
    hour_bytes: int = 0
    month_bytes: int = 0

    def counted(self, count: int, moment: Moment) -> Usage:
        """With `count` bytes more; an hour or month that is over is forgotten."""
        month = f"{moment.year:04}-{moment.month:02}"
        hour = f"{month}-{moment.day:02}T{moment.hour:02}"
        return Usage(
            hour,
            month,
            (self.hour_bytes if hour == self.hour else 0) + count,
            (self.month_bytes if month == self.month else 0) + count,
        )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What holds at a moment. `waiting`: why transfers wait, in words; None when they need not."""

    rates: Rates
    waiting: str | None = None


def allowance(rules: TrafficRules, usage: Usage, moment: Moment) -> Allowance:
    """What holds now, with `usage` of this very hour and month."""
    rates, waiting = rules.rates_at(moment), None
    for budget, used, left_s, said in (
        (rules.hour_bytes, usage.hour_bytes, _hour_left_s(moment), _hour_said),
        (rules.month_bytes, usage.month_bytes, _month_left_s(moment), _month_said),
    ):
        if budget and used * 100 >= budget * TRANSFERS_PERCENT:
            trickle = max(LEAST_BYTES_S, (budget - used) // (2 * left_s))
            rates = Rates(_lower(rates.up, trickle), _lower(rates.down, trickle))
            waiting = said(budget, moment)
    return Allowance(rates, waiting)


def parse_schedule(texts: tuple[str, ...]) -> tuple[Window, ...]:
    """The windows in their order. UsageError names the one that cannot be read."""
    if len(texts) > MAX_WINDOWS:
        raise UsageError(f"a schedule of {len(texts)} windows; at most {MAX_WINDOWS} are allowed")
    return tuple(_parse_window(text) for text in texts)


def parse_bytes(text: str) -> int | None:
    """500, 500kB, 2GB: a whole number, with k, M, G or T for thousands (not 1024s); None if it is something else."""
    match = _AMOUNT.fullmatch(text.strip().lower())
    return int(match[1]) * UNITS[match[2]] if match else None


def bytes_in_words(count: int) -> str:
    """50 GB, 1.5 MB, 17 bytes: in thousands, as providers count."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.4g} {name}"
    return f"{count} bytes"


def check_rate(name: str, rate: int) -> None:
    """UsageError if a rate is negative, too low to be heard, or absurd."""
    if rate < 0 or 0 < rate < LEAST_RATE_BYTES_S:
        raise UsageError(
            f"{name} is {rate} bytes a second", hint=f"at least {LEAST_RATE_BYTES_S}; 0 is no limit at all"
        )
    check_bytes(name, rate, zero="no limit at all")


def check_budget(name: str, budget: int) -> None:
    """UsageError if a budget is negative or absurd."""
    check_bytes(name, budget, zero="no budget at all")


def check_bytes(name: str, count: int, *, zero: str) -> None:
    """UsageError if no home can mean that many bytes; `zero` says what 0 means."""
    if not 0 <= count <= MOST_BYTES:
        shown = str(count) if abs(count) < 10**SHOWN_DIGITS else f"a number of more than {SHOWN_DIGITS} digits"
        raise UsageError(
            f"{name} is {shown}",
            hint=f"a count of bytes, at most {MOST_BYTES} ({bytes_in_words(MOST_BYTES)}); 0 is {zero}",
        )


def _lower(rate: int, trickle: int) -> int:
    return min(rate, trickle) if rate else trickle


def _hour_left_s(moment: Moment) -> int:
    return max(1, 3600 - moment.minute * 60 - moment.second)


def _month_left_s(moment: Moment) -> int:
    days = monthrange(moment.year, moment.month)[1] - moment.day
    return days * 86_400 + (23 - moment.hour) * 3600 + _hour_left_s(moment)


def _hour_said(budget: int, moment: Moment) -> str:
    return f"the hour's budget of {bytes_in_words(budget)} is used up; it begins anew at {(moment.hour + 1) % 24:02}:00"


def _month_said(budget: int, moment: Moment) -> str:
    return f"the month's budget of {bytes_in_words(budget)} is used up; it begins anew on 1 {MONTHS[moment.month % 12]}"


def _parse_window(text: str) -> Window:
    match = _WINDOW.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(f"{text!r} is no window of a schedule", hint=_HINT)
    start, end = (_minutes(text, match[at], match[at + 1]) for at in (2, 4))
    return Window(_days(text, match[1] or ""), start, end, _rates(text, match[6]))


def _minutes(text: str, hour: str, minute: str) -> int:
    if int(hour) > 24 or int(minute) > 59 or (int(hour) == 24 and int(minute)):
        raise UsageError(f"{text!r}: {hour}:{minute} is no time of day", hint=_HINT)
    return int(hour) * 60 + int(minute)


def _days(text: str, said: str) -> frozenset[int]:
    found: set[int] = set()
    for part in filter(None, said.split(",")):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise UsageError(f"{text!r}: {part} are no days", hint=f"days are {', '.join(DAYS)}; from-to with a dash")
        begin, span = DAYS.index(first), (DAYS.index(last or first) - DAYS.index(first)) % 7
        found |= {(begin + step) % 7 for step in range(span + 1)}
    return frozenset(found or range(7))


def _rates(text: str, said: str) -> Rates:
    if said == "unlimited":
        return Rates()
    values: dict[str, int] = {}
    for part in said.split():
        name, _, amount = part.partition("=")
        rate = parse_bytes(amount)
        if name not in ("up", "down") or name in values or rate is None:
            raise UsageError(f"{text!r}: {part} is no rate", hint=_HINT)
        check_rate(f"{text!r}: {name}", rate)
        values[name] = rate
    return Rates(values.get("up", 0), values.get("down", 0))
