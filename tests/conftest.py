"""What every test may rely on."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import hypothesis
import pytest
import trio
from trio.testing import MockClock

# A shell that starts tests in the background lets them ignore Ctrl-C, and whatever they start inherits that: tests of
# Ctrl-C would then wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's affair.
hypothesis.settings.register_profile("p2pnode", deadline=None)
hypothesis.settings.load_profile("p2pnode")

# No daemon of a test asks the router of the machine that it runs on; those in networks of their own may (`support.daemons`).
os.environ["P2PNODE_MAP_PORTS"] = "false"


@pytest.fixture
def autojump_clock(monkeypatch: pytest.MonkeyPatch) -> MockClock:
    """Virtual time that jumps when every task waits, except while a worker thread is at work.

    Trio's own jumps then, too: for its clock a task that waits for a thread is idle. On a busy machine a deadline of minutes passes
    before the thread has read one row.
    """
    clock = MockClock(autojump_threshold=0)
    monkeypatch.setattr(trio.to_thread, "run_sync", _holding(clock, trio.to_thread.run_sync))
    return clock


def _holding(clock: MockClock, threaded: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    at_work = 0

    async def run_sync(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        nonlocal at_work
        at_work += 1
        clock.autojump_threshold = math.inf
        try:
            return await threaded(work, *args, **options)
        finally:
            at_work -= 1
            if not at_work:
                clock.autojump_threshold = 0

    return run_sync
