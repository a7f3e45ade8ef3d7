"""One side of a Yamux connection as a value: bytes in, events out; calls in, bytes out. It never waits, reads a clock or a socket.

Rules
- The side that dialled opens odd streams, the other even ones. A frame of a stream that is not (any more) open is skipped.
- Opening one of ours, opening one that is open, overrunning a window, or a frame that cannot be, ends the connection with
  GO_AWAY(protocol error): `ConnectionEnded` is the last event, and whatever comes after is ignored.
- Inbound streams beyond 256 are answered with RST. Outbound ones beyond 256 are refused here, before the wire.
- FIN follows everything that was sent before it; RST overtakes and drops it. A stream is forgotten after RST, or FIN both ways.
- A peer that asks for answers (pongs, refusals) and takes none is cut off when 4096 frames wait for it.
- What goes out first: answers, credit and flags; then data, one frame of each stream in turn, never more than its window.
- Any byte is a sign of life. A ping that is followed by none for 15 s ends the connection. Pings go every 10 s while streams move, and
  after 20 s without a byte (17 s at the side that dialled, so that one side pings and not both): 35 s and a tick at most.

What is kept: for each stream a window's worth is counted (`window`), not stored: received bytes leave with the event, and bytes to
send are views of what the caller holds until they are taken. Specification: /yamux/1.0.0. Called by `connection`.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from p2pnode.net.ledger import Tally
from p2pnode.net.yamux import frames
from p2pnode.net.yamux.events import ConnectionEnded, DataReceived, Event, StreamEnded, StreamOpened, StreamReset
from p2pnode.net.yamux.frames import (
    ACK,
    BODY_BYTES,
    DATA,
    FIN,
    GO_AWAY,
    HEADER_BYTES,
    MESSAGE_BYTES,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    FrameReader,
    Piece,
    ProtocolError,
)
from p2pnode.net.yamux.window import INITIAL_BYTES, Budget, ReceiveWindow

MAX_INBOUND_STREAMS: Final = 256
"""Streams of the peer that are open at once, accepted or still waiting to be."""
MAX_OUTBOUND_STREAMS: Final = 256
"""Streams of ours that are open at once, in either direction."""
MAX_WAITING_FRAMES: Final = 4096
"""Answers, credit and flags that wait to be sent when the peer asks for one more: 48 KiB."""
LEAST_BODY_BYTES: Final = 1024
"""The rest of a message that is worth a data frame, when the data is longer."""
PING_EVERY_S: Final = 10.0
"""While streams move bytes."""
QUIET_DIALLER_S: Final = 17.0
QUIET_S: Final = 20.0
"""Without a byte until the side that dialled pings, and the other one: a tick apart."""
SILENCE_S: Final = 15.0
FORGET_CLOSED_S: Final = 60.0
"""A stream that we closed for good and the peer does not end is reset after this."""


class LocalError(Exception):
    """We asked for what the state does not allow: a stream too many, bytes after our FIN, a connection that is over."""


class _Stream:
    __slots__ = (
        "abandoned_at",
        "acked",
        "came",
        "ended",
        "fin",
        "fin_sent",
        "id",
        "outgoing",
        "ready",
        "room",
        "sent",
        "tally",
        "window",
    )

    def __init__(self, stream_id: int, budget: Budget, tally: Tally) -> None:
        self.id = stream_id
        self.tally, self.sent, self.came = tally, 0, 0
        self.room = INITIAL_BYTES  # that the peer gives us
        self.window = ReceiveWindow(budget)
        self.outgoing: deque[memoryview] = deque()
        self.ready = False  # in the round
        self.acked = False
        self.fin = False
        self.fin_sent = False
        self.ended = False
        self.abandoned_at: float | None = None


class Engine:
    """See the module. Times are seconds of any steady clock, the same in all calls."""

    def __init__(self, *, initiator: bool) -> None:
        self.ended: ConnectionEnded | None = None
        self.rtt_s = 0.0
        """The shortest round trip seen lately; 0 if none was measured."""
        self.outbound = 0
        self.inbound = 0
        self._ours = 1 if initiator else 0
        self._next_id = 1 if initiator else 2
        self._reader = FrameReader()
        self._streams: dict[int, _Stream] = {}
        self._budget = Budget()
        self._control: deque[bytes] = deque()
        self._round: deque[_Stream] = deque()
        self._drained: list[int] = []
        self._over = False
        self._ping = 0
        self._ping_at: float | None = None
        self._next_ping_at = float("-inf")
        self._heard_at = float("-inf")
        self._quiet_s = QUIET_DIALLER_S if initiator else QUIET_S
        self._has_moved = False  # a stream did, since the last ping
        self.pings, self.unnamed = Tally(), Tally()
        """Where bytes are counted of pings, and of streams of which nobody said what they are for: the node's, where there is one."""

    # what comes in

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """What these bytes mean. b"" is the end of the connection. After `ConnectionEnded` nothing means anything."""
        events: list[Event] = []
        if self.ended:
            return events
        if not data:
            return [self._end(None, "the connection was lost")]
        self._heard_at = now
        try:
            for piece in self._reader.feed(data):
                if piece.kind <= WINDOW_UPDATE:
                    self._on_stream_frame(piece, events)
                elif piece.kind == PING:
                    self._on_ping(piece, now)
                else:
                    events.append(self._end(piece.length, f"the peer went away ({piece.length})"))
                    break
        except ProtocolError as error:
            self.go_away(frames.PROTOCOL_ERROR)
            events.append(self._end(None, f"protocol error: {error}"))
        return events

    def _on_stream_frame(self, piece: Piece, events: list[Event]) -> None:
        _, flags, stream_id, length, body, first, last = piece
        self._has_moved = True
        if first and flags & SYN:
            self._on_syn(stream_id, events)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if piece.kind == WINDOW_UPDATE:
            stream.room = min(stream.room + length, frames.MAX_UINT32)
            self._enter_round(stream)
        elif first and length:
            if stream.ended:
                raise ProtocolError("data after FIN")
            stream.window.take(length)
        if body:
            stream.came += len(body)
            stream.tally.down += len(body)
            events.append(DataReceived(stream_id, body))
        if not last:
            return
        if flags & RST:
            self._forget(stream)
            events.append(StreamReset(stream_id))
        elif flags & FIN and not stream.ended:
            stream.ended = True
            events.append(StreamEnded(stream_id))
            self._forget_if_done(stream)

    def _on_syn(self, stream_id: int, events: list[Event]) -> None:
        if stream_id % 2 == self._ours:
            raise ProtocolError("it opened a stream of ours")
        if stream_id in self._streams:
            raise ProtocolError("it opened a stream twice")
        if self.inbound >= MAX_INBOUND_STREAMS or self._over:
            self._owe(frames.encode(WINDOW_UPDATE, RST, stream_id, 0))
            return
        self._streams[stream_id] = _Stream(stream_id, self._budget, self.unnamed)
        self.inbound += 1
        events.append(StreamOpened(stream_id))

    def _on_ping(self, piece: Piece, now: float) -> None:
        self.pings.down += HEADER_BYTES
        if piece.flags & SYN:
            self.pings.up += HEADER_BYTES
            self._owe(frames.encode(PING, ACK, 0, piece.length))
        elif piece.flags & ACK and piece.length == self._ping and self._ping_at is not None:
            sample = max(now - self._ping_at, 1e-6)
            self.rtt_s = min(sample, self.rtt_s * 1.25) if self.rtt_s else sample
            self._ping_at = None

    def _owe(self, frame: bytes) -> None:
        if len(self._control) >= MAX_WAITING_FRAMES:
            raise ProtocolError("it asks and takes no answers")
        self._control.append(frame)

    def _end(self, code: int | None, reason: str) -> ConnectionEnded:
        self.ended = ConnectionEnded(code, reason)
        self._over = True
        for stream in list(self._streams.values()):
            self._forget(stream)
        return self.ended

    def knows(self, stream_id: int) -> bool:
        """Whether the stream is open in any direction."""
        return stream_id in self._streams

    # what the application does

    def open(self) -> int:
        """A new stream of ours. LocalError if there are 256, or the connection is over."""
        if self._over or self._next_id > frames.MAX_UINT32:
            raise LocalError("the connection takes no new streams")
        if self.outbound >= MAX_OUTBOUND_STREAMS:
            raise LocalError(f"{MAX_OUTBOUND_STREAMS} streams are open")
        stream = _Stream(self._next_id, self._budget, self.unnamed)
        self._next_id += 2
        self.outbound += 1
        self._streams[stream.id] = stream
        self._control.append(frames.encode(WINDOW_UPDATE, SYN, stream.id, 0))
        return stream.id

    def accept(self, stream_id: int) -> None:
        """Tell the peer that its stream is in use. Nothing happens if it is gone already."""
        stream = self._streams.get(stream_id)
        if stream and not stream.acked:
            stream.acked = True
            self._control.append(frames.encode(WINDOW_UPDATE, ACK, stream_id, 0))

    def send(self, stream_id: int, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes; they must not change until `drained` names the stream. LocalError after our FIN or when it is gone."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.fin:
            raise LocalError("the stream is closed")
        if len(data):
            stream.outgoing.append(memoryview(data).cast("B"))
            self._has_moved = True
            self._enter_round(stream)

    def count_as(self, stream_id: int, tally: Tally) -> None:
        """What the stream is for is known: its bytes so far, and all that follow, are counted there."""
        if stream := self._streams.get(stream_id):
            stream.tally.up -= stream.sent
            stream.tally.down -= stream.came
            tally.up += stream.sent
            tally.down += stream.came
            stream.tally = tally

    def is_drained(self, stream_id: int) -> bool:
        """Whether the stream is open and all its queued bytes were taken."""
        stream = self._streams.get(stream_id)
        return stream is not None and not stream.outgoing

    def unsend(self, stream_id: int) -> None:
        """Drop what of the queued bytes was not taken yet."""
        if stream := self._streams.get(stream_id):
            stream.outgoing.clear()

    def finish(self, stream_id: int) -> None:
        """Our end (FIN), behind what was sent before. Nothing happens the second time."""
        stream = self._streams.get(stream_id)
        if stream and not stream.fin:
            stream.fin = True
            if not self._is_ours(stream_id) and not stream.acked:
                self.accept(stream_id)
            self._send_fin_if_drained(stream)

    def abandon(self, stream_id: int, now: float) -> None:
        """Nobody waits for the peer's end: the stream is reset if it does not come within FORGET_CLOSED_S."""
        if stream := self._streams.get(stream_id):
            stream.abandoned_at = now

    def reset(self, stream_id: int) -> None:
        """Give the stream up (RST). Nothing happens if it is gone already."""
        if stream := self._streams.get(stream_id):
            self._forget(stream)
            self._control.append(frames.encode(WINDOW_UPDATE, RST, stream_id, 0))

    def consumed(self, stream_id: int, count: int, now: float) -> None:
        """The application has read `count` bytes: room for as many."""
        stream = self._streams.get(stream_id)
        if stream and not stream.ended and (credit := stream.window.give_back(count, now, self.rtt_s)):
            self._control.append(frames.encode(WINDOW_UPDATE, 0, stream_id, credit))

    def go_away(self, code: int) -> None:
        """Say that it is over. Streams that are open can still be sent and read until the connection is closed."""
        if not self._over:
            self._over = True
            self._control.append(frames.encode(GO_AWAY, 0, 0, code))

    def next_tick(self, now: float) -> float:
        """When `tick` has something to do if nothing happens until then; at the latest when a ping would be due if streams moved."""
        due = self._next_ping_at if self._has_moved else max(self._next_ping_at, self._heard_at + self._quiet_s)
        if self._ping_at is not None:
            due = max(self._ping_at, self._heard_at) + SILENCE_S
        return min(due, now + PING_EVERY_S)

    def tick(self, now: float) -> list[Event]:
        """Call it at `next_tick`, or at any time: pings, and the end of a silent connection."""
        if self.ended:
            return []
        if self._ping_at is not None and now - max(self._ping_at, self._heard_at) >= SILENCE_S:
            return [self._end(None, f"no sign of life for {SILENCE_S:.0f} s")]
        if now >= self._next_ping_at and (self._has_moved or now - self._heard_at >= self._quiet_s or not self._ping):
            self._next_ping_at, self._has_moved = now + PING_EVERY_S, False
            self._ping = (self._ping + 1) & frames.MAX_UINT32
            self._ping_at = now if self._ping_at is None else self._ping_at
            self._control.append(frames.encode(PING, SYN, 0, self._ping))
            self.pings.up += HEADER_BYTES
        for stream in [s for s in self._streams.values() if s.abandoned_at is not None]:
            if stream.abandoned_at is not None and now - stream.abandoned_at > FORGET_CLOSED_S:
                self.reset(stream.id)
        return []

    # what goes out

    @property
    def wants_to_send(self) -> bool:
        """Whether `data_to_send` has something."""
        return bool(self._control or self._round)

    def data_to_send(self, messages: int = 1, message_bytes: int = MESSAGE_BYTES) -> bytes:
        """The next bytes for the wire, at most `messages` messages of `message_bytes` full; b"" if there is nothing to say.

        Frames end where a message ends, unless it is the last.
        """
        parts: list[bytes | memoryview] = []
        for _ in range(messages):
            if self._fill_message(parts, message_bytes):
                break
        return b"".join(parts)

    def _fill_message(self, parts: list[bytes | memoryview], limit: int) -> int:
        """Append one message of at most `limit` bytes to `parts`; the bytes of it that stay empty."""
        while self._control and limit >= HEADER_BYTES:
            parts.append(self._control.popleft())
            limit -= HEADER_BYTES
        while self._round and limit > HEADER_BYTES:
            stream = self._round[0]
            wanted = min(len(stream.outgoing[0]), stream.room, BODY_BYTES) if stream.outgoing else 0
            count = min(wanted, limit - HEADER_BYTES)
            if count < min(wanted, LEAST_BODY_BYTES):
                break
            self._round.popleft()
            stream.ready = False
            if count:
                parts += (frames.encode(DATA, 0, stream.id, count), self._cut(stream, count))
                limit -= HEADER_BYTES + count
                self._enter_round(stream)
        return limit

    def drained(self) -> list[int]:
        """The streams whose queued bytes were all taken since the last call."""
        drained, self._drained = self._drained, []
        return drained

    def _cut(self, stream: _Stream, count: int) -> memoryview:
        head = stream.outgoing[0]
        stream.room -= count
        stream.sent += count
        stream.tally.up += count
        if count < len(head):
            stream.outgoing[0] = head[count:]
            return head[:count]
        stream.outgoing.popleft()
        if not stream.outgoing:
            self._drained.append(stream.id)
            self._send_fin_if_drained(stream)
        return head

    def _enter_round(self, stream: _Stream) -> None:
        if stream.outgoing and stream.room and not stream.ready:
            stream.ready = True
            self._round.append(stream)

    def _send_fin_if_drained(self, stream: _Stream) -> None:
        if stream.fin and not stream.fin_sent and not stream.outgoing:
            stream.fin_sent = True
            self._control.append(frames.encode(WINDOW_UPDATE, FIN, stream.id, 0))
            self._forget_if_done(stream)

    def _is_ours(self, stream_id: int) -> bool:
        return stream_id % 2 == self._ours

    def _forget_if_done(self, stream: _Stream) -> None:
        if stream.fin_sent and stream.ended:
            self._forget(stream)

    def _forget(self, stream: _Stream) -> None:
        if self._streams.pop(stream.id, None) is None:
            return
        stream.outgoing.clear()
        stream.window.close()
        if not self._is_ours(stream.id):
            self.inbound -= 1
        else:
            self.outbound -= 1
