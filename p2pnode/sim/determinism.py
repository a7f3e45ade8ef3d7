"""Running trio so that one seed gives one run: virtual time, the scheduler's dice, and no threads.

The only file that touches trio's insides. Trio shuffles the tasks of each turn on purpose; as its own determinism test does, we sort
them first and seed the dice. Work for threads is done at once, on the spot: a thread takes no virtual time, so the clock would run
away from it. The process must have PYTHONHASHSEED=0 where sets of texts are walked (`scripts/sim` sees to it).
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
import trio.testing
from trio._core import _run

from p2pnode.sim.shared import shared_work

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]], seed: int) -> T:
    """Run `main` in virtual time, the same every time for a seed. Its errors come through."""
    with _seeded(seed), _without_threads(), shared_work():
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    dice, sorts, global_state = _run._r, _run._ALLOW_DETERMINISTIC_SCHEDULING, random.getstate()
    _run._r = random.Random(seed)
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    random.seed(seed)  # the services draw pauses and peers from it
    try:
        yield
    finally:
        _run._r, _run._ALLOW_DETERMINISTIC_SCHEDULING = dice, sorts  # type: ignore[misc]
        random.setstate(global_state)


@contextmanager
def _without_threads() -> Iterator[None]:
    threaded = trio.to_thread.run_sync

    async def inline(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*args)

    trio.to_thread.run_sync = inline  # type: ignore[assignment]
    try:
        yield
    finally:
        trio.to_thread.run_sync = threaded
