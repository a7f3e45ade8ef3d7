"""The Network port in one process: streams of memory, a DHT that is one dictionary, topics that flood. For services without libp2p.

Holds to the same contract as `p2pnode.net` (`tests/net/test_contract.py`). Without faults everything arrives at once; with them
(`p2pnode.sim.faults`) it comes late, twice, broken or not at all, as the hub's seeded generator says. Bans are the real ones.
"""

from __future__ import annotations

import logging
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, UsageError
from p2pnode.net.bans import Bans
from p2pnode.ports import (
    Ban,
    Carried,
    ContentRouting,
    Direction,
    NetworkNumbers,
    PeerEvent,
    PeerView,
    Reachability,
    Stream,
)
from p2pnode.sim.faults import NONE, Faults
from p2pnode.sim.stream import Link, SimStream, stream_pair

log = logging.getLogger("p2pnode.sim")

Handle = Callable[[Stream], Awaitable[None]]
Validate = Callable[[PeerId, bytes], bool]
Deliver = Callable[[PeerId, bytes], None]
MAX_GOSSIP_BYTES = 64 << 10
KEY_BYTES = 32


@dataclass
class Hub:
    """Everybody there is. `break_after` cuts every new stream after so many bytes; `links` are the streams so far.

    `sides`: whom a partition has put where; peers on different sides do not reach each other, who is on none reaches all.
    """

    nursery: trio.Nursery
    faults: Faults = NONE
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    sides: dict[PeerId, int] = field(default_factory=dict)
    nodes: dict[PeerId, SimNetwork] = field(default_factory=dict)
    providers: dict[bytes, list[PeerId]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    break_after: int | None = None

    def part(self, sides: dict[PeerId, int]) -> None:
        """Partition the network so (an empty map heals it): connections across are lost."""
        self.sides = sides
        for node in self.nodes.values():
            node.lose_across()

    def apart(self, one: PeerId, other: PeerId) -> bool:
        """Whether a partition lies between two peers."""
        return one in self.sides and other in self.sides and self.sides[one] != self.sides[other]

    def happens(self, probability: float) -> bool:
        """Draw, only where there is something to draw: a network without faults uses up no randomness."""
        return probability > 0 and self.rng.random() < probability

    def latency(self) -> float:
        """Seconds that the next thing takes to arrive."""
        return self.rng.uniform(*self.faults.latency_s)

    def node(self, name: str) -> SimNetwork:
        """A new node, online, connected to nobody."""
        network = SimNetwork(self, PeerId(name))
        self.nodes[network.peer_id] = network
        return network


@asynccontextmanager
async def a_hub() -> AsyncIterator[Hub]:
    """A hub whose nodes all end with the block."""
    async with trio.open_nursery() as nursery:
        yield Hub(nursery)
        nursery.cancel_scope.cancel()


@dataclass
class _Connection:
    """One node's side. `links` are the streams that it carries."""

    direction: Direction
    links: list[Link] = field(default_factory=list)


class SimMeter:
    """ports.Meter that tests move: `count` is what was counted, `limits` what was set last."""

    def __init__(self) -> None:
        self.count = (0, 0)
        self.limits = (0, 0)

    def counted(self) -> tuple[int, int]:
        return self.count

    def kinds(self) -> list[Carried]:
        return [Carried("everything", *self.count)]

    def limit(self, up: int, down: int) -> None:
        self.limits = up, down


class SimNetwork:
    """ports.Network of one node on a hub. Tests look at `topics`, `penalties` and `opened`: the streams it asked for."""

    def __init__(self, hub: Hub, peer_id: PeerId) -> None:
        self._hub, self._id = hub, peer_id
        self.meter = SimMeter()
        self._online = True
        self._handlers: dict[str, tuple[Handle, int]] = {}
        self._serving: Counter[tuple[str, PeerId]] = Counter()
        self._connected: dict[PeerId, _Connection] = {}
        self._events: list[trio.MemorySendChannel[PeerEvent]] = []
        self._bans = Bans()
        self._heard: set[bytes] = set()
        self.topics: dict[str, tuple[Validate, Deliver]] = {}
        self.penalties: list[tuple[PeerId, int, str]] = []
        self.opened: list[tuple[PeerId, str]] = []
        self.ipfs: ContentRouting | None = None

    @property
    def peer_id(self) -> PeerId:
        return self._id

    def addresses(self) -> list[str]:
        return [f"/memory/p2p/{self._id}"]

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(self._handlers)

    @property
    def online(self) -> bool:
        return self._online

    @online.setter
    def online(self, online: bool) -> None:
        """Off: every connection is lost, and nobody reaches it, or is reached by it, until it is on again."""
        self._online = online
        for peer in [] if online else list(self._connected):
            self._part(peer)

    # ---- peers

    def peers(self) -> list[PeerView]:
        return [
            PeerView(peer, (f"/memory/p2p/{peer}",), held.direction, "", None, self._hub.nodes[peer].protocols)
            for peer, held in sorted(self._connected.items())
        ]

    def peer_events(self) -> AbstractAsyncContextManager[AsyncIterator[PeerEvent]]:
        return self._open_events()

    @asynccontextmanager
    async def _open_events(self) -> AsyncIterator[AsyncIterator[PeerEvent]]:
        send, receive = trio.open_memory_channel[PeerEvent](math.inf)
        for view in self.peers():
            send.send_nowait(PeerEvent(view.peer, True, view.protocols))
        self._events.append(send)
        try:
            yield receive
        finally:
            self._events.remove(send)

    async def connect(self, address: str) -> PeerId:
        where, mark, name = address.rpartition("/p2p/")
        if not (where and mark and name):
            raise UsageError(f"{address!r} is no address with a peer ID")
        if name == self._id:
            raise UsageError("that is the address of this very node")
        await trio.lowlevel.checkpoint()
        self._dial(PeerId(name))
        return PeerId(name)

    def _dial(self, peer: PeerId) -> None:
        if peer in self._connected:
            return
        other = self._hub.nodes.get(peer)
        if other is None or not other._online or not self._online or self._hub.apart(self._id, peer):
            raise NetworkError(f"{peer} cannot be reached")
        if self._hub.happens(self._hub.faults.dial_failure):
            raise NetworkError(f"{peer} did not answer in time")
        if self._is_banned(peer) or other._is_banned(self._id):
            raise NetworkError(f"{peer} cannot be reached: one of the two banned the other")
        self._meet(peer, "outbound")
        other._meet(self._id, "inbound")

    def _meet(self, peer: PeerId, direction: Direction) -> None:
        self._connected[peer] = _Connection(direction)
        self._tell(PeerEvent(peer, True, self._hub.nodes[peer].protocols))

    async def disconnect(self, peer: PeerId) -> None:
        await trio.lowlevel.checkpoint()
        self._part(peer)

    def _part(self, peer: PeerId) -> None:
        if peer not in self._connected:
            return
        for one, other in ((self, peer), (self._hub.nodes[peer], self._id)):
            for link in one._connected.pop(other).links:
                link.lose()
            one._tell(PeerEvent(other, False))

    def lose_across(self) -> None:
        """A partition came: lose who is on another side."""
        for peer in [peer for peer in self._connected if self._hub.apart(self._id, peer)]:
            self._part(peer)

    def _tell(self, event: PeerEvent) -> None:
        for channel in self._events:
            channel.send_nowait(event)

    def favour(self, members: Callable[[], Container[PeerId]]) -> None:
        self.members = members

    def penalise(self, peer: PeerId, points: int, reason: str) -> None:
        self.penalties.append((peer, points, reason))
        if self._bans.penalise(peer, points, reason, trio.current_time()):
            self._part(peer)

    def numbers(self) -> NetworkNumbers:
        return NetworkNumbers(len(self._connected), len(self._connected), 320)

    def reach(self) -> Reachability:
        return Reachability()

    async def ask_outside(self) -> int:
        """Nobody: here everybody reaches everybody."""
        await trio.lowlevel.checkpoint()
        return 0

    async def reach_changed(self) -> None:
        await trio.sleep_forever()

    def banned(self) -> list[Ban]:
        return self._bans.current(trio.current_time())

    def relay_for_others(self, allowed: bool) -> None:
        """Here nobody needs that."""

    def lift_ban(self, peer: PeerId) -> bool:
        return self._bans.lift(peer, trio.current_time())

    def _is_banned(self, peer: PeerId) -> bool:
        return self._bans.is_banned(peer, trio.current_time())

    # ---- streams

    async def open_stream(self, peer: PeerId, protocol: str, *, timeout_s: float = 10.0) -> Stream:
        if peer == self._id:
            raise UsageError("a node opens no stream to itself")
        self.opened.append((peer, protocol))
        await trio.lowlevel.checkpoint()
        self._dial(peer)
        other = self._hub.nodes[peer]
        if protocol not in other._handlers:
            raise NetworkError(f"{peer} does not speak {protocol}")
        link = Link(self._bytes_until_it_breaks(), self._hub.latency if self._hub.faults.any_delay else None)
        self._hub.links.append(link)
        self._connected[peer].links.append(link)
        mine, theirs = stream_pair(self._id, peer, link)
        self._hub.nursery.start_soon(other._answer, protocol, theirs)
        return mine

    def _bytes_until_it_breaks(self) -> int | None:
        hub = self._hub
        if hub.break_after is None and hub.happens(hub.faults.stream_loss):
            return hub.rng.randint(0, hub.faults.stream_loss_bytes)
        return hub.break_after

    def serve(self, protocol: str, handle: Handle, *, streams_per_peer: int = 8) -> None:
        self._handlers[protocol] = (handle, streams_per_peer)

    def unserve(self, protocol: str) -> None:
        self._handlers.pop(protocol, None)

    async def _answer(self, protocol: str, stream: SimStream) -> None:
        if protocol not in self._handlers:  # it was served when the stream was opened, and is no more
            await stream.reset()
            return
        handle, limit = self._handlers[protocol]
        place = (protocol, stream.peer)
        if self._serving[place] >= limit:
            await stream.reset()
            return
        self._serving[place] += 1
        try:
            await handle(stream)
            await stream.aclose()
        except Exception as error:
            log.info("%s with %s failed: %r", protocol, stream.peer, error)
            await stream.reset()
        finally:
            self._serving[place] -= 1

    # ---- DHT and gossip

    async def provide(self, key: bytes) -> int:
        held = self._hub.providers.setdefault(_checked(key), [])
        if self._id not in held:
            held.append(self._id)
        await trio.lowlevel.checkpoint()
        return len(self._connected)

    async def provide_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        return {key: await self.provide(key) for key in keys}

    def answer_for(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            held = self._hub.providers.setdefault(_checked(key), [])
            if self._id not in held:
                held.append(self._id)

    def provided(self) -> list[bytes]:
        return [key for key, held in self._hub.providers.items() if self._id in held]

    def answers_for(self, key: bytes) -> bool:
        return self._id in self._hub.providers.get(_checked(key), [])

    async def is_found(self, key: bytes) -> bool | None:
        await trio.lowlevel.checkpoint()
        return self.answers_for(key) if self._connected else None

    def unprovide(self, key: bytes) -> None:
        held = self._hub.providers.get(_checked(key), [])
        if self._id in held:
            held.remove(self._id)

    async def find_providers(self, key: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        await trio.lowlevel.checkpoint()
        return [peer for peer in self._hub.providers.get(_checked(key), []) if peer != self._id][:limit]

    async def join_topic(self, topic: str, validate: Validate, deliver: Deliver) -> None:
        await trio.lowlevel.checkpoint()
        self.topics[topic] = (validate, deliver)

    async def leave_topic(self, topic: str) -> None:
        await trio.lowlevel.checkpoint()
        self.topics.pop(topic, None)

    async def publish(self, topic: str, data: bytes) -> None:
        """Everybody connected hears it at once, and relays what its validator likes."""
        if not 0 < len(data) <= MAX_GOSSIP_BYTES:
            raise UsageError(f"a gossip message has 1 to {MAX_GOSSIP_BYTES} bytes, not {len(data)}")
        await trio.lowlevel.checkpoint()
        self._heard.add(data)
        if self._hub.faults == NONE:
            forwarders = [self]
            while forwarders:
                forwarder = forwarders.pop(0)
                others = [self._hub.nodes[peer] for peer in forwarder._connected]
                forwarders += [other for other in others if other._hear(topic, forwarder._id, data)]
        else:
            self._forward(topic, data)

    def _forward(self, topic: str, data: bytes) -> None:
        """Send it over every edge, each with its own fate."""
        hub = self._hub
        for peer in sorted(self._connected):
            if hub.happens(hub.faults.gossip_loss):
                continue
            for _ in range(1 + hub.happens(hub.faults.gossip_duplicate)):
                hub.nursery.start_soon(self._arrive_later, peer, topic, data)

    async def _arrive_later(self, peer: PeerId, topic: str, data: bytes) -> None:
        await trio.sleep(self._hub.latency())
        if peer in self._connected:
            other = self._hub.nodes[peer]
            if other._hear(topic, self._id, data):
                other._forward(topic, data)

    def _hear(self, topic: str, forwarder: PeerId, data: bytes) -> bool:
        """Whether it was new, welcome and delivered here. A refusal is not remembered: the next forwarder may have better luck."""
        if topic not in self.topics or data in self._heard:
            return False
        validate, deliver = self.topics[topic]
        try:
            if not validate(forwarder, data):
                return False
            self._heard.add(data)
            deliver(forwarder, data)
        except Exception as error:
            log.info("the validator of %s failed: %r", topic, error)
            return False
        return True


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise UsageError(f"a DHT key has {KEY_BYTES} bytes, not {len(key)}")
    return key
