"""The engine on a real connection, with the face that libp2p's swarm expects of a muxer (IMuxedConn).

Three tasks a connection: one reads the socket, one writes it, one ticks. Nobody else touches the wire, so a cancelled caller
never leaves half a frame on it. Whatever ends the connection, `_end` runs once: streams learn that they are lost, the socket is
closed, the swarm is told. Put in libp2p's place by `net.hardening.muxer`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import trio
from libp2p.abc import IMuxedConn
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamError, MuxedStreamReset

from p2pnode.net.budget import Budget, Share
from p2pnode.net.ledger import Ledger, Tally
from p2pnode.net.yamux import frames
from p2pnode.net.yamux.engine import MAX_OUTBOUND_STREAMS, Engine, LocalError
from p2pnode.net.yamux.events import ConnectionEnded, DataReceived, Event, StreamEnded, StreamOpened, StreamReset
from p2pnode.net.yamux.pace import Pace
from p2pnode.net.yamux.stream import YamuxStream

log = logging.getLogger("p2pnode.net")

WRITE_S = 30.0
"""A peer that takes none of a batch for this long is gone."""
GOODBYE_S = 0.3
"""For our GO_AWAY to leave before the socket is closed, and for the peer's to be read when it takes nothing any more."""
LEAST_TICK_S = 1.0
"""Between two ticks, which come when the engine has something to do: a hundred idle connections are woken ten times a second, not forty."""


