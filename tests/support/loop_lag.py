"""How long single steps of tasks keep the event loop from everything else: processor time, so that a busy machine blames nobody."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio

AIM_S = 0.05
"""Nothing that a peer can cause may block the loop for longer."""


class LoopLag(trio.abc.Instrument):
    """The longest steps seen, and of whom. The collector's pauses are not a task's doing, and are kept apart."""

    def __init__(self) -> None:
        self.worst: dict[str, float] = {}
        self.collecting_s = 0.0
        self._began = time.thread_time()
        self._paused = self._pause_began = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._paused = 0.0
        self._began = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        took = time.thread_time() - self._began - self._paused
        if took > AIM_S / 10 and took > self.worst.get(task.name, 0.0):
            self.worst[task.name] = took

    def on_collection(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._pause_began = time.thread_time()
        else:
            pause = time.thread_time() - self._pause_began
            self._paused += pause
            self.collecting_s = max(self.collecting_s, pause)

    def longest(self, count: int = 8) -> list[tuple[int, str]]:
        """(milliseconds, task) of the worst."""
        ranked = sorted(((took, name) for name, took in self.worst.items()), reverse=True)
        return [(round(1e3 * took), name) for took, name in ranked[:count]]


@contextmanager
def loop_lag() -> Iterator[LoopLag]:
    """Measures while the block runs."""
    lag = LoopLag()
    trio.lowlevel.add_instrument(lag)
    gc.callbacks.append(lag.on_collection)
    try:
        yield lag
    finally:
        gc.callbacks.remove(lag.on_collection)
        trio.lowlevel.remove_instrument(lag)
