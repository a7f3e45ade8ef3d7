"""Mends of what makes libp2p's receiving side slow, and of a read that loses bytes when it is cancelled.

Like the muxer's, these go when our own engine comes.
"""

from __future__ import annotations

from typing import Any

import trio

RECEIVE_BYTES = 256 << 10
"""Read from a socket at once: several Noise messages."""
WINDOW_BYTES = 1 << 20
"""Receive window of a stream that carries more than a little: enough for 100 Mbit/s at 80 ms."""
SMALL_READ_BYTES = 16 << 10
"""Streams that are only read in pieces below this keep the small window they began with."""


def read_sockets_in_bulk() -> None:
    """One system call for many messages.

    Defect: every Noise message costs two calls, one of them for two bytes (`io/trio.py:62`, `io/msgio.py:44`).
    """
    from libp2p.io import trio as libp2p_trio
    from libp2p.io.exceptions import ConnectionClosedError

    async def read(self: Any, n: int | None = None) -> bytes:
        async with self.read_lock:
            if n == 0:
                return b""
            buffer = self.__dict__.get("_received", b"")
            if not buffer:
                try:
                    buffer = memoryview(await self.stream.receive_some(RECEIVE_BYTES))
                except trio.BrokenResourceError as error:
                    raise ConnectionClosedError(f"TCP reset: {error}", transport="tcp") from error
                except trio.ClosedResourceError:
                    return b""
            count = len(buffer) if n is None else n
            self._received = buffer[count:]
            return bytes(buffer[:count])

    libp2p_trio.TrioTCPStream.read = read


def return_credit_in_batches() -> None:
    """Tell the sender about room by half windows, and not from within a read.

    Defect: nearly every read sends a window update of its own (`stream_muxer/yamux/yamux.py:456`) and waits until it is written: a
    read that is cancelled there has taken its bytes and loses them (`yamux.py:597`).
    """
    from libp2p.stream_muxer.yamux import yamux

    async def return_credit(self: Any, *, bytes_read: int = 0) -> None:
        self._pending_recv_release += bytes_read
        growth = 0
        if bytes_read >= SMALL_READ_BYTES and self.target_recv_window < WINDOW_BYTES:
            growth = WINDOW_BYTES - self.target_recv_window
            self.target_recv_window = WINDOW_BYTES
        if growth or self._pending_recv_release >= self.target_recv_window // 2:
            credit = self._pending_recv_release + growth
            self._pending_recv_release = 0
            self.recv_window += credit
            if not self.conn.event_shutting_down.is_set():
                self.conn._nursery.start_soon(self.send_window_update, credit)

    yamux.YamuxStream._auto_tune_and_send_window_update = return_credit
