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

State = Literal["queued", "finding", "fetching", "waiting", "paused", "done", "failed", "cancelled"]
Mode = Literal["get", "read"]
RATE_WINDOW_S = 5.0
"""Seconds over which the shown rate is measured."""
TELL_INTERVAL_S = 0.2
"""Seconds between two tellings of mere progress: a screen needs no more. A change of state is told at once."""
ARRIVALS_KEPT = 64
"""Moments that the rate is measured from: what comes faster is joined."""


def no_limit() -> str:
    """What `limited` says when nothing holds the node back."""
    return ""


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
        mode: Mode = "get",
        listener: Callable[[Transfer], None] = lambda transfer: None,
        limited: Callable[[], str] = no_limit,
    ) -> None:
        """`limited` says in words by what rate the node is held back now, if it is."""
        self.id, self.root, self.work, self.title, self.mode = id, root, work, title, mode
        self.only: tuple[str, ...] | None = None
        self.started = clock()
        self.state: State = "finding"
        self.bytes = self.total = self.providers = 0
        self.used_providers: set[str] = set()
        """Peer IDs that brought at least one verified block."""
        self.last_seen: float | None = None
        """When a provider last brought something, before the last restart too."""
        self._clock, self._listener, self._limited = clock, listener, limited
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
        """The size of what was chosen is known, and how much of it is here already."""
        self.bytes, self.total = done, total
        self._tell()

    def expect(self, count: int) -> None:
        """So many bytes more are wanted (fewer, if negative): somebody reads on, or stopped."""
        self.total += count

    def arrived(self, count: int) -> None:
        """So many verified bytes more."""
        now = trio.current_time()
        self.bytes += count
        self.last_seen = self._clock()
        if self._arrivals and now - self._arrivals[-1][0] < RATE_WINDOW_S / ARRIVALS_KEPT:
            self._arrivals[-1] = (self._arrivals[-1][0], self._arrivals[-1][1] + count)
        else:
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
        if self.state == "fetching" and (limited := self._limited()):
            return f"{self._reason}, {limited}"
        if self.state != "waiting":
            return self._reason
        now = self._clock()
        words = f"waiting for providers since {_moment(self._since, now)}"
        if self.last_seen is not None:
            words += f", last seen {_day(self.last_seen, now)}"
        words += f": {self._reason}"
        if self._next_try is None:
            return words
        return f"{words}, next try in {max(0, round(self._next_try - now))} s"

    def json(self) -> Json:
        """TRANSFER, as the control socket carries it."""
        waits = self.state == "waiting"
        return {
            "transfer": self.id,
            "work": self.work,
            "cid": str(self.root),
            "title": self.title,
            "mode": self.mode,
            "only": None if self.only is None else list(self.only),
            "state": self.state,
            "reason": self.reason(),
            "since": self._since,
            "next_try": self._next_try if waits else None,
            "last_seen": self.last_seen,
            "limited": (self._limited() or None) if self.state == "fetching" else None,
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


def _moment(then: float, now: float) -> str:
    """14:02 for today, with the day before that."""
    clock = time.strftime("%H:%M", time.localtime(then))
    day = _day(then, now)
    return clock if day.startswith("at ") else f"{day} {clock}"


def _day(then: float, now: float) -> str:
    """When something was, roughly: `at 14:02`, `yesterday`, `on 3 May`."""
    was, today = time.localtime(then), time.localtime(now)
    if was[:3] == today[:3]:
        return time.strftime("at %H:%M", was)
    if was[:3] == time.localtime(now - 86_400)[:3]:
        return "yesterday"
    return f"on {was.tm_mday} {time.strftime('%B', was)}" + (f" {was.tm_year}" if was.tm_year != today.tm_year else "")
