"""`ports.Stream` without a wire: two pipes of bounded memory between two ends, with back-pressure, half-closes, resets and losses.

Made by `p2pnode.sim.network`; holds to the same contract as a stream of libp2p (`tests/net/test_contract.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError

WINDOW_BYTES = 256 << 10
"""What a writer may be ahead of its reader: the window of yamux."""


@dataclass
class Link:
    """What both ends of a stream share. `bytes` counts what was written at either; after `bytes_left` more of them it is lost.

    `latency` draws the seconds that each write takes.
    """

    bytes_left: int | None = None
    latency: Callable[[], float] | None = None
    bytes: int = 0
    broken: bool = False
    pipes: list[Pipe] = field(default_factory=list)

    def lose(self, *, arrived: bool = True) -> None:
        """Break both directions. What had arrived can still be read, unless it was a reset (`arrived` False)."""
        if self.broken:
            return
        self.broken = True
        for pipe in self.pipes:
            if not arrived:
                pipe.held.clear()
            pipe.changed()

    def count(self, size: int) -> None:
        if self.bytes_left is not None:
            self.bytes_left -= size
            if self.bytes_left < 0:
                self.lose()
                return
        self.bytes += size


class Pipe:
    """One direction."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.held = bytearray()
        self.ended = False
        self.unread = False
        self._waiting = trio.lowlevel.ParkingLot()
        link.pipes.append(self)

    def changed(self) -> None:
        self._waiting.unpark_all()

    async def write(self, data: bytes) -> None:
        self.link.count(len(data))
        at = 0
        await trio.sleep(self.link.latency() if self.link.latency else 0.0)
        while True:
            if self.link.broken:
                raise NetworkError("the stream was reset or its connection lost")
            if self.unread:
                return
            room = max(0, WINDOW_BYTES - len(self.held))
            self.held += data[at : at + room]
            at += room
            self.changed()
            if at >= len(data):
                return
            await self._waiting.park()

    async def read(self, max_bytes: int) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self.held:
            if self.ended:
                return b""
            if self.link.broken:
                raise NetworkError("the stream was reset or its connection lost")
            await self._waiting.park()
        part = bytes(self.held[:max_bytes])
        del self.held[:max_bytes]
        self.changed()
        return part

    def end(self) -> None:
        if not self.link.broken:
            self.ended = True
            self.changed()

    def stop_reading(self) -> None:
        """What is still written into it goes nowhere."""
        self.unread = True
        self.held.clear()
        self.changed()


class SimStream:
    """One end of a stream."""

    def __init__(self, peer: PeerId, out: Pipe, into: Pipe) -> None:
        self._peer, self._out, self._in = peer, out, into
        self._closed = False

    @property
    def peer(self) -> PeerId:
        return self._peer

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed or self._out.ended:
            raise NetworkError("the stream is closed")
        await self._out.write(bytes(data))

    async def receive_some(self, max_bytes: int) -> bytes:
        if self._closed:
            raise NetworkError("the stream is closed")
        return await self._in.read(max_bytes)

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        self._out.end()

    async def aclose(self) -> None:
        """Both directions; what was sent still arrives."""
        if not self._closed:
            self._closed = True
            self._out.end()
            self._in.stop_reading()
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        self._closed = True
        self._out.link.lose(arrived=False)
        await trio.lowlevel.checkpoint()


def stream_pair(one: PeerId, other: PeerId, link: Link) -> tuple[SimStream, SimStream]:
    """(the end of `one`, the end of `other`)."""
    there, back = Pipe(link), Pipe(link)
    return SimStream(other, there, back), SimStream(one, back, there)
