"""How much is handed to the socket at once: so much that a fast link is not kept waiting, so little that on a slow one a small request
does not wait long behind what another stream sends.

What was handed over cannot be overtaken any more. Pure; `connection` tells it how long each write took.
"""

from __future__ import annotations

from typing import Final

from p2pnode.net.yamux.frames import MESSAGE_BYTES

MOST_MESSAGES: Final = 4
"""Of full length, handed over at once: several in one system call."""
LEAST_BYTES = 4096
"""Below it the frames' own bytes begin to count."""
FIRST_BYTES: Final = 16 << 10
"""On a link of which nothing is known yet, and which may be limited to a trickle."""
WRITE_S: Final = 0.01
"""What a write should take at most: a quarter of a far peer's round trip, and nothing that a near one's would notice."""


class Pace:
    """Of one connection. Next time hand over at most `messages` messages of `message_bytes`."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = FIRST_BYTES

    @property
    def messages(self) -> int:
        return max(1, self._bytes // MESSAGE_BYTES)

    @property
    def message_bytes(self) -> int:
        return min(MESSAGE_BYTES, self._bytes)

    def wrote(self, count: int, seconds: float) -> None:
        """`count` bytes were taken after `seconds`: less next time if that was long, twice as much if it was short. Never less than a
        quarter: a busy machine makes a fast link look slow for a moment."""
        if seconds > WRITE_S:
            self._bytes = max(LEAST_BYTES, self._bytes // 4, min(self._bytes, int(count * WRITE_S / seconds)))
        elif seconds < WRITE_S / 2 and count * 2 >= self._bytes:  # a small one is quick on any link
            self._bytes = min(MOST_MESSAGES * MESSAGE_BYTES, self._bytes * 2)
