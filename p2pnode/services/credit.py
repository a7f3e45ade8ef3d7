"""Credit of those who take bytes through the control socket: nothing is sent that the reader has not said it has room for.

Called by the methods that read; each reading has a token, under which its reader grants more while the method runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from p2pnode.errors import NotFoundError
from p2pnode.services.awaited import Bell

MAX_FRAMES = 32
"""Frames that a reader may let come at a time: 2.8 MB on the wire, well below what a client may leave unread."""


class Credit:
    """Frames that may be sent."""

    def __init__(self) -> None:
        self._frames = 0
        self._granted = Bell()

    def grant(self, frames: int) -> None:
        """So many more; never more than MAX_FRAMES wait to be used."""
        self._frames = min(MAX_FRAMES, self._frames + frames)
        self._granted.ring()

    async def take(self) -> None:
        """Use up one, as soon as there is one."""
        while not self._frames:
            await self._granted.wait()
        self._frames -= 1


class Credits:
    """All readings under way, by token."""

    def __init__(self) -> None:
        self._open: dict[str, Credit] = {}
        self._count = 0

    @contextmanager
    def open(self) -> Iterator[tuple[str, Credit]]:
        """A new one, as long as the block lasts."""
        self._count += 1
        token, credit = f"read-{self._count}", Credit()
        self._open[token] = credit
        try:
            yield token, credit
        finally:
            del self._open[token]

    def grant(self, token: str, frames: int) -> None:
        """NotFoundError if that reading has ended."""
        if token not in self._open:
            raise NotFoundError(f"{token!r} is not being read any more")
        self._open[token].grant(frames)
