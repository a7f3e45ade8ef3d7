"""Topics: our gossipsub (`net.gossipsub`) on streams, with the synchronous validators of the services.

One stream of ours to each neighbour, which a task writes only while something waits; theirs are read where they come in. Gossip is
a hint: what a full queue or a slow neighbour loses, reconciliation brings. Called by `net.network`.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, P2pnodeError, PeerError, UsageError
from p2pnode.net.addresses import to_id
from p2pnode.net.failures import say_failed
from p2pnode.net.gossipsub import rpc
from p2pnode.net.gossipsub.frames import FrameReader
from p2pnode.net.gossipsub.mesh import HEARTBEAT_S, Mesh
from p2pnode.net.gossipsub.signing import is_signed, sign
from p2pnode.net.relay.circuit import is_relayed
from p2pnode.net.stream import Libp2pStream

log = logging.getLogger("p2pnode.net")

PROTOCOL = "/meshsub/1.1.0"
STREAMS_PER_PEER = 3
"""One for each connection that a peer may have: it opens a new one when the old connection is gone."""
MAX_GOSSIP_BYTES = 64 << 10
"""One payload: the protocol's limit for 1-64 records."""
MAX_WAITING_BYTES = 4 << 20
"""For one neighbour: a burst of a whole circle's records, not a second one. Frames are shared between neighbours, not copied."""
WRITE_BYTES = 64 << 10
"""Frames written together."""
WRITE_S = 30.0
"""A neighbour that takes nothing for so long is given a new stream, and what waited for it is dropped."""
REOPEN_S = 10.0
"""Pause before a stream that broke, or could not be opened, is opened again."""
READ_BYTES = 64 << 10
FRAMES_A_TURN = 16
"""Read of one neighbour before others have their turn: thousands of the smallest fit one read."""

Validate = Callable[[PeerId, bytes], bool]
Deliver = Callable[[PeerId, bytes], None]


def message_id(data: bytes) -> bytes:
    """SHA-256 of the payload: the same record sent by two members is one message."""
    return hashlib.sha256(data).digest()


class _Neighbour:
    __slots__ = ("opening", "queue", "retry_at", "size", "stream", "writing")

    def __init__(self) -> None:
        self.queue: deque[bytes] = deque()
        self.size = 0
        self.stream: Libp2pStream | None = None
        self.opening = self.writing = False
        self.retry_at = float("inf")

    def clear(self) -> None:
        self.queue.clear()
        self.size = 0


