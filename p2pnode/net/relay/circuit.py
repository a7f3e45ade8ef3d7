"""A stream through a relay as libp2p's connection: Noise and Yamux run on it as on a socket. Used by `client` and `stop`."""

from __future__ import annotations

from typing import Any

from libp2p.abc import ConnectionType
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.network.connection.raw_connection import RawConnection
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.ports import Stream

RECEIVE_BYTES = 256 << 10
"""Read from the stream at once, as from a socket: several Noise messages."""


class CircuitIO(ReadWriteCloser):  # type: ignore[misc]  # libp2p is not checked
    """The face of a socket on a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._received: memoryview = memoryview(b"")
        self.moved_bytes = 0  # both ways

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte and at most `n`; b"" at the end. ConnectionClosedError if the circuit broke."""
        if n == 0:
            return b""
        if not self._received:
            try:
                self._received = memoryview(await self._stream.receive_some(RECEIVE_BYTES))
            except NetworkError as error:
                raise ConnectionClosedError(error.message) from error
        taken = self._received if n is None else self._received[:n]
        self.moved_bytes += len(taken)
        self._received = self._received[len(taken) :]
        return bytes(taken)

    async def write(self, data: bytes) -> None:
        """All of `data`. ConnectionClosedError if the circuit broke."""
        self.moved_bytes += len(data)
        try:
            await self._stream.send_all(data)
        except NetworkError as error:
            raise ConnectionClosedError(error.message) from error

    async def close(self) -> None:
        """Raises nothing."""
        await self._stream.aclose()

    def get_remote_address(self) -> tuple[str, int] | None:
        """None: the relay's address is not the peer's."""
        return None


def raw_circuit(stream: Stream, relay: PeerId, *, initiator: bool) -> RawConnection:
    """What libp2p upgrades to a connection."""
    address = Multiaddr(f"/p2p/{relay}/p2p-circuit")
    return RawConnection(CircuitIO(stream), initiator, connection_type=ConnectionType.RELAYED, addresses=[address])


def is_relayed(muxed: Any) -> bool:
    """Whether a connection of our muxer goes through a relay."""
    return bool(muxed.get_connection_type() == ConnectionType.RELAYED)


def moved_bytes(muxed: Any) -> int:
    """What went through a relayed connection of our muxer so far, both ways."""
    return int(muxed.secured_conn.conn.stream.moved_bytes)


def host_of_connection(muxed: Any) -> str:
    """The IP address at the other end of a direct connection, "" if it is not known."""
    address = muxed.get_remote_address()
    return str(address[0]) if address else ""
