"""`ports.Network` without a wire: nodes of one Hub reach each other through channels, with back-pressure, ends and resets.

Everybody can dial everybody who is `online`. Gossip goes to all who joined; the DHT is one dictionary. No latency, no loss.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.ports import PeerEvent, PeerView, Stream

log = logging.getLogger("tests.memory_network")
CHUNK_BYTES = 64 << 10
CHUNKS_IN_FLIGHT = 4
Handler = Callable[[Stream], Awaitable[None]]


class MemoryStream:
    """One end of a stream."""

    def __init__(
        self, peer: PeerId, out: trio.MemorySendChannel[bytes], into: trio.MemoryReceiveChannel[bytes]
    ) -> None:
        self._peer, self._out, self._in = peer, out, into
        self.other: MemoryStream
        self._rest = b""
        self._broken = False

    @property
    def peer(self) -> PeerId:
        return self._peer

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        try:
            for at in range(0, len(view), CHUNK_BYTES):
                await self._out.send(bytes(view[at : at + CHUNK_BYTES]))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise NetworkError("the stream broke") from error

    async def receive_some(self, max_bytes: int) -> bytes:
        if not self._rest:
            try:
                self._rest = await self._in.receive()
            except trio.EndOfChannel as error:
                if self._broken:
                    raise NetworkError("the stream was reset") from error
                return b""
            except trio.ClosedResourceError as error:
                raise NetworkError("the stream is closed") from error
        part, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        return part

    async def send_eof(self) -> None:
        self._out.close()

    async def aclose(self) -> None:
        self._out.close()
        self._in.close()

    async def reset(self) -> None:
        self._broken = self.other._broken = True
        for end in (self, self.other):
            end._rest = b""
            end._out.close()
        self._in.close()


def stream_pair(one: PeerId, other: PeerId) -> tuple[MemoryStream, MemoryStream]:
    """(the end of `one`, the end of `other`)."""
    there_in, there_out = trio.open_memory_channel[bytes](CHUNKS_IN_FLIGHT)
    back_in, back_out = trio.open_memory_channel[bytes](CHUNKS_IN_FLIGHT)
    first, second = MemoryStream(other, there_in, back_out), MemoryStream(one, back_in, there_out)
    first.other, second.other = second, first
    return first, second


@dataclass
class Hub:
    """Where nodes meet; handlers run in `nursery`."""

    nursery: trio.Nursery
    nodes: dict[PeerId, MemoryNetwork] = field(default_factory=dict)
    dht: dict[bytes, set[PeerId]] = field(default_factory=lambda: defaultdict(set))

    def node(self, name: str) -> MemoryNetwork:
        """A new node, online at once."""
        self.nodes[PeerId(name)] = made = MemoryNetwork(PeerId(name), self)
        return made


@asynccontextmanager
async def hub() -> AsyncIterator[Hub]:
    """A hub whose handlers are cancelled at the end."""
    async with trio.open_nursery() as nursery:
        yield Hub(nursery)
        nursery.cancel_scope.cancel()


class MemoryNetwork:
    """One node. `penalties` and `opened` are for tests to look at; `online = False` makes it unreachable."""

    def __init__(self, peer_id: PeerId, hub: Hub) -> None:
        self._peer_id, self._hub = peer_id, hub
        self.online = True
        self.penalties: list[tuple[PeerId, int, str]] = []
        self.opened: list[tuple[PeerId, str]] = []
        self._handlers: dict[str, Handler] = {}
        self._topics: dict[str, tuple[Callable[[PeerId, bytes], bool], Callable[[PeerId, bytes], None]]] = {}

    @property
    def peer_id(self) -> PeerId:
        return self._peer_id

    def addresses(self) -> list[str]:
        return [f"/memory/{self._peer_id}/p2p/{self._peer_id}"]

    def _others(self) -> list[MemoryNetwork]:
        return [node for node in self._hub.nodes.values() if node is not self and node.online and self.online]

    def peers(self) -> list[PeerView]:
        return [PeerView(n.peer_id, (), "outbound", "memory", 1.0, tuple(n._handlers)) for n in self._others()]

    @asynccontextmanager
    async def peer_events(self) -> AsyncIterator[AsyncIterator[PeerEvent]]:
        async def events() -> AsyncIterator[PeerEvent]:
            for node in self._others():
                yield PeerEvent(node.peer_id, True, tuple(node._handlers))
            await trio.sleep_forever()

        yield events()

    async def connect(self, address: str) -> PeerId:
        peer = PeerId(address.rpartition("/")[2])
        if peer not in {node.peer_id for node in self._others()}:
            raise NetworkError(f"{peer} cannot be reached")
        return peer

    async def disconnect(self, peer: PeerId) -> None:
        await trio.lowlevel.checkpoint()

    async def open_stream(self, peer: PeerId, protocol: str, *, timeout_s: float = 10.0) -> Stream:
        await trio.lowlevel.checkpoint()
        self.opened.append((peer, protocol))
        node = next((node for node in self._others() if node.peer_id == peer), None)
        if node is None or protocol not in node._handlers:
            raise NetworkError(f"{peer} cannot be reached, or does not speak {protocol}")
        mine, theirs = stream_pair(self._peer_id, peer)
        self._hub.nursery.start_soon(_handle, node._handlers[protocol], theirs)
        return mine

    def serve(self, protocol: str, handle: Handler, *, streams_per_peer: int = 8) -> None:
        self._handlers[protocol] = handle

    async def provide(self, key: bytes) -> int:
        await trio.lowlevel.checkpoint()
        self._hub.dht[key].add(self._peer_id)
        return len(self._others())

    async def find_providers(self, key: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        await trio.lowlevel.checkpoint()
        return sorted(self._hub.dht[key] - {self._peer_id})[:limit]

    async def join_topic(
        self, topic: str, validate: Callable[[PeerId, bytes], bool], deliver: Callable[[PeerId, bytes], None]
    ) -> None:
        self._topics[topic] = (validate, deliver)

    async def leave_topic(self, topic: str) -> None:
        self._topics.pop(topic, None)

    async def publish(self, topic: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        for node in self._others():
            if topic in node._topics and node._topics[topic][0](self._peer_id, data):
                node._topics[topic][1](self._peer_id, data)

    def penalise(self, peer: PeerId, points: int, reason: str) -> None:
        self.penalties.append((peer, points, reason))


async def _handle(handle: Handler, stream: MemoryStream) -> None:
    try:
        await handle(stream)
    except Exception as error:
        log.debug("handler: %r", error)
        await stream.reset()
    else:
        await stream.aclose()
