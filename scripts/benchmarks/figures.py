"""What a benchmark says: a figure with its unit, and the baseline of the same run where there is one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`; `baseline` in the same unit, of what `against` names; their ratio is what may be compared between machines."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    against: str = ""
    note: str = ""

    def line(self) -> str:
        text = f"{self.name:<44} {self.value:>10.4g} {self.unit:<6}"
        if self.baseline:
            text += f" {self.value / self.baseline:>8.3g} x {self.against} ({self.baseline:.4g} {self.unit})"
        return text + (f"  [{self.note}]" if self.note else "")


def timed(work: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], object], *, runs: int) -> float:
    """Median seconds of several runs."""
    return statistics.median(timed(work) for _ in range(runs))
