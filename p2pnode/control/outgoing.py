"""The way out to one control client: a Backlog, and the task that empties it into the socket.

Whoever pushes never waits. The task ends when the client stops reading or goes; when it is cancelled it first delivers, for a
moment, what was ready: the answer to `stop` must reach the one who asked.
"""

from __future__ import annotations

import logging
from typing import Protocol

import trio

from p2pnode.control import codec
from p2pnode.control.backlog import Backlog, TooSlowError

STALL_S = 60.0
"""A client that has taken nothing for so long, with something waiting, is cut."""
LEAVE_S = 1.0
"""For delivering what was ready when the session ends."""
ROOM_BYTES = 2 * codec.MAX_LINE_BYTES
"""Parts of long answers wait until less than this is in the way."""

logger = logging.getLogger(__name__)


class Wire(Protocol):
    """A connection as a session reads and writes it: a trio socket is one."""

    async def recv(self, max_bytes: int, /) -> bytes: ...
    async def send(self, data: bytes | memoryview, /) -> int: ...


class Outgoing:
    """Lines for one socket, in order."""

    def __init__(self, socket: Wire) -> None:
        self._socket = socket
        self._backlog: Backlog[bytes] = Backlog()
        self._unsent = memoryview(b"")
        self._wake = trio.Event()
        self._room = trio.Event()
        self._over = False

    def push(self, message: codec.FromServer) -> None:
        """Put a message in line. TypeError or ValueError when it is not JSON. Silent once the client is given up."""
        line = codec.encode(message)
        if len(line) > codec.MAX_LINE_BYTES:
            raise ValueError(f"a message of {len(line)} bytes is longer than a line may be")
        self.push_line(line, progress=isinstance(message, codec.Event) and message.is_progress)

    def push_line(self, line: bytes, *, progress: bool = False) -> None:
        """The same for a line that is encoded already."""
        if self._over:
            return
        try:
            self._backlog.push(line, len(line), progress=progress)
        except TooSlowError as error:
            self._give_up(error.message)
        self._wake.set()

    async def has_room(self) -> None:
        """Wait until little is in the way, or nobody will read it any more."""
        while self._backlog.bytes >= ROOM_BYTES and not self._over:
            self._room = trio.Event()
            await self._room.wait()

    async def run(self) -> None:
        """Deliver until the client is given up or gone."""
        try:
            while not self._over:
                if self._next():
                    await self._send_some(STALL_S)
                else:
                    self._wake = trio.Event()
                    await self._wake.wait()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + LEAVE_S):
                while not self._over and self._next():
                    await self._send_some(LEAVE_S)
            self._give_up("")

    def _next(self) -> bool:
        """Whether there is something to send; takes the next line when the last one is out."""
        if self._unsent:
            return True
        dropped = self._backlog.take_dropped()
        if dropped:
            self._unsent = memoryview(codec.encode(codec.Event(None, "dropped", {"count": dropped})))
            return True
        line = self._backlog.pop()
        self._room.set()
        self._unsent = memoryview(line or b"")
        return line is not None

    async def _send_some(self, timeout_s: float) -> None:
        try:
            with trio.fail_after(timeout_s):
                sent = await self._socket.send(self._unsent)
        except trio.TooSlowError:
            self._give_up(f"it took nothing for {timeout_s:g} s")
        except OSError:
            self._give_up("")  # it went; that is no news
        else:
            self._unsent = self._unsent[sent:]

    def _give_up(self, reason: str) -> None:
        if reason and not self._over:
            logger.warning("a control client was cut: %s", reason)
        self._over = True
        self._room.set()
        self._wake.set()