class Yamux(IMuxedConn):  # type: ignore[misc]  # libp2p is not checked
    """A connection of many streams. `start` runs it until it ends, for whatever reason."""

    def __init__(
        self,
        secured_conn: Any,
        peer_id: Any,
        is_initiator: bool | None = None,
        on_close: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self.secured_conn = secured_conn
        self.peer_id = peer_id
        self.on_close = on_close
        self.punched = False  # whether both sides called at once (`net.punch`)
        self.event_started = trio.Event()
        self.event_shutting_down = trio.Event()
        self.event_closed = trio.Event()
        self._initiator = bool(secured_conn.is_initiator if is_initiator is None else is_initiator)
        self.engine = Engine(initiator=self._initiator)
        self._plain = Tally()
        self._type: Any = None
        self._remote: tuple[str, int] | None = None
        self._is_counted = False
        self.share = Share(Budget(), self.give_up)  # until the swarm knows the connection
        self.streams: dict[int, YamuxStream] = {}
        self._waiting: deque[YamuxStream] = deque()  # opened by the peer, not yet accepted
        self._arrived = trio.Event()
        self._slots = trio.Semaphore(MAX_OUTBOUND_STREAMS)
        self._work = trio.Event()  # there is something to write
        self._idle = trio.Event()  # everything was written
        self._tasks: trio.CancelScope | None = None
        self._ending = False

    # the swarm's side

    def keep_in(self, ledger: Ledger) -> None:
        """What goes is counted there by what it is for. Not for a connection through a relay: its bytes are those of a stream."""
        self.engine.pings, self.engine.unnamed, self._plain = ledger.pings, ledger.unnamed, ledger.plain
        self._is_counted = True

    @property
    def is_initiator(self) -> bool:
        """Whether we dialled."""
        return self._initiator

    @property
    def is_established(self) -> bool:
        """Whether streams can be opened."""
        return self.event_started.is_set() and not self.event_shutting_down.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether the socket is closed."""
        return self.event_closed.is_set()

    def rtt(self) -> float:
        """Seconds of the shortest round trip lately; 0 before the first."""
        return self.engine.rtt_s

    async def start(self) -> None:
        """Run the connection until it ends. Raises nothing that a peer can cause."""
        if self.event_started.is_set() or self._ending:
            self.event_started.set()
            return
        try:
            async with trio.open_nursery() as nursery:
                self._tasks = nursery.cancel_scope
                nursery.start_soon(self._write_loop)
                nursery.start_soon(self._tick_loop)
                self.event_started.set()
                await self._read_loop()
                await self._say_goodbye()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await self._end("the connection was lost")

    async def close(self, error_code: int = frames.NORMAL) -> None:
        """Say goodbye, close the socket, tell the swarm. Streams that are open are lost."""
        if self._ending:
            await trio.lowlevel.checkpoint()
            return
        self.engine.go_away(error_code)
        self._mark_shutting_down()
        if self._tasks is not None:
            await self._say_goodbye()
        await self._end("this node closed the connection")

    def give_up(self) -> None:
        """End it at once, because it makes the node hold too much."""
        log.info("the connection to %s is cut: too many of its bytes wait", self.peer_id)
        self._lose("too many of its bytes wait")

    async def open_stream(self) -> YamuxStream:
        """A new stream; waits while 256 are open. MuxedStreamError if the connection is over."""
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            stream = YamuxStream(self, self.engine.open())
        except LocalError as error:
            self._slots.release()
            raise MuxedStreamError(str(error)) from error
        self.streams[stream.stream_id] = stream
        self._work.set()
        return stream

    async def accept_stream(self) -> YamuxStream:
        """The next stream that the peer opened. MuxedConnUnavailable when the connection is over."""
        while not self._waiting:
            if self.event_shutting_down.is_set():
                raise MuxedConnUnavailable("the connection is closed")
            self._arrived = trio.Event()
            await self._arrived.wait()
        stream = self._waiting.popleft()
        self.engine.accept(stream.stream_id)
        self._work.set()
        return stream

    def get_transport_addresses(self) -> Any:
        """libp2p's, of the socket."""
        return self.secured_conn.get_transport_addresses()

    def get_connection_type(self) -> Any:
        """libp2p's, of the socket: asked again and again of every peer, and never another."""
        if self._type is None:
            self._type = self.secured_conn.get_connection_type()
        return self._type

    def get_remote_address(self) -> tuple[str, int] | None:
        """Where the socket leads."""
        if self._remote is None:
            self._remote = self.secured_conn.get_remote_address()
        return self._remote

    # the streams' side

    # A stream that is gone may share its number with a newer one of the peer: hence `_is_open`.

    def send(self, stream: YamuxStream, data: bytes) -> None:
        """Queue `data`; the stream's `on_sent` follows. MuxedStreamReset if the stream is gone."""
        if not self._is_open(stream):
            raise MuxedStreamReset("the stream is gone")
        self.engine.send(stream.stream_id, data)
        self._work.set()

    def unsend(self, stream: YamuxStream) -> None:
        """Forget what of the last `send` was not taken yet."""
        if self._is_open(stream):
            self.engine.unsend(stream.stream_id)

    def consumed(self, stream: YamuxStream, count: int) -> None:
        """Room for `count` bytes more."""
        if self._is_open(stream):
            self.engine.consumed(stream.stream_id, count, trio.current_time())
            self._wake_writer()

    def count_as(self, stream: YamuxStream, tally: Tally) -> None:
        """Where this stream's bytes are counted, if those of the connection are."""
        if self._is_counted and self._is_open(stream):
            self.engine.count_as(stream.stream_id, tally)

    def finish(self, stream: YamuxStream) -> None:
        """Our end of a stream."""
        if self._is_open(stream):
            self.engine.finish(stream.stream_id)
            self._work.set()
            self._drop_if_forgotten(stream.stream_id)

    def abandon(self, stream: YamuxStream) -> None:
        """Nobody waits for the peer's end of this stream."""
        if self._is_open(stream):
            self.engine.abandon(stream.stream_id, trio.current_time())

    def reset(self, stream: YamuxStream) -> None:
        """Give a stream up."""
        if self._is_open(stream):
            self.engine.reset(stream.stream_id)
            self._work.set()
            self._break(stream.stream_id, "this node reset the stream")
            stream.drop_received()

    def _is_open(self, stream: YamuxStream) -> bool:
        return self.streams.get(stream.stream_id) is stream

    def _wake_writer(self) -> None:
        if self.engine.wants_to_send:
            self._work.set()

    # the tasks

    async def _read_loop(self) -> None:
        while not self.engine.ended:
            now, pieces = await self._pieces()
            for data in self._until_broken(pieces):
                self._plain.down += len(data)
                for event in self.engine.receive_data(data, now):
                    self._on_event(event)
            self._wake_writer()

    async def _pieces(self) -> tuple[float, Iterable[bytes]]:
        """What arrived, and when; b"" for the end. It has to be used up before anything else is awaited."""
        read_pieces = getattr(self.secured_conn, "read_pieces", None)
        try:
            pieces = await read_pieces() if read_pieces else (await self.secured_conn.read(),)
        except Exception as error:  # whatever the layers below make of bytes from outside
            log.debug("reading from %s: %r", self.peer_id, error)
            pieces = (b"",)
        return trio.current_time(), pieces

    def _until_broken(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from pieces
        except Exception as error:
            log.debug("opening what %s sent: %r", self.peer_id, error)
            yield b""

    async def _write_loop(self) -> None:
        pace = Pace()
        while True:
            batch = self.engine.data_to_send(pace.messages, pace.message_bytes)
            for stream_id in self.engine.drained():
                if stream := self.streams.get(stream_id):
                    stream.on_sent()
                self._drop_if_forgotten(stream_id)
            if not batch:
                self._idle.set()
                self._work = trio.Event()
                await self._work.wait()
                continue
            begun = trio.current_time()
            self._plain.up += len(batch)
            if await self._write(batch):
                pace.wrote(len(batch), trio.current_time() - begun)
            else:
                await trio.sleep(GOODBYE_S)  # why may be in what has arrived: the reader then ends this task
                self._lose("the peer takes nothing any more")

    async def _write(self, batch: bytes) -> bool:
        with trio.move_on_after(WRITE_S + getattr(self.secured_conn, "own_delay_s", 0.0)) as patience:
            try:
                await self.secured_conn.write(batch)
            except Exception as error:  # the layers below have many
                log.debug("writing to %s: %r", self.peer_id, error)
                return False
        return not patience.cancelled_caught

    async def _tick_loop(self) -> None:
        while True:
            for event in self.engine.tick(trio.current_time()):
                self._on_event(event)
            for stream_id in [i for i in self.streams if not self.engine.knows(i)]:
                self._break(stream_id, "the peer did not end the stream")
            if self.engine.ended:
                self._lose(self.engine.ended.reason)
            self._wake_writer()
            now = trio.current_time()
            await trio.sleep_until(max(now + LEAST_TICK_S, self.engine.next_tick(now)))

    # what happens

    def _on_event(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self.streams[event.stream_id].on_data(event.data)
        elif isinstance(event, StreamEnded):
            self.streams[event.stream_id].on_end()
            self._drop_if_forgotten(event.stream_id)
        elif isinstance(event, StreamOpened):
            opened = self.streams[event.stream_id] = YamuxStream(self, event.stream_id)
            self._waiting.append(opened)
            self._arrived.set()
        elif isinstance(event, StreamReset):
            self._waiting = deque(one for one in self._waiting if one.stream_id != event.stream_id)
            self._break(event.stream_id, "the peer reset the stream")
        elif isinstance(event, ConnectionEnded):
            log.debug("the connection to %s ended: %s", self.peer_id, event.reason)
            self._break_all(event.reason)

    def _drop_if_forgotten(self, stream_id: int) -> None:
        """A stream that ended both ways keeps its bytes for its reader, and only for him."""
        if not self.engine.knows(stream_id) and self.streams.pop(stream_id, None) is not None:
            self._give_slot_back(stream_id)

    def _break(self, stream_id: int, reason: str) -> None:
        if stream := self.streams.pop(stream_id, None):
            stream.on_broken(reason)
            self._give_slot_back(stream_id)

    def _give_slot_back(self, stream_id: int) -> None:
        if stream_id % 2 == self._initiator:
            self._slots.release()

    def _break_all(self, reason: str) -> None:
        for stream_id, stream in list(self.streams.items()):
            stream.on_broken(f"the connection is gone: {reason}")
            self._give_slot_back(stream_id)
        self.streams.clear()
        self._mark_shutting_down()

    def _mark_shutting_down(self) -> None:
        self.event_shutting_down.set()
        self._arrived.set()

    def _lose(self, reason: str) -> None:
        for event in self.engine.receive_data(b"", trio.current_time()):
            self._on_event(event)
        self._break_all(reason)
        if self._tasks is not None:
            self._tasks.cancel()

    async def _say_goodbye(self) -> None:
        """Let the writer write what is queued, a moment long."""
        with trio.move_on_after(GOODBYE_S):
            self._idle = trio.Event()
            self._work.set()
            await self._idle.wait()

    async def _end(self, reason: str) -> None:
        if self._ending:
            return
        self._ending = True
        self._break_all(reason)
        self.share.close()
        if self._tasks is not None:
            self._tasks.cancel()
        try:
            await self.secured_conn.close()
        except Exception as error:
            log.debug("closing the socket to %s: %r", self.peer_id, error)
        finally:
            self.event_closed.set()
        try:
            if self.on_close is not None:
                await self.on_close()
        except Exception as error:
            log.debug("the swarm on the end of the connection to %s: %r", self.peer_id, error)
