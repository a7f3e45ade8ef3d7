"""What waits to be read by somebody slower than us: bounded, and honest about what was lost.

The server keeps one for each client, the asyncio client one for each iterator. It never waits and never does I/O.
The rule: progress is dropped oldest first and counted; everything else stays, and when that is too much the reader is given up.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from p2pnode.errors import P2pnodeError
from p2pnode.limits import MIB

MAX_PROGRESS = 256
"""Waiting progress events: what a screen shows in about ten seconds; older ones are worth nothing."""
MAX_BACKLOG_BYTES = 8 * MIB
"""Bytes that wait for one reader before it is given up: eight of the largest lines."""

T = TypeVar("T")


class TooSlowError(P2pnodeError):
    """The reader does not read, and what waits for it may not be dropped."""

    code = "too_slow"


class Backlog(Generic[T]):
    """A queue of items with sizes in bytes, in order."""

    def __init__(self, *, max_progress: int = MAX_PROGRESS, max_bytes: int = MAX_BACKLOG_BYTES) -> None:
        self.max_progress = max_progress
        self.max_bytes = max_bytes
        self.bytes = 0
        self.dropped = 0
        self._serial = 0
        self._waiting: OrderedDict[int, tuple[T, int]] = OrderedDict()
        self._progress: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, item: T, size: int, *, progress: bool = False) -> None:
        """Add at the end. TooSlowError, and nothing added, when even without progress events it does not fit."""
        while self._progress and (
            self.bytes + size > self.max_bytes or (progress and len(self._progress) >= self.max_progress)
        ):
            self._drop_oldest_progress()
        if self.bytes + size > self.max_bytes:
            raise TooSlowError(f"{self.bytes} bytes wait and nobody reads them")
        self._serial += 1
        self._waiting[self._serial] = (item, size)
        self.bytes += size
        if progress:
            self._progress.append(self._serial)

    def pop(self) -> T | None:
        """The oldest item, or None when nothing waits."""
        if not self._waiting:
            return None
        serial, (item, size) = self._waiting.popitem(last=False)
        if self._progress and self._progress[0] == serial:
            self._progress.popleft()
        self.bytes -= size
        return item

    def take_dropped(self) -> int:
        """How many progress events were dropped since this was asked last."""
        count, self.dropped = self.dropped, 0
        return count

    def _drop_oldest_progress(self) -> None:
        _, size = self._waiting.pop(self._progress.popleft())
        self.bytes -= size
        self.dropped += 1
