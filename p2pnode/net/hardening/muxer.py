"""Mends of libp2p's Yamux. Our own engine is to take this file's place: then `Yamux` is replaced whole, not mended.

The place where a muxer class is swapped is `libp2p.stream_muxer.muxer_multistream.Yamux`: the `muxer_opt` of a host is
ignored for /yamux/1.0.0 (`stream_muxer/muxer_multistream.py:137`).
"""

from __future__ import annotations

import struct
from typing import Any

import trio

WINDOW_SLACK_BYTES = 64 << 10
"""What a peer may be over its window before it is cut off: libp2p's own accounting is off by up to a frame."""
FRAME_WRITE_S = 30.0
"""A peer that takes no byte for this long is gone."""
PONG_S = 15.0
"""A pong later than this counts as missing; two missing in a row end the connection."""
FRAME_PAYLOAD_BYTES = 65519 - 12
"""Payload of one frame, so that frame and header are exactly one Noise message (65,535 - 16 bytes of tag)."""


def tell_reset_from_end() -> None:
    """Let a reader see a lost connection as an error.

    Defect: a reset, a connection that broke or closed and a frame cut in half all end a read like a clean FIN does
    (`stream_muxer/yamux/yamux.py:579, 1060, 1440`): silent truncation. Only a FIN from the wire sets `recv_closed` while the
    connection is up, so that is what a clean end means here; bytes that arrived before a loss are still delivered.
    """
    from libp2p.stream_muxer.yamux import yamux

    read, read_body = yamux.YamuxStream.read, yamux.Yamux._read_data_body

    def receive_closed(self: Any) -> bool:
        return bool(self.__dict__.get("_recv_closed", False))

    def close_receive(self: Any, closed: bool) -> None:
        if closed and not receive_closed(self) and not self.conn.event_shutting_down.is_set():
            self._fin_seen = True
        self._recv_closed = closed

    async def read_or_raise(self: Any, n: int | None = -1) -> bytes:
        pending = self.conn.stream_buffers.get(self.stream_id)
        if pending is not None:
            self._pending = pending  # the connection forgets it when it is lost; the bytes in it did arrive
        try:
            return bytes(await read(self, n))
        except (yamux.MuxedStreamEOF, yamux.MuxedStreamReset) as error:
            rest = self.__dict__.get("_pending")
            if rest:
                count = len(rest) if n is None or n < 0 else n
                taken = bytes(rest[:count])
                del rest[:count]
                return taken
            ended = self.__dict__.get("_fin_seen", False)
            if ended and (isinstance(error, yamux.MuxedStreamEOF) or self.conn.event_shutting_down.is_set()):
                raise yamux.MuxedStreamEOF("the end") from error
            raise yamux.MuxedStreamReset("the stream was reset or its connection lost") from error

    async def read_whole_body(self: Any, length: int) -> bytes:
        try:
            return bytes(await read_body(self, length))
        except Exception as error:  # TooSlowError is the one exception on which the caller ends the connection
            raise trio.TooSlowError("the connection ended within a frame") from error

    yamux.YamuxStream.recv_closed = property(receive_closed, close_receive)
    yamux.YamuxStream.read = read_or_raise
    yamux.Yamux._read_data_body = read_whole_body


def enforce_receive_window() -> None:
    """Cut off a peer that sends more than it may.

    Defect: bytes beyond the receive window are counted, logged and kept (`stream_muxer/yamux/yamux.py:1346, 1546`): 300 MiB sent
    into one unread stream cost 320 MB of memory.
    """
    from libp2p.stream_muxer.yamux import yamux

    def window(self: Any) -> int:
        return int(self.__dict__.get("_recv_window", 0))

    def set_window(self: Any, value: int) -> None:
        self._recv_window = value
        if (
            value < 0
        ):  # the caller sets it to zero next: without a sum of its own an overrun in small steps would never end
            self._overrun = self.__dict__.get("_overrun", 0) - value
            if self._overrun > WINDOW_SLACK_BYTES:
                raise trio.TooSlowError(
                    "the peer overran its window"
                )  # on this one the reading loop ends the connection

    yamux.YamuxStream.recv_window = property(window, set_window)


