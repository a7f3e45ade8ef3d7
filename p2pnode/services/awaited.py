"""Waiting for something to change, and for one block to come: what providers, fetches and readers wake each other with. No I/O."""

from __future__ import annotations

import trio

from p2pnode.errors import P2pnodeError


class Bell:
    """Wakes whoever waits for something to change."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        """Wake all who wait now."""
        self._event.set()
        self._event = trio.Event()

    def next(self) -> trio.Event:
        """What the next ring sets: taken before one looks, no ring is missed while one looks."""
        return self._event

    async def wait(self) -> None:
        """Until the next ring."""
        await self._event.wait()


class Awaited:
    """One block that a reader waits for: it holds the bytes from their coming until the reader is there."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._block = b""
        self._error: P2pnodeError | None = None

    def arrive(self, block: bytes) -> None:
        """It came, verified."""
        self._block = block
        self._event.set()

    def fail(self, error: P2pnodeError) -> None:
        """It will not come."""
        self._error = error
        self._event.set()

    async def take(self) -> bytes:
        """The block, when it came. Raises what kept it from coming."""
        await self._event.wait()
        if self._error is not None:
            raise self._error
        return self._block
