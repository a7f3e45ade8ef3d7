"""A TCP connection as libp2p's layers use it (ReadWriteCloser), with one system call for as many bytes as there are.

Every byte of the node's connections goes through `receive` and `write` here, and nowhere else, and is counted there (`net.traffic`).
Put in the place of libp2p's by `net.hardening.throughput`; `receive` is used by `net.noise.session`.
"""

from __future__ import annotations

import socket
from contextlib import suppress

import trio
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError

from p2pnode.core.pace import LEAST_PIECE_BYTES
from p2pnode.net.traffic import NO_WINDOW_BYTES, Overhead, Traffic, clamp_window, overhead

RECEIVE_BYTES = 256 << 10
"""Read from a socket at once: four full Noise messages."""

SMALL_BYTES = 64 << 10
"""A write up to this size does not give way to other tasks when the socket takes it at once."""
LIMITED_S = 300.0
"""A limited line lets nobody wait longer for his turns: 300 kB at the lowest rate that can be set."""

UNSENT_BYTES = 384 << 10
"""What the kernel takes of a connection beyond what is on the way: nothing overtakes it any more, so that a small request beside a full
transfer would wait for megabytes of it. Half as much leaves the line idle while a busy event loop comes round."""

_buffer: trio.lowlevel.RunVar[memoryview] = trio.lowlevel.RunVar("receive buffer")


class Socket(ReadWriteCloser):  # type: ignore[misc]  # libp2p is not checked
    """Owns the socket of `stream`, which is of no use afterwards. One task may read and one may write at a time."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)
        _keep_little_unsent(self._socket)
        self._remote = _name_of(self._socket)
        self._received = b""  # and not yet read
        self._buffer = _shared_buffer()
        self._waited = True  # and so gave way to other tasks
        self._traffic: Traffic | None = None
        self._sent = self._came = 0  # bytes of payload
        self._owed = 0  # of those that came, not yet paid to a limited line
        self._clamp = NO_WINDOW_BYTES

    def meter(self, traffic: Traffic) -> None:
        """From now on its bytes are counted, and paced, with all others of this node."""
        self._traffic = traffic
        traffic.joined(self)

    async def receive(self) -> memoryview | bytes:
        """At least one byte, b"" at the end. What is returned is good until the next await of any task: all sockets of a node share
        one buffer, so that an idle connection keeps none. ConnectionClosedError if the connection broke."""
        await self._give_way()
        if self._received:
            data, self._received = self._received, b""
            return data
        buffer = await self._buffer_to_fill()
        while True:
            try:
                count = self._socket.recv_into(buffer)
                self._count(0, count)
                return buffer[:count]
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
        line = self._traffic.up if self._traffic else None
        while left and failure is None:
            allowed = await line.turn(len(left)) if line and line.is_limited else len(left)
            sent = 0
            try:
                sent = self._socket.send(left[:allowed])
                left = left[sent:]
                self._count(sent, 0)
            except BlockingIOError:
                try:
                    await trio.lowlevel.wait_writable(self._socket.fileno())
                except trio.ClosedResourceError as error:
                    raise ConnectionClosedError("TCP: closed by this node", transport="tcp") from error
            except OSError as error:
                failure = error
            finally:
                if line and sent < allowed:
                    line.give_back(allowed - sent)
        if failure is not None:
            raise _lost(failure)

    @property
    def own_delay_s(self) -> float:
        """How long a write may wait for its turns on a limited line."""
        return LIMITED_S if self._traffic and self._traffic.up.is_limited else 0.0

    def overhead(self) -> Overhead:
        """What the connection cost so far beside its payload."""
        return overhead(self._socket, self._sent, self._came)

    def clamp_window(self, count: int) -> None:
        """How much may arrive before it is read."""
        if count != self._clamp and self._socket.fileno() >= 0:
            self._clamp = count
            clamp_window(self._socket, count)

    async def _buffer_to_fill(self) -> memoryview:
        """All of the buffer; on a limited line a piece of it, when what came last is paid for."""
        line = self._traffic.down if self._traffic else None
        if line is None or not line.is_limited:
            return self._buffer
        owed, self._owed = self._owed, 0
        await line.pay(owed)
        return self._buffer[: max(LEAST_PIECE_BYTES, line.piece() // 4)]

    def _count(self, sent: int, came: int) -> None:
        self._sent += sent
        self._came += came
        if self._traffic:
            self._owed = came
            sockets = self._traffic.ledger.sockets
            sockets.up += sent
            sockets.down += came
            self._traffic.up.bytes += sent
            self._traffic.down.bytes += came
            self._traffic.used(self)

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
            if self._traffic:
                self._traffic.left(self)
            trio.lowlevel.notify_closing(self._socket.fileno())
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Address and port of the other side, None if it was gone before we looked."""
        return self._remote

    @property
    def local_host(self) -> str:
        """The IP address at our end, "" if it is gone."""
        try:
            return str(self._socket.getsockname()[0])
        except OSError:
            return ""


def _lost(error: OSError) -> ConnectionClosedError:
    """Not raised from a reset: that is how a peer hangs up, and not why it could not be reached."""
    lost = ConnectionClosedError(f"TCP: {error}", transport="tcp")
    lost.__cause__ = None if isinstance(error, ConnectionError) else error
    return lost


def _keep_little_unsent(connection: socket.socket) -> None:
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # Linux and macOS
    if option is not None:
        with suppress(OSError):  # not a TCP socket
            connection.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


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
