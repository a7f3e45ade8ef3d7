"""`ports.Stream` on a stream of libp2p: the errors of libp2p become NetworkError, and closing leaves nothing behind."""

from __future__ import annotations

import logging
from typing import Any

import trio
from libp2p.stream_muxer.exceptions import MuxedStreamEOF

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError

log = logging.getLogger("p2pnode.net")

LINGER_S = 10.0
"""How long a closed stream waits for the other side's end before it is reset: a peer must not keep our half open for ever."""
READ_BYTES = 64 << 10


class Libp2pStream:
    """One negotiated stream. `nursery` outlives it: what lingers after `aclose` runs there."""

    def __init__(self, raw: Any, peer: PeerId, nursery: trio.Nursery) -> None:
        self.raw = raw
        # libp2p's layer above it forgets what had arrived when the connection is lost, and takes a lock for each read and write
        self._muxed = raw.muxed_stream
        self._peer = peer
        self._nursery = nursery
        self._ended = False
        self._eof_sent = False
        self._closed = False

    @property
    def peer(self) -> PeerId:
        return self._peer

    @property
    def is_closed(self) -> bool:
        """Whether we closed it or gave it up, or its connection is gone."""
        return self._closed or self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether its connection is gone."""
        return bool(self._muxed.muxed_conn.is_closed)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """All of `data`, waiting for the reader as long as the caller's deadline allows. NetworkError if the stream broke."""
        if self._closed or self._eof_sent:
            raise NetworkError(f"the stream to {self._peer} is closed")
        try:
            await self._muxed.write(data)
        except Exception as error:
            raise _broken(self._peer, error) from error

    def try_send(self, data: bytes) -> bool:
        """Send without waiting. False, and nothing is sent, while earlier bytes wait for the reader, or when the stream is over."""
        return not (self._closed or self._eof_sent) and bool(self._muxed.post(data))

    async def receive_some(self, max_bytes: int) -> bytes:
        """At least one byte and at most `max_bytes`, b"" at the clean end. NetworkError if the stream broke."""
        if self._closed:
            raise NetworkError(f"the stream to {self._peer} is closed")
        if self._ended:
            return b""
        try:
            data = await self._muxed.read(max_bytes)
        except MuxedStreamEOF:
            data = b""
        except Exception as error:
            raise _broken(self._peer, error) from error
        self._ended = not data
        return bytes(data)

    async def send_eof(self) -> None:
        """Our end: the other side reads b"" after what was sent."""
        if not self._eof_sent and not self._closed:
            self._eof_sent = True
            try:
                await self.raw.close_write()
            except Exception as error:
                raise _broken(self._peer, error) from error

    async def aclose(self) -> None:
        """Close both directions; what was sent still arrives. Raises nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.raw.close()
        except Exception:
            return  # broken already: nothing is left to close
        if not self._ended:
            self._nursery.start_soon(self._linger)

    async def reset(self) -> None:
        """Give up both directions at once. Raises nothing."""
        self._closed = True
        try:
            await self.raw.reset()
        except Exception as error:
            log.debug("resetting a stream to %s: %r", self._peer, error)

    async def _linger(self) -> None:
        with trio.move_on_after(LINGER_S) as patience:
            try:
                while await self._muxed.read(READ_BYTES):
                    pass
            except Exception:
                return  # ended or lost: both are what we wait for
        if patience.cancelled_caught:
            await self.reset()


def _broken(peer: PeerId, error: Exception) -> NetworkError:
    log.debug("a stream to %s broke: %r", peer, error)
    return NetworkError(f"the stream to {peer} broke: it was reset, or the connection was lost")
