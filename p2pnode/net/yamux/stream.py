"""One stream as libp2p sees it: reads that wait for bytes, writes that wait for room, and an end that is told from a loss.

Its state is here, the protocol in `engine`. Waiting is by event; a cancelled read loses nothing, a cancelled write leaves the
stream with an unknown part sent, so that its owner resets it. Made by `connection`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import trio
from libp2p.abc import IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamClosed, MuxedStreamEOF, MuxedStreamReset

if TYPE_CHECKING:
    from p2pnode.net.ledger import Tally
    from p2pnode.net.yamux.connection import Yamux

SMALL_BYTES = 4096
"""Bodies below this are copied together: a window of one-byte frames must not cost fifty times its size."""
READS_A_TURN = 16
"""Reads that find bytes waiting, between two turns of other tasks: at most a megabyte of full messages."""


class ReceiveBuffer:
    """Bytes in the order they came, in pieces that are mostly handed out as they are."""

    def __init__(self) -> None:
        self._pieces: deque[bytes | bytearray] = deque()
        self._at = 0  # in the first piece
        self.size = 0

    def append(self, data: bytes) -> None:
        """Keep `data`."""
        self.size += len(data)
        if len(data) >= SMALL_BYTES:
            self._pieces.append(data)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data
        else:
            self._pieces.append(bytearray(data))

    def take(self, limit: int) -> bytes:
        """At least one byte and at most `limit` of the oldest ones; b"" if there are none."""
        if not self._pieces:
            return b""
        head, at = self._pieces[0], self._at
        if len(head) - at <= limit:
            self._pieces.popleft()
            self._at = 0
            taken = bytes(head[at:]) if at else bytes(head)
        else:
            taken = bytes(memoryview(head)[at : at + limit])
            self._at += limit
        self.size -= len(taken)
        return taken

    def clear(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self._at = self.size = 0


class YamuxStream(IMuxedStream):  # type: ignore[misc]  # libp2p is not checked
    """libp2p's IMuxedStream. Errors are libp2p's own: MuxedStreamEOF, MuxedStreamReset, MuxedStreamClosed."""

    def __init__(self, connection: Yamux, stream_id: int) -> None:
        self.muxed_conn = connection
        self.stream_id = stream_id
        self.received = ReceiveBuffer()
        self._connection = connection
        self._ended = False  # the peer's FIN
        self._broken = ""  # why nothing more will come or go
        self._finished = False  # our FIN
        self._changed: trio.Event | None = None  # set when a reader has something to see
        self._sent: trio.Event | None = None  # set when a writer has
        self._turn = trio.Lock()
        self._reads = 0  # since the reader last gave way to other tasks

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte and at most `n` (None or -1: whatever is there). MuxedStreamEOF at the peer's end, MuxedStreamReset
        if the stream was reset or the connection lost; bytes that came before a loss are read first."""
        await self._give_way()
        limit = self.received.size if n is None or n < 0 else n
        if n == 0:
            return b""
        while not self.received.size:
            if self._ended:
                raise MuxedStreamEOF("the end")
            if self._broken:
                raise MuxedStreamReset(self._broken)
            if self._changed is None:
                self._changed = trio.Event()
            self._reads = 0
            await self._changed.wait()
            limit = self.received.size if n is None or n < 0 else n
        data = self.received.take(limit)
        self._connection.share.incoming.remove(len(data))
        self._connection.consumed(self, len(data))
        return data

    async def _give_way(self) -> None:
        """Let other tasks run now and then: a turn of the loop costs more than a read."""
        self._reads += 1
        if self._reads < READS_A_TURN:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            self._reads = 0
            await trio.lowlevel.checkpoint()

    async def write(self, data: bytes) -> None:
        """Send all of `data`, however long the peer takes. MuxedStreamClosed after our end, MuxedStreamReset if the stream was
        reset or the connection lost."""
        async with self._turn:
            if self._finished:
                raise MuxedStreamClosed("the stream is closed for sending")
            if self._broken:
                raise MuxedStreamReset(self._broken)
            if not len(data):
                return
            self._sent = sent = trio.Event()
            self._connection.send(self, data)
            try:
                await sent.wait()
            except trio.Cancelled:
                self._connection.unsend(self)
                raise
        if self._broken:
            raise MuxedStreamReset(self._broken)

    def post(self, data: bytes) -> bool:
        """Queue `data` and return at once. False, and nothing is queued, while something waits already or the stream takes no more."""
        is_busy = self._turn.locked() or not self._connection.engine.is_drained(self.stream_id)
        if self._finished or self._broken or is_busy:
            return False
        self._connection.send(self, data)
        return True

    def count_as(self, tally: Tally) -> None:
        """Its bytes, those that went already too, are counted there."""
        self._connection.count_as(self, tally)

    async def close_write(self) -> None:
        """Our end: the peer reads to it; reading goes on."""
        if not self._finished:
            self._finished = True
            self._connection.finish(self)
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Our end, and no interest in the peer's: if it does not come in time, the stream is reset."""
        self._connection.abandon(self)
        await self.close_write()

    async def reset(self) -> None:
        """Give up both directions at once."""
        self._connection.reset(self)
        await trio.lowlevel.checkpoint()

    def set_deadline(self, ttl: int) -> None:
        """Not here: a deadline is a cancel scope around the call."""
        raise NotImplementedError("put trio.fail_after around the call")

    def get_remote_address(self) -> tuple[str, int] | None:
        """Where the connection's socket leads."""
        return self._connection.get_remote_address()

    async def __aenter__(self) -> YamuxStream:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    # what the connection tells

    def on_data(self, data: bytes) -> None:
        """Bytes of the peer."""
        self.received.append(data)
        self._connection.share.incoming.add(len(data))
        self._wake_reader()

    def on_end(self) -> None:
        """The peer's FIN."""
        self._ended = True
        self._wake_reader()

    def on_sent(self) -> None:
        """All that was queued is on its way."""
        if self._sent is not None:
            self._sent.set()

    def on_broken(self, reason: str) -> None:
        """Reset or lost. What had arrived can still be read."""
        self._broken = self._broken or reason
        self._wake_reader()
        self.on_sent()

    def drop_received(self) -> None:
        """Nobody will read what arrived."""
        self._connection.share.incoming.remove(self.received.size)
        self.received.clear()

    def __del__(self) -> None:
        if hasattr(self, "received"):  # bytes that arrived for a reader who gave up
            self.drop_received()

    def _wake_reader(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
