"""The Network port in one process: memory streams, a shared DHT, topics that flood. For tests of services without libp2p."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import trio
from trio.testing import memory_stream_pair

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, UsageError
from p2pnode.ports import PeerEvent, PeerView, Stream

log = logging.getLogger("tests.loopback")

Handle = Callable[[Stream], Awaitable[None]]
Validate = Callable[[PeerId, bytes], bool]
Deliver = Callable[[PeerId, bytes], None]


class LoopbackStream:
    """One end of a stream. `tap` counts bytes written; a reset breaks both ends."""

    def __init__(self, peer: PeerId, pipe: trio.StapledStream, link: _Link) -> None:
        self._peer, self._pipe, self._link = peer, pipe, link

    @property
    def peer(self) -> PeerId:
        return self._peer

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._link.bytes_left is not None:
            self._link.bytes_left -= len(data)
            if self._link.bytes_left < 0:  # what was sent before arrives, then the line is dead
                await self._pipe.aclose()
                raise NetworkError("lost")
        self._link.bytes += len(data)
        try:
            self._check()
            await self._pipe.send_all(bytes(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise NetworkError("broken") from error

    async def receive_some(self, max_bytes: int) -> bytes:
        try:
            data = await self._pipe.receive_some(max_bytes)
            self._check()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise NetworkError("broken") from error
        return bytes(data)

    async def send_eof(self) -> None:
        await self._pipe.send_eof()

    async def aclose(self) -> None:
        await self._pipe.aclose()

    async def reset(self) -> None:
        self._link.broken = self._link.bytes_left is None or self._link.bytes_left >= 0
        await self._pipe.aclose()

    def _check(self) -> None:
        if self._link.broken:
            raise NetworkError("reset")


@dataclass
class _Link:
    """What both ends of a stream share."""

    broken: bool = False
    bytes: int = 0
    bytes_left: int | None = None


@dataclass
class Hub:
    """Everybody there is. `break_after` cuts every new stream after so many bytes."""

    nursery: trio.Nursery
    nodes: dict[PeerId, LoopbackNetwork] = field(default_factory=dict)
    providers: dict[bytes, list[PeerId]] = field(default_factory=dict)
    links: list[_Link] = field(default_factory=list)
    break_after: int | None = None

    def node(self, name: str) -> LoopbackNetwork:
        network = LoopbackNetwork(self, PeerId(name))
        self.nodes[network.peer_id] = network
        return network


class LoopbackNetwork:
    """ports.Network of one node on a hub."""

    def __init__(self, hub: Hub, peer_id: PeerId) -> None:
        self._hub, self._id = hub, peer_id
        self._handlers: dict[str, Handle] = {}
        self._connected: dict[PeerId, str] = {}
        self._events: list[trio.MemorySendChannel[PeerEvent]] = []
        self.topics: dict[str, tuple[Validate, Deliver]] = {}
        self.penalties: list[tuple[PeerId, int, str]] = []

    @property
    def peer_id(self) -> PeerId:
        return self._id

    def addresses(self) -> list[str]:
        return [f"/memory/p2p/{self._id}"]

    def peers(self) -> list[PeerView]:
        return [
            PeerView(peer, (), direction, "", None, self._hub.nodes[peer].protocols)  # type: ignore[arg-type]
            for peer, direction in self._connected.items()
        ]

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(self._handlers)

    @asynccontextmanager
    async def _open_events(self) -> AsyncIterator[AsyncIterator[PeerEvent]]:
        send, receive = trio.open_memory_channel[PeerEvent](100)
        for view in self.peers():
            send.send_nowait(PeerEvent(view.peer, True, view.protocols))
        self._events.append(send)
        try:
            yield receive
        finally:
            self._events.remove(send)

    def peer_events(self) -> AbstractAsyncContextManager[AsyncIterator[PeerEvent]]:
        return self._open_events()

    async def connect(self, address: str) -> PeerId:
        peer = PeerId(address.rsplit("/", 1)[-1])
        if peer not in self._hub.nodes:
            raise UsageError("no such address")
        await trio.lowlevel.checkpoint()
        self._meet(peer, "outbound")
        self._hub.nodes[peer]._meet(self._id, "inbound")
        return peer

    def _meet(self, peer: PeerId, direction: str) -> None:
        if peer not in self._connected:
            self._connected[peer] = direction
            self._tell(PeerEvent(peer, True, self._hub.nodes[peer].protocols))

    async def disconnect(self, peer: PeerId) -> None:
        for one, other in ((self, peer), (self._hub.nodes[peer], self._id)):
            one._connected.pop(other, None)
            one._tell(PeerEvent(other, False))
        await trio.lowlevel.checkpoint()

    def _tell(self, event: PeerEvent) -> None:
        for channel in self._events:
            channel.send_nowait(event)

    async def open_stream(self, peer: PeerId, protocol: str, *, timeout_s: float = 10.0) -> Stream:
        if peer not in self._connected:
            await self.connect(f"/memory/p2p/{peer}")
        handle = self._hub.nodes[peer]._handlers.get(protocol)
        if handle is None:
            raise NetworkError(f"{peer} does not speak {protocol}")
        mine, yours = memory_stream_pair()
        link = _Link(bytes_left=self._hub.break_after)
        self._hub.links.append(link)
        self._hub.nursery.start_soon(_answer, handle, LoopbackStream(self._id, yours, link))
        return LoopbackStream(peer, mine, link)

    def serve(self, protocol: str, handle: Handle, *, streams_per_peer: int = 8) -> None:
        self._handlers[protocol] = handle

    async def provide(self, key: bytes) -> int:
        held = self._hub.providers.setdefault(key, [])
        if self._id not in held:
            held.append(self._id)
        await trio.lowlevel.checkpoint()
        return len(self._connected)

    async def find_providers(self, key: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        await trio.lowlevel.checkpoint()
        return [peer for peer in self._hub.providers.get(key, []) if peer != self._id][:limit]

    async def join_topic(self, topic: str, validate: Validate, deliver: Deliver) -> None:
        await trio.lowlevel.checkpoint()
        self.topics[topic] = (validate, deliver)

    async def leave_topic(self, topic: str) -> None:
        await trio.lowlevel.checkpoint()
        del self.topics[topic]

    async def publish(self, topic: str, data: bytes) -> None:
        """Everybody connected hears it, and relays what its validator likes."""
        await trio.lowlevel.checkpoint()
        heard = {self._id}
        forwarders = [self]
        while forwarders:
            forwarder = forwarders.pop(0)
            for peer in forwarder._connected:
                other = self._hub.nodes[peer]
                if peer in heard or topic not in other.topics:
                    continue
                heard.add(peer)
                validate, deliver = other.topics[topic]
                if validate(forwarder.peer_id, data):
                    deliver(forwarder.peer_id, data)
                    forwarders.append(other)

    def penalise(self, peer: PeerId, points: int, reason: str) -> None:
        self.penalties.append((peer, points, reason))


async def _answer(handle: Handle, stream: LoopbackStream) -> None:
    try:
        await handle(stream)
    except Exception as error:
        log.warning("a handler failed: %r", error)
        await stream.reset()
    else:
        await stream.aclose()