class Gossip:
    """The topics of one node. `open_stream` opens a gossip stream to a connected peer; tasks run in `nursery`."""

    def __init__(
        self, own: PeerId, key: Any, open_stream: Callable[[PeerId], Awaitable[Libp2pStream]], nursery: trio.Nursery
    ) -> None:
        self._own, self._key = to_id(own).to_bytes(), key
        self._open, self._nursery = open_stream, nursery
        self._neighbours: dict[PeerId, _Neighbour] = {}
        self._by_bytes: dict[bytes, PeerId] = {}
        self._joined: dict[str, tuple[Validate, Deliver]] = {}
        self._number = time.time_ns()
        self.mesh = Mesh(self._send, random.Random())

    async def run(self) -> None:
        """The heartbeat, for ever."""
        while True:
            await trio.sleep(HEARTBEAT_S * random.uniform(0.9, 1.1))
            now = trio.current_time()
            self.mesh.heartbeat(now)
            for peer, neighbour in list(self._neighbours.items()):
                if neighbour.stream is None and neighbour.retry_at <= now:
                    self._nursery.start_soon(self.meet, peer)

    # topics

    async def join(self, topic: str, validate: Validate, deliver: Deliver) -> None:
        """Subscribe; joining again replaces the callables."""
        self._joined[topic] = (validate, deliver)
        self.mesh.join(topic, trio.current_time())
        await trio.lowlevel.checkpoint()

    async def leave(self, topic: str) -> None:
        """Unsubscribe; nothing happens if we are not subscribed."""
        if self._joined.pop(topic, None) is not None:
            self.mesh.leave(topic, trio.current_time())
        await trio.lowlevel.checkpoint()

    async def publish(self, topic: str, data: bytes) -> None:
        """Send to whoever is there, which may be nobody. UsageError if `data` is empty or too large."""
        if not 0 < len(data) <= MAX_GOSSIP_BYTES:
            raise UsageError(f"a gossip message has 1 to {MAX_GOSSIP_BYTES} bytes, not {len(data)}")
        self._number += 1
        message = rpc.new_message(self._own, self._number.to_bytes(8, "big"), topic, data)
        sign(message, self._key)
        self.mesh.publish(message_id(data), topic, rpc.message_frame(message), trio.current_time())
        await trio.lowlevel.checkpoint()

    def neighbours(self, topic: str) -> set[PeerId]:
        """Peers known to be subscribed."""
        return self.mesh.subscribers(topic)

    # neighbours

    async def meet(self, peer: PeerId) -> None:
        """A connected peer that speaks gossip: open our stream to it and greet it. Nothing happens if there is one."""
        neighbour = self._known(peer)
        if neighbour.stream is not None or neighbour.opening:
            return
        neighbour.opening = True
        try:
            stream = await self._open(peer)
        except P2pnodeError as error:
            log.debug("no gossip with %s: %s", peer, error.message)
            neighbour.retry_at = trio.current_time() + REOPEN_S
            return
        finally:
            neighbour.opening = False
        if self._neighbours.get(peer) is not neighbour:  # it went away meanwhile
            await stream.reset()
            return
        neighbour.stream = stream
        waiting = list(neighbour.queue)
        neighbour.clear()
        self.mesh.greet(peer)
        for frame in waiting:
            self._send(peer, frame)

    def forget(self, peer: PeerId) -> None:
        """It is not connected any more."""
        if (neighbour := self._neighbours.pop(peer, None)) is not None:
            neighbour.clear()
            self._by_bytes.pop(to_id(peer).to_bytes(), None)
            self.mesh.gone(peer)

    def connection_lost(self, peer: PeerId) -> None:
        """One of several connections to it is gone, perhaps the one with our stream."""
        neighbour = self._neighbours.get(peer)
        if neighbour is not None and neighbour.stream is not None and neighbour.stream.is_lost:
            neighbour.stream = None
            neighbour.retry_at = trio.current_time()

    def better_way(self, peer: PeerId) -> None:
        """There is another connection to it. A stream of ours that runs through a relay is given up for one on the best of them."""
        neighbour = self._neighbours.get(peer)
        stream = neighbour.stream if neighbour is not None else None
        if neighbour is not None and stream is not None and is_relayed(stream.raw.muxed_conn):
            neighbour.stream = None
            neighbour.retry_at = trio.current_time()
            self._nursery.start_soon(stream.aclose)

    def _known(self, peer: PeerId) -> _Neighbour:
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            neighbour = self._neighbours[peer] = _Neighbour()
            self._by_bytes[to_id(peer).to_bytes()] = peer
        return neighbour

    # what goes out

    def _send(self, peer: PeerId, frame: bytes) -> None:
        neighbour = self._neighbours.get(peer)
        if neighbour is None or neighbour.size + len(frame) > MAX_WAITING_BYTES:
            return
        if neighbour.stream is not None and not neighbour.writing and neighbour.stream.try_send(frame):
            return  # nearly always: no task, no waiting
        neighbour.queue.append(frame)
        neighbour.size += len(frame)
        if neighbour.stream is not None and not neighbour.writing:
            neighbour.writing = True
            self._nursery.start_soon(self._write, peer, neighbour)

    async def _write(self, peer: PeerId, neighbour: _Neighbour) -> None:
        stream = neighbour.stream
        try:
            while neighbour.queue and stream is not None:
                with trio.fail_after(WRITE_S):
                    await stream.send_all(_batch(neighbour))
        except (NetworkError, trio.TooSlowError) as error:
            log.debug("gossip to %s broke: %r", peer, error)
            if stream is not None:
                await stream.reset()
            neighbour.stream = None
            neighbour.clear()
            neighbour.retry_at = trio.current_time() + REOPEN_S
        finally:
            neighbour.writing = False

    # what comes in

    async def serve(self, stream: Libp2pStream) -> None:
        """One neighbour's stream to us, until it ends. PeerError when it breaks the rules."""
        self._known(stream.peer)
        reader = FrameReader()
        while data := await stream.receive_some(READ_BYTES):
            for number, frame in enumerate(reader.feed(data), start=1):
                await self._on_frame(stream.peer, frame)
                if number % FRAMES_A_TURN == 0:
                    await trio.lowlevel.checkpoint()
            stream.hold(reader.size)

    async def _on_frame(self, peer: PeerId, frame: bytes) -> None:
        try:
            said = rpc.decode(frame)
        except DecodeError as error:
            raise PeerError(error.message) from error
        if peer not in self._neighbours:
            raise NetworkError("the neighbour is gone")
        for message in said.messages:
            if self._is_news(message):
                self._take(peer, message)
                await trio.lowlevel.checkpoint()  # each may cost milliseconds of signatures
        self.mesh.heard(peer, said, trio.current_time())

    def _is_news(self, message: Any) -> bool:
        return (
            len(message.topicIDs) == 1
            and message.topicIDs[0] in self._joined
            and 0 < len(message.data) <= MAX_GOSSIP_BYTES
            and message.from_id != self._own
            and message_id(message.data) not in self.mesh.seen
        )

    def _take(self, peer: PeerId, message: Any) -> None:
        if not is_signed(message):
            raise PeerError("a gossip message that its sender did not sign")
        topic, data = message.topicIDs[0], message.data
        if _ask(topic, *self._joined[topic], peer, data):
            origin = self._by_bytes.get(message.from_id, peer)
            now = trio.current_time()
            self.mesh.accepted(message_id(data), topic, rpc.message_frame(message), (peer, origin), now)


def _batch(neighbour: _Neighbour) -> bytes:
    """The next frames, together at most WRITE_BYTES unless the first alone is larger."""
    parts = [neighbour.queue.popleft()]
    size = len(parts[0])
    while neighbour.queue and size + len(neighbour.queue[0]) <= WRITE_BYTES:
        parts.append(neighbour.queue.popleft())
        size += len(parts[-1])
    neighbour.size -= size
    return b"".join(parts)


def _ask(topic: str, validate: Validate, deliver: Deliver, forwarder: PeerId, data: bytes) -> bool:
    try:
        if not validate(forwarder, data):
            return False
        deliver(forwarder, data)
    except Exception as error:
        say_failed(log, f"the validator of {topic}", error)
        return False
    return True
