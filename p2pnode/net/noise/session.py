"""A connection after the handshake, with the face that libp2p expects of a secured one (ISecureConn).

One task reads and one writes, as a muxer does; the multistream exchange before it reads and writes in turn. Any error ends the
session: the caller closes it. Made by `transport`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from libp2p.io.exceptions import ConnectionClosedError
from libp2p.security.base_session import BaseSession

from p2pnode.net.noise.messages import MAX_PLAIN_BYTES, NoiseError, Opener, Sealer, sealed_size

RECEIVE_BYTES = 256 << 10
"""Asked for at once of a connection that is not one of our sockets: a relayed one."""
MAX_SPARE_BUFFERS = 4
"""Buffers for long writes, kept for the next one: about a megabyte for the whole process, nothing for an idle connection."""

_spare: deque[bytearray] = deque(maxlen=MAX_SPARE_BUFFERS)


class NoiseSession(BaseSession):  # type: ignore[misc]  # libp2p is not checked
    """Reads and writes plain bytes over `conn`, which carries sealed ones."""

    def __init__(self, conn: Any, sealer: Sealer, opener: Opener, **identity: Any) -> None:
        super().__init__(**identity)
        self.conn = conn
        self._sealer = sealer
        self._opener = opener
        self._plain = b""  # opened and not yet read
        self._failure: NoiseError | None = None

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte, at most `n` (None: whatever there is). ConnectionClosedError at the end of the connection, NoiseError
        if what arrives cannot be what the peer sealed."""
        if n == 0:
            return b""
        while not self._plain:
            self._plain = b"".join(await self.read_pieces())
        count = len(self._plain) if n is None else n
        data, self._plain = self._plain[:count], self._plain[count:]
        return data

    async def read_pieces(self) -> Iterator[bytes]:
        """What arrives next, message by message; use the iterator up before anything is awaited. Errors as `read`, the first half
        from here, the second from the iterator."""
        if self._plain:
            data, self._plain = self._plain, b""
            return iter((data,))
        if self._failure is not None:
            raise self._failure
        sealed = await self._receive()
        if not len(sealed):
            raise ConnectionClosedError("the connection ended" + self._where())
        return self._open(sealed)

    async def write(self, data: bytes) -> None:
        """Send all of `data`. A cancelled call leaves an unknown part sent: the session is over."""
        if len(data) <= MAX_PLAIN_BYTES:
            await self.conn.write(self._sealer.seal(data))
            return
        size = sealed_size(len(data))
        buffer = _buffer_of(size)
        sealed = memoryview(buffer)[: self._sealer.seal_into(data, memoryview(buffer))]
        await self.conn.write(sealed)
        _spare.append(buffer)  # not after an error: somebody may still hold it

    @property
    def own_delay_s(self) -> float:
        """How long a write may take that the peer is not to blame for."""
        return float(getattr(getattr(self.conn, "stream", None), "own_delay_s", 0.0))

    async def close(self) -> None:
        """Close the connection."""
        await self.conn.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Where the connection leads."""
        address: tuple[str, int] | None = self.conn.get_remote_address()
        return address

    def get_transport_addresses(self) -> Any:
        """libp2p's, of the connection."""
        return self.conn.get_transport_addresses()

    def get_connection_type(self) -> Any:
        """libp2p's, of the connection."""
        return self.conn.get_connection_type()

    async def _receive(self) -> bytes | memoryview:
        receive = getattr(getattr(self.conn, "stream", None), "receive", None)
        data: bytes | memoryview = await (receive() if receive else self.conn.read(RECEIVE_BYTES))
        return data

    def _open(self, sealed: bytes | memoryview) -> Iterator[bytes]:
        try:
            yield from self._opener.feed(sealed)
        except NoiseError as error:
            self._failure = error
            raise

    def _where(self) -> str:
        return "" if self._opener.is_between_messages else " in the middle of a message"


def _buffer_of(size: int) -> bytearray:
    try:
        buffer = _spare.pop()
    except IndexError:
        return bytearray(size)
    return buffer if len(buffer) >= size else bytearray(size)
