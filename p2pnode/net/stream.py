"""`ports.Stream` on a stream of our muxer: the errors of libp2p become NetworkError, and closing leaves nothing behind."""

from __future__ import annotations

import logging
from typing import Any

import trio
from libp2p.stream_muxer.exceptions import MuxedStreamEOF

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net.multistream import NegotiationError, Proposal

log = logging.getLogger("p2pnode.net")

AGREE_S = 5.0
"""How long our end waits for the other side's yes to the protocol; then it goes without."""
LINGER_S = 10.0
"""How long a closed stream waits for the other side's end before it is reset: a peer must not keep our half open for ever."""
READ_BYTES = 64 << 10
MESSAGE_BYTES = 64 << 10
"""What whoever reads a stream is taken to hold of an unfinished message at most. Longer ones (gossip's) are told by `hold`."""
LARGE_BYTES = 4 << 20
"""Counted of one write at most: services send blocks of 2 MiB; who sends more at once has it for other reasons than a slow peer."""


class Libp2pStream:
    """One stream of `raw`, the muxer's. `nursery` outlives it: what lingers after `aclose` runs there.

    With a `proposal` the protocol is not agreed on yet: it goes out before our first bytes, and the peer's answer is read before its first.
    """

    def __init__(self, raw: Any, peer: PeerId, nursery: trio.Nursery, proposal: Proposal | None = None) -> None:
        self.raw = raw
        self._peer = peer
        self._nursery = nursery
        self._proposal = proposal
        self._agreeing = trio.Lock()
        self._ended = False
        self._eof_sent = False
        self._closed = False
        self._share = raw.muxed_conn.share
        self._held = 0  # bytes that its reader took and may still hold

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
        return bool(self.raw.muxed_conn.is_closed)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """All of `data`, waiting for the reader as long as the caller's deadline allows. NetworkError if the stream broke."""
        if self._closed or self._eof_sent:
            raise NetworkError(f"the stream to {self._peer} is closed")
        self.hold(0)  # who answers has done with what he read
        outgoing, counted = self._share.outgoing, min(len(data), LARGE_BYTES)
        outgoing.add(counted)
        try:
            await self.raw.write(self._after_proposal(data))
        except Exception as error:
            raise _broken(self._peer, error) from error
        finally:
            outgoing.remove(counted)

    def hold(self, count: int) -> None:
        """Its reader holds `count` bytes of what came, as far as is known. They count for the connection like unread ones."""
        if count > self._held:
            self._share.incoming.add(count - self._held)
        elif count < self._held:
            self._share.incoming.remove(self._held - count)
        self._held = count

    def try_send(self, data: bytes) -> bool:
        """Send without waiting. False, and nothing is sent, while earlier bytes wait for the reader, or when the stream is over."""
        return not (self._closed or self._eof_sent) and self._post(data)

    async def receive_some(self, max_bytes: int) -> bytes:
        """At least one byte and at most `max_bytes`, b"" at the clean end. NetworkError if the stream broke."""
        if self._closed:
            raise NetworkError(f"the stream to {self._peer} is closed")
        if self._ended:
            return b""
        try:
            if self._proposal is not None:
                await self._agree()
            data = await self.raw.read(max_bytes)
        except MuxedStreamEOF:
            data = b""
        except NegotiationError as error:
            raise NetworkError(f"{self._peer} does not speak this protocol: {error}") from error
        except Exception as error:
            raise _broken(self._peer, error) from error
        self._ended = not data
        if self._held < MESSAGE_BYTES:
            self.hold(min(MESSAGE_BYTES, self._held + len(data)))
        return bytes(data)

    async def send_eof(self) -> None:
        """Our end: the other side reads b"" after what was sent."""
        if not self._eof_sent and not self._closed:
            self._eof_sent = True
            try:
                if self._proposal is not None:  # js-libp2p hangs when our end comes in one flight with the proposal
                    with trio.move_on_after(AGREE_S):
                        await self._agree()
                await self.raw.close_write()
            except NegotiationError as error:
                raise NetworkError(f"{self._peer} does not speak this protocol: {error}") from error
            except Exception as error:
                raise _broken(self._peer, error) from error

    async def aclose(self) -> None:
        """Close both directions; what was sent still arrives. Raises nothing."""
        if self._closed:
            return
        self._closed = True
        self.hold(0)
        try:
            await self.raw.close()
        except Exception:
            return  # broken already: nothing is left to close
        if not self._ended:
            self._nursery.start_soon(self._linger)

    async def reset(self) -> None:
        """Give up both directions at once. Raises nothing."""
        self._closed = True
        self.hold(0)
        try:
            await self.raw.reset()
        except Exception as error:
            log.debug("resetting a stream to %s: %r", self._peer, error)

    async def _agree(self) -> None:
        """Hear that the other side speaks the protocol: who reads and who ends the stream may both wait for it."""
        async with self._agreeing:
            if self._proposal is not None:
                await self._proposal.accepted(self.raw)
                self._proposal = None

    def _after_proposal(self, data: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
        return self._proposal.sent() + bytes(data) if self._proposal and self._proposal.unsent else data

    def _post(self, data: bytes) -> bool:
        unsent = self._proposal.unsent if self._proposal else b""
        if not self.raw.post(unsent + data):
            return False
        if self._proposal:
            self._proposal.sent()
        return True

    async def _linger(self) -> None:
        with trio.move_on_after(LINGER_S) as patience:
            try:
                while await self.raw.read(READ_BYTES):
                    pass
            except Exception:
                return  # ended or lost: both are what we wait for
        if patience.cancelled_caught:
            await self.reset()


def _broken(peer: PeerId, error: Exception) -> NetworkError:
    log.debug("a stream to %s broke: %r", peer, error)
    return NetworkError(f"the stream to {peer} broke: it was reset, or the connection was lost")
