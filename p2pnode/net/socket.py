"""A TCP connection as libp2p's layers use it (ReadWriteCloser), with one system call for as many bytes as there are.

Every byte of the node's connections goes through `receive` and `write` here, and nowhere else. Put in the place of libp2p's by
`net.hardening.throughput`; `receive` is used by `net.noise.session`.
"""

from __future__ import annotations

import socket

import trio
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError

RECEIVE_BYTES = 256 << 10
"""Read from a socket at once: four full Noise messages."""

SMALL_BYTES = 64 << 10
"""A write up to this size does not give way to other tasks when the socket takes it at once."""

_buffer: trio.lowlevel.RunVar[memoryview] = trio.lowlevel.RunVar("receive buffer")


class Socket(ReadWriteCloser):  # type: ignore[misc]  # libp2p is not checked
    """Owns the socket of `stream`, which is of no use afterwards. One task may read and one may write at a time."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)
        self._remote = _name_of(self._socket)
        self._received = b""  # and not yet read
        self._buffer = _shared_buffer()
        self._waited = True  # and so gave way to other tasks

    async def receive(self) -> memoryview | bytes:
        """At least one byte, b"" at the end. What is returned is good until the next await of any task: all sockets of a node share
        one buffer, so that an idle connection keeps none. ConnectionClosedError if the connection broke."""
        await self._give_way()
        if self._received:
            data, self._received = self._received, b""
            return data
        while True:
            try:
                return self._buffer[: self._socket.recv_into(self._buffer)]
            except BlockingIOError:
                failure = None
            except OSError as error:
                failure = error
            if self._socket.fileno() < 0:
                return b""
            if failure is not None:
                raise _lost(failure)
            self._waited = True
            try:
                await trio.lowlevel.wait_readable(self._socket.fileno())
            except trio.ClosedResourceError:
                return b""

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte and at most `n` (None: whatever there is), b"" at the end; errors as `receive`."""
        if n == 0:
            return b""
        if not self._received:
            self._received = bytes(await self.receive())
        count = len(self._received) if n is None else n
        data, self._received = self._received[:count], self._received[count:]
        return data

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`. ConnectionClosedError if the connection is closed or broke; a cancelled call leaves a part sent."""
        if len(data) > SMALL_BYTES:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
        left, failure = memoryview(data), None
        while left and failure is None:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                try:
                    await trio.lowlevel.wait_writable(self._socket.fileno())
                except trio.ClosedResourceError as error:
                    raise ConnectionClosedError("TCP: closed by this node", transport="tcp") from error
            except OSError as error:
                failure = error
        if failure is not None:
            raise _lost(failure)

    async def _give_way(self) -> None:
        """Let other tasks run, unless they did since the last call: a turn of the loop costs as much as a small message."""
        if self._waited:
            self._waited = False
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Close the socket; who reads sees the end, who writes an error."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket.fileno())
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Address and port of the other side, None if it was gone before we looked."""
        return self._remote


def _lost(error: OSError) -> ConnectionClosedError:
    """Not raised from a reset: that is how a peer hangs up, and not why it could not be reached."""
    lost = ConnectionClosedError(f"TCP: {error}", transport="tcp")
    lost.__cause__ = None if isinstance(error, ConnectionError) else error
    return lost


def _name_of(connection: socket.socket) -> tuple[str, int] | None:
    try:
        name = connection.getpeername()
    except OSError:
        return None
    return str(name[0]), int(name[1])


def _shared_buffer() -> memoryview:
    try:
        return _buffer.get()
    except LookupError:
        _buffer.set(memoryview(bytearray(RECEIVE_BYTES)))
        return _buffer.get()
