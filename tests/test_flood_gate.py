"""What a hostile peer makes us log stays small, and says how much was left out."""

from __future__ import annotations

import logging

from p2pnode.flood_gate import BURST_LINES, MAX_KINDS, FloodGate


class Log:
    """A logger whose lines are kept; `now` is its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.logger = logging.Logger("test")
        handler = logging.Handler()
        handler.addFilter(FloodGate(lambda: self.now))
        handler.emit = lambda record: self.lines.append(record.getMessage())  # type: ignore[method-assign]
        self.logger.addHandler(handler)


def test_a_flood_of_one_kind_is_cut_and_counted() -> None:
    log = Log()
    for number in range(BURST_LINES + 5000):
        log.logger.info("a stream of %s broke", number)
    assert len(log.lines) == BURST_LINES
    log.logger.info("something %s", "else")
    assert log.lines[-1] == "something else"
    log.now = 1.0
    log.logger.info("a stream of %s broke", "100% of them")
    assert log.lines[-1] == "a stream of 100% of them broke (and 5000 more like it)"


def test_a_day_of_flood_is_bounded_and_errors_always_pass() -> None:
    log = Log()
    for _ in range(24 * 3600):
        log.now += 0.5
        log.logger.warning("again")
        log.logger.error("a bug")
    assert log.lines.count("a bug") == 24 * 3600
    assert len(log.lines) - 24 * 3600 <= BURST_LINES + 12 * 3600 + 1


def test_kinds_without_number_cost_no_memory() -> None:
    log = Log()
    for number in range(3 * MAX_KINDS):
        log.logger.info(f"kind {number}")
    gate = log.logger.handlers[0].filters[0]
    assert isinstance(gate, FloodGate)
    assert len(gate._budgets) == MAX_KINDS