def wait_for_slow_readers() -> None:
    """Let a writer wait until there is room, as long as its caller likes.

    Defect: a reader that pauses for 5 s has its stream broken (`stream_muxer/yamux/yamux.py:285-293`), and a waiting writer polls
    every 10 ms. Here it sleeps until the window grows, the stream ends or the connection does.
    """
    from libp2p.stream_muxer.yamux import yamux

    def window(self: Any) -> int:
        return int(self.__dict__.get("_send_window", 0))

    def set_window(self: Any, value: int) -> None:
        self._send_window = value
        _wake(self)

    def flag(name: str) -> property:
        def get(self: Any) -> bool:
            return bool(self.__dict__.get(name, False))

        def put(self: Any, value: bool) -> None:
            self.__dict__[name] = value
            _wake(self)

        return property(get, put)

    async def write(self: Any, data: bytes) -> None:
        view, sent = memoryview(data), 0
        while sent < len(view):
            await _room(self)
            count = min(self._send_window, FRAME_PAYLOAD_BYTES, len(view) - sent)
            self._send_window -= count
            header = struct.pack(yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_DATA, 0, self.stream_id, count)
            await self.conn._write_frame(header + view[sent : sent + count])
            sent += count

    async def _room(self: Any) -> None:
        while True:
            if self.send_closed or self.closed or self.conn.event_shutting_down.is_set():
                raise yamux.MuxedStreamReset("the stream is closed")
            if self._send_window > 0:
                return
            self._writable = self.__dict__.get("_writable") or trio.Event()
            await self._writable.wait()

    yamux.YamuxStream.send_window = property(window, set_window)
    yamux.YamuxStream.closed = flag("_closed")
    yamux.YamuxStream.send_closed = flag("_send_closed")
    yamux.YamuxStream.write = write


def _wake(stream: Any) -> None:
    event = stream.__dict__.get("_writable")
    if event is not None:
        stream._writable = None
        event.set()


def finish_frames_despite_cancellation() -> None:
    """Never leave half a frame on the wire.

    Defect: a cancelled write (any deadline) stops in the middle of an encrypted frame and every later frame of the connection is
    garbage to the peer (`stream_muxer/yamux/yamux.py:866`). Here a frame that was begun is finished, shielded; a peer that
    takes none of it for 30 s loses the connection.
    """
    from libp2p.stream_muxer.yamux import yamux

    async def write_frame(self: Any, data: bytes) -> None:
        async with self._write_lock:
            with trio.CancelScope(shield=True), trio.move_on_after(FRAME_WRITE_S) as patience:
                await self.secured_conn.write(data)
        if patience.cancelled_caught:
            await self._cleanup_on_error()
            raise yamux.MuxedStreamReset("the peer takes nothing any more")
        await trio.lowlevel.checkpoint()

    yamux.Yamux._write_frame = write_frame


def drop_silent_connections() -> None:
    """End a connection whose peer stopped answering pings.

    Defect: the round-trip loop sends pings and never looks whether one came back (`stream_muxer/yamux/yamux.py:711`): a peer whose
    cable was pulled stays "connected" for a quarter of an hour.
    """
    from libp2p.stream_muxer.yamux import yamux

    async def measure(self: Any) -> None:
        missing = 0
        await trio.sleep(0.2)
        while not self.event_shutting_down.is_set():
            self._ping_id = (self._ping_id + 1) & 0xFFFFFFFF
            self._ping_event = trio.Event()
            self._ping_sent_time = trio.current_time()
            ping = struct.pack(yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_PING, yamux.FLAG_SYN, 0, self._ping_id)
            try:
                await self._write_frame(ping)
            except Exception:
                return  # the connection is closing already
            with trio.move_on_after(PONG_S) as patience:
                await self._ping_event.wait()
            missing = missing + 1 if patience.cancelled_caught else 0
            if missing == 2:
                await self._cleanup_on_error()
                return
            with trio.move_on_after(yamux.RTT_MEASURE_INTERVAL):
                await self.event_shutting_down.wait()

    yamux.Yamux._measure_rtt_loop = measure
