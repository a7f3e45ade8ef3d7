"""Bitswap on streams: messages behind a varint of their length, read in bounded memory and written on a stream that is kept for a moment.

Bitswap has no answers on the asker's stream: each side opens streams of its own and only writes on them. Opening one costs a round trip,
so a burst shares one; JavaScript gives up a stream on which nothing came for ten seconds, so ours are closed before. It knows
nothing of what the messages say. Called by services.bitswap and its two halves.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from p2pnode.core.bitswap_messages import MAX_MESSAGE_BYTES
from p2pnode.core.cid import encode_varint
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, PeerError
from p2pnode.limits import KIB
from p2pnode.ports import Network, Stream

SMALL_BYTES = 64 * KIB
"""Bytes of a message that is read at once; a larger one needs a place among the large."""
LARGE_PER_PEER = 2
"""Large messages of one peer read or worked on at a time: 8 MiB."""
LARGE_UNASKED = 8
"""Large messages of peers that we asked nothing of, all together: 32 MiB. Wantlists are hardly ever that large."""
IDLE_S = 300.0
"""Seconds without a message before a stream is given up: go keeps one for as long as it is connected, and opens another."""
MIN_RATE_BYTES_S = 8 * KIB
"""A message that comes slower than this as a whole is a stall, however steadily it drips."""
PATIENCE_S = 30.0
"""Seconds of silence in the middle of a message, or on top of what its size takes at the lowest rate."""
READ_BYTES = 256 * KIB
MAX_VARINT_BYTES = 4
"""Of a message's length: enough for 256 MiB."""
KEPT_S = 4.0
"""Seconds for which an outgoing stream is kept after its last message."""
OPEN_TIMEOUT_S = 10.0


class Intake:
    """Places for large messages, so that many peers that send a lot at once wait for each other instead of filling memory."""

    def __init__(self, is_asked: Callable[[PeerId], bool]) -> None:
        self._is_asked = is_asked
        self._unasked = trio.Semaphore(LARGE_UNASKED)
        self._of_peer: dict[PeerId, tuple[trio.Semaphore, int]] = {}

    @asynccontextmanager
    async def place(self, peer: PeerId, size: int) -> AsyncIterator[None]:
        """Wait for room for a message of that size, and keep it for as long as the message is worked on."""
        if size <= SMALL_BYTES:
            yield
            return
        semaphore, users = self._of_peer.get(peer, (trio.Semaphore(LARGE_PER_PEER), 0))
        self._of_peer[peer] = semaphore, users + 1
        try:
            async with semaphore:
                if self._is_asked(peer):
                    yield
                else:
                    async with self._unasked:
                        yield
        finally:
            semaphore, users = self._of_peer.pop(peer)
            if users > 1:
                self._of_peer[peer] = semaphore, users - 1


class Reader:
    """The messages on one incoming stream. `heard` is called for every piece that comes: its sender is not silent."""

    def __init__(self, stream: Stream, heard: Callable[[], None]) -> None:
        self._stream, self._heard = stream, heard
        self._buffer = bytearray()

    async def size(self) -> int | None:
        """Bytes of the next message, None at a clean end or after a long silence. PeerError if it is over the limit."""
        length = shift = at = 0
        while True:
            if at == len(self._buffer):
                with trio.move_on_after(IDLE_S) as idle:
                    if not await self._more(1):
                        if at:
                            raise NetworkError("the peer ended its stream in the middle of a message")
                        return None
                if idle.cancelled_caught:
                    return None
            byte = self._buffer[at]
            length |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if byte < 0x80:
                break
            if at == MAX_VARINT_BYTES:
                raise PeerError("a message's length never ends")
        if length > MAX_MESSAGE_BYTES:
            raise PeerError(f"a Bitswap message of {length} bytes is over the limit of {MAX_MESSAGE_BYTES}")
        del self._buffer[:at]
        return length

    async def body(self, size: int) -> bytes:
        """The message whose size was just read. NetworkError if it stalls or is cut off."""
        try:
            with trio.fail_after(PATIENCE_S + size / MIN_RATE_BYTES_S):
                while len(self._buffer) < size:
                    with trio.fail_after(PATIENCE_S):
                        if not await self._more(size - len(self._buffer)):
                            raise NetworkError("the peer ended its stream in the middle of a message")
        except trio.TooSlowError as error:
            raise NetworkError("the peer stalled in the middle of a message") from error
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return taken

    async def _more(self, wanted: int) -> bool:
        part = await self._stream.receive_some(max(READ_BYTES, wanted))
        self._buffer += part
        if part:
            self._heard()
        return bool(part)


class Outgoing:
    """Our messages to one peer. One task at a time sends; `close` it at the end."""

    def __init__(self, network: Network, peer: PeerId, protocol: str) -> None:
        self._network, self.peer, self._protocol = network, peer, protocol
        self._stream: Stream | None = None
        self._used = -math.inf

    async def send(self, message: bytes, *, timeout_s: float) -> None:
        """One message. NetworkError if it cannot be sent in time, or the peer is gone."""
        framed = encode_varint(len(message)) + message
        try:
            with trio.fail_after(timeout_s):
                await self._send(framed)
        except trio.TooSlowError as error:
            await self._drop()
            raise NetworkError(f"{self.peer} did not take a message within {timeout_s:g} s") from error
        except BaseException:
            await self._drop()
            raise

    async def _send(self, framed: bytes) -> None:
        kept = self._stream
        if kept is not None and trio.current_time() - self._used < KEPT_S:
            try:
                await kept.send_all(framed)
                self._used = trio.current_time()
                return
            except NetworkError:
                await self._drop()  # given up by the other side while it lay idle: that says nothing of a new one
        await self.close()
        self._stream = await self._network.open_stream(self.peer, self._protocol, timeout_s=OPEN_TIMEOUT_S)
        await self._stream.send_all(framed)
        self._used = trio.current_time()

    async def tidy(self) -> None:
        """Close the stream if it has lain idle for a while; called now and then."""
        if self._stream is not None and trio.current_time() - self._used >= KEPT_S:
            await self.close()

    async def close(self) -> None:
        """What was sent still arrives."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                await stream.aclose()

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with trio.CancelScope(deadline=trio.current_time() + 1.0, shield=True):
                await stream.reset()
