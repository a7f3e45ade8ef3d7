"""One transfer as a person sees it: its state in words with the reason, never "stuck". Who wants to show it listens.

The object is told what happens by services.fetch and knows no network. Its JSON is the TRANSFER of the control socket.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

import trio

from p2pnode.core.cid import Cid
from p2pnode.ports import Json, WallClock

State = Literal["finding", "fetching", "waiting", "done", "failed", "cancelled"]
RATE_WINDOW_S = 5.0
"""Seconds over which the shown rate is measured."""
TELL_INTERVAL_S = 0.2
"""Seconds between two tellings of mere progress: a screen needs no more. A change of state is told at once."""


class Transfer:
    """A fetch in progress or finished. `listener` is called with the object itself, synchronously, and must not block."""

    def __init__(
        self,
        id: str,
        root: Cid,
        *,
        clock: WallClock,
        work: str | None = None,
        title: str = "",
        listener: Callable[[Transfer], None] = lambda transfer: None,
    ) -> None:
        self.id, self.root, self.work, self.title = id, root, work, title
        self.started = clock()
        self.state: State = "finding"
        self.bytes = self.total = self.providers = 0
        self.used_providers: set[str] = set()
        """Peer IDs that brought at least one verified block."""
        self._clock, self._listener = clock, listener
        self._reason = "looking for providers"
        self._since = self.started
        self._next_try: float | None = None
        self._arrivals: deque[tuple[float, int]] = deque()
        self._told = 0.0

    @property
    def finished(self) -> bool:
        """Whether nothing will happen any more."""
        return self.state in ("done", "failed", "cancelled")

    def say(self, state: State, reason: str) -> None:
        """A new state, or a new reason for it."""
        if state != self.state:
            self._since = self._clock()
        self.state, self._reason = state, reason
        self._tell()

    def waiting(self, reason: str, next_try_s: float | None) -> None:
        """No provider answers; when the next look will be."""
        self._next_try = None if next_try_s is None else self._clock() + next_try_s
        self.say("waiting", reason)

    def begin(self, done: int, total: int) -> None:
        """The size is known, and how much of it is here already."""
        self.bytes, self.total = done, total
        self._tell()

    def arrived(self, count: int) -> None:
        """So many verified bytes more."""
        now = trio.current_time()
        self.bytes += count
        self._arrivals.append((now, count))
        self._forget(now)
        if now - self._told >= TELL_INTERVAL_S:
            self._tell()

    def rate(self) -> float:
        """Bytes a second over the last moments."""
        if self.state != "fetching" or not self._arrivals:
            return 0.0
        now = trio.current_time()
        self._forget(now)
        return sum(count for _, count in self._arrivals) / max(1.0, min(RATE_WINDOW_S, self._clock() - self.started))

    def reason(self) -> str:
        """The words for the state, as of now."""
        if self.state != "waiting":
            return self._reason
        since = time.strftime("%H:%M", time.localtime(self._since))
        words = f"waiting for providers since {since}: {self._reason}"
        if self._next_try is None:
            return words
        return f"{words}, next try in {max(0, round(self._next_try - self._clock()))} s"

    def json(self) -> Json:
        """TRANSFER, as the control socket carries it."""
        return {
            "transfer": self.id,
            "work": self.work,
            "cid": str(self.root),
            "title": self.title,
            "state": self.state,
            "reason": self.reason(),
            "bytes": self.bytes,
            "total": self.total,
            "rate_bytes_s": round(self.rate()),
            "providers": self.providers,
            "started": self.started,
        }

    def _forget(self, now: float) -> None:
        while self._arrivals and self._arrivals[0][0] < now - RATE_WINDOW_S:
            self._arrivals.popleft()

    def _tell(self) -> None:
        self._told = trio.current_time()
        self._listener(self)
