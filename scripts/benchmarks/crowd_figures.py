"""What a crowd's look-ups took: against the aims, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles

NEVER = float("inf")


@dataclass(frozen=True)
class Finds:
    """Milliseconds of those look-ups that found it; None where too few did. An aim that is None is no aim."""

    name: str
    asked: int
    found: int
    p50_ms: float | None
    p95_ms: float | None
    worst_ms: float | None
    aim_p50_ms: float | None
    aim_p95_ms: float | None

    @classmethod
    def of(cls, name: str, seconds: Sequence[float], *, aim_p50_ms: float | None, aim_p95_ms: float | None) -> Finds:
        """`seconds`: of each look-up, NEVER for one that found nothing. It counts in the percentiles: who finds nothing waits for ever."""
        found = sum(one < NEVER for one in seconds)
        cuts = [NEVER] * 99
        if len(seconds) >= 2 and found >= 2:
            longest = 1e6  # stands for "never" where the percentiles are drawn
            cuts = quantiles([min(one, longest) for one in seconds], n=100, method="inclusive")
            cuts = [one if one < longest / 2 else NEVER for one in cuts]
        worst = max((one for one in seconds if one < NEVER), default=NEVER)
        return cls(
            name, len(seconds), found, *(_ms(one) for one in (cuts[49], cuts[94], worst)), aim_p50_ms, aim_p95_ms
        )

    @property
    def is_met(self) -> bool:
        return _within(self.p50_ms, self.aim_p50_ms) and _within(self.p95_ms, self.aim_p95_ms)

    def line(self) -> str:
        return (
            f"{self.name:<26} {self.found:>4} of {self.asked:<4} {_shown(self.p50_ms, self.aim_p50_ms):>16} "
            f"{_shown(self.p95_ms, self.aim_p95_ms):>16} {_shown(self.worst_ms, None):>8}  {'met' if self.is_met else 'MISSED'}"
        )


def table(rows: Sequence[Finds]) -> Iterator[str]:
    """One line for each, below a heading. Milliseconds, and the aim behind the stroke."""
    yield f"{'':<26} {'found':>12} {'p50 ms':>16} {'p95 ms':>16} {'worst':>8}"
    for row in rows:
        yield row.line()


def as_json(rows: Sequence[Finds], about: dict[str, object]) -> str:
    return json.dumps(about | {"finds": [asdict(row) | {"met": row.is_met} for row in rows]}, allow_nan=False)


def _ms(seconds: float) -> float | None:
    return None if seconds == NEVER else round(1000 * seconds, 1)


def _within(value: float | None, aim: float | None) -> bool:
    return aim is None or (value is not None and value <= aim)


def _shown(value: float | None, aim: float | None) -> str:
    return ("-" if value is None else f"{value:.0f}") + ("" if aim is None else f" / {aim:.0f}")
