"""How much a peer may send: the receive window of one stream, and what all windows of a connection may hold together.

Rules
- A window begins at 256 KiB, as the specification says; both sides count from there.
- Room shrinks with each byte that arrives and comes back when the application has read half a window: one update for many reads.
- A peer that sends more than it has room for has broken the protocol.
- When half a window was read within two round trips, the window and not the reader holds the sender back: it grows fourfold (twice
  would follow TCP's own start instead of being ahead of it), up to 16 MiB, while all windows of the connection stay within 64 MiB
  together. Without a measured round trip it does not grow.

So what a stream that nobody reads can cost is its window, and a window grows only for a reader that kept up with it.
Called by `engine`.
"""

from __future__ import annotations

from typing import Final

from p2pnode.net.yamux.frames import ProtocolError

INITIAL_BYTES: Final = 256 << 10
MAX_STREAM_BYTES: Final = 16 << 20
"""Enough for 400 Mbit/s at 300 ms."""
MAX_CONNECTION_BYTES: Final = 64 << 20
"""Windows beyond the first 256 KiB stop growing here: a handful of full-speed streams, or many ordinary ones."""
GROWTH: Final = 4
GROW_WITHIN_ROUND_TRIPS: Final = 2.0
LEAST_ROUND_TRIP_S: Final = 0.004
"""On a fast link the turns of two busy event loops take longer than the wire, and the window has to cover them too."""


class Budget:
    """The sum of all receive windows of one connection, in bytes."""

    def __init__(self) -> None:
        self.granted = 0

    def grow(self, wanted: int) -> int:
        """As much of `wanted` as fits."""
        grown = max(0, min(wanted, MAX_CONNECTION_BYTES - self.granted))
        self.granted += grown
        return grown


class ReceiveWindow:
    """One stream's window. At any time room + unread + returned-but-not-yet-told is `capacity`."""

    __slots__ = ("_budget", "_pending", "_told_at", "capacity", "room")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        budget.granted += INITIAL_BYTES
        self.capacity = INITIAL_BYTES
        self.room = INITIAL_BYTES
        self._pending = 0
        self._told_at = float("-inf")

    def take(self, count: int) -> None:
        """`count` bytes come in. ProtocolError if there is no room for them."""
        if count > self.room:
            raise ProtocolError(f"{count} bytes into a window of {self.room}")
        self.room -= count

    def give_back(self, count: int, now: float, rtt_s: float) -> int:
        """The application has read `count` bytes: the credit to send to the peer now, 0 for none yet."""
        self._pending += count
        if self._pending < self.capacity // 2:
            return 0
        credit = self._pending
        self._pending = 0
        if rtt_s and now - self._told_at < max(rtt_s, LEAST_ROUND_TRIP_S) * GROW_WITHIN_ROUND_TRIPS:
            grown = self._budget.grow(min((GROWTH - 1) * self.capacity, MAX_STREAM_BYTES - self.capacity))
            self.capacity += grown
            credit += grown
        self._told_at = now
        self.room += credit
        return credit

    def close(self) -> None:
        """Give the bytes back to the connection's budget."""
        self._budget.granted -= self.capacity
        self.capacity = 0
