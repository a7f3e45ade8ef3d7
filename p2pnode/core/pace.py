"""How fast bytes may go in one direction: a bucket that fills at a rate, as arithmetic on times that the caller gives.

What goes is charged when it goes, so that the bucket may be in debt by one piece; whoever comes next waits until the debt is paid. Over any
time T at most rate x (T + SAVED_S) bytes and one piece go. Used by `net.traffic`.
"""

from __future__ import annotations

from typing import Final

SAVED_S: Final = 0.25
"""What an idle line saves up: enough that a timer's lateness costs no throughput, too little to be a burst."""
PIECE_S: Final = 0.25
"""One piece of a bulk transfer takes this long at most: whoever comes next waits no longer for it."""
LEAST_PIECE_BYTES: Final = 1448
"""What one packet carries: less costs more in headers than it is worth."""
MOST_PIECE_BYTES: Final = 64 << 10


class Pace:
    """`rate` bytes a second, 0: as fast as may be. Times are seconds of any steady clock."""

    __slots__ = ("_at", "_level", "rate")

    def __init__(self, rate: int = 0, now: float = 0.0) -> None:
        self.rate = rate
        self._level = 0.0
        self._at = now

    def set_rate(self, rate: int, now: float) -> None:
        """From now on. A debt of the old rate is paid at the new one."""
        self._fill(now)
        self.rate = rate
        self._level = min(self._level, rate * SAVED_S)

    def charge(self, count: int, now: float) -> None:
        """`count` bytes go; a negative number gives back what did not go after all."""
        if self.rate:
            self._fill(now)
            self._level = min(self._level - count, self.rate * SAVED_S)

    def delay_s(self, now: float) -> float:
        """Seconds until the next bytes may go."""
        if not self.rate:
            return 0.0
        self._fill(now)
        if self._level > -0.5:  # less than a byte is no debt: a timer could not wait for it
            return 0.0
        return -self._level / self.rate

    def piece(self, waiting: int) -> int:
        """The most bytes that may go at once while `waiting` others want to: a whole round of them takes PIECE_S twice at most."""
        share = int(self.rate * 2 * PIECE_S / (waiting + 2))
        return max(LEAST_PIECE_BYTES, min(share, MOST_PIECE_BYTES))

    def _fill(self, now: float) -> None:
        gone = max(0.0, now - self._at)
        self._at = max(now, self._at)
        self._level = min(self._level + gone * self.rate, self.rate * SAVED_S)
