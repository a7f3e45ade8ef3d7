"""Keeping a log readable, and its disk free, while somebody provokes the same message thousands of times.

A peer can make us log a line by breaking a stream, which costs it nothing. So each kind of message (its text before the names are filled
in, all of them ours) has a budget; what is left out is counted, and the count is said with the next line of the kind. Never touches
errors. Called by the daemon, on its one log handler.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

BURST_LINES = 200
"""Of one kind at once: a busy minute of an honest node."""
LINES_PER_S = 1.0
"""... and then: a kind of message fills at most 30 MB a day."""
MAX_KINDS = 1000
"""Messages that the program has; a bound in case one of them carries its names inside."""


@dataclass(slots=True)
class _Budget:
    lines: float
    at: float
    left_out: int = 0


class FloodGate(logging.Filter):
    """Lets BURST_LINES of each kind of message pass, then LINES_PER_S. `clock` gives monotone seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._budgets: dict[str, _Budget] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return True
        now = self._clock()
        budget = self._budgets.setdefault(f"{record.name} {record.msg}", _Budget(BURST_LINES, now))
        while len(self._budgets) > MAX_KINDS:
            del self._budgets[next(iter(self._budgets))]
        budget.lines = min(BURST_LINES, budget.lines + (now - budget.at) * LINES_PER_S)
        budget.at = now
        if budget.lines < 1:
            budget.left_out += 1
            return False
        budget.lines -= 1
        if budget.left_out:
            record.msg, record.args = f"{record.getMessage()} (and {budget.left_out} more like it)", ()
            budget.left_out = 0
        return True
