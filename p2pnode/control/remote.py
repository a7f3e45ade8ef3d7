"""The language of the control socket over a stream of the network: serving one's other devices, and the tunnel to them.

A client of this machine asks its own daemon for `device.tunnel`; from the answer on every byte of that connection goes to the other
machine's daemon and back, which greets with its own `hello`: the codec is spoken end to end, and nothing in between reads it.
Who may come and who can be reached is decided by the services; this file knows streams by their shape only. Called by
`control.server` and the daemon.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from p2pnode.control.outgoing import Outgoing
from p2pnode.errors import P2pnodeError

CHUNK_BYTES = 65536
CLOSE_S = 2.0
"""For telling the other machine that this side has ended."""


class ByteStream(Protocol):
    """What is needed of a stream; errors are P2pnodeErrors."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...
    async def receive_some(self, max_bytes: int) -> bytes: ...
    async def aclose(self) -> None: ...


Reach = Callable[[str], Awaitable[ByteStream]]
"""A stream to the control language of one's device of that name. P2pnodeError says why not."""


class StreamWire:
    """A stream in the shape of a socket."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def recv(self, max_bytes: int, /) -> bytes:
        """b"" at the end, however it came."""
        try:
            return await self._stream.receive_some(max_bytes)
        except P2pnodeError:
            return b""

    async def send(self, data: bytes | memoryview, /) -> int:
        """How many bytes went out. OSError when the stream is gone."""
        part = bytes(data[:CHUNK_BYTES])
        try:
            await self._stream.send_all(part)
        except P2pnodeError as error:
            raise OSError(error.message) from error
        return len(part)


async def splice(receive: Callable[[int], Awaitable[bytes]], outgoing: Outgoing, stream: ByteStream) -> None:
    """Carry bytes both ways until one side ends. `receive` gives the client's (b"": it went), `outgoing` takes the other machine's."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_carry_up, receive, stream, nursery.cancel_scope)
        nursery.start_soon(_carry_down, stream, outgoing, nursery.cancel_scope)
    with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_S):
        await stream.aclose()


async def _carry_up(receive: Callable[[int], Awaitable[bytes]], stream: ByteStream, over: trio.CancelScope) -> None:
    try:
        while data := await receive(CHUNK_BYTES):
            await stream.send_all(data)
    except P2pnodeError:
        pass  # the other direction tells what there is to tell
    over.cancel()


async def _carry_down(stream: ByteStream, outgoing: Outgoing, over: trio.CancelScope) -> None:
    try:
        while data := await stream.receive_some(CHUNK_BYTES):
            await outgoing.has_room()
            outgoing.push_line(data)
    except P2pnodeError:
        pass  # the client sees the end of the connection
    over.cancel()
