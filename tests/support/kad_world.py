"""Many nodes of our DHT in one process: the real tables, look-ups, servers and messages, on streams in memory that take their time.

With an autojump clock the time is virtual. A node can vanish: what is sent to it is lost, and nobody is told.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Sequence

import trio
from libp2p.peer.id import ID

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net.dht import Dht
from p2pnode.net.kad.table import place_of_peer
from p2pnode.net.kad.wire import Contact

EPOCH = 1_800_000_000.0
TABLE_PEERS = 60
"""Peers that a node knows at first: its neighbours and some of everywhere."""


def peer(number: int) -> PeerId:
    """A peer ID out of a number."""
    return PeerId(ID(b"\x12\x20" + hashlib.sha256(b"node %d" % number).digest()).to_base58())


class Memory:
    """ports.ProviderRecords and ports.AddressBook of one node, without a database: a world has hundreds."""

    def __init__(self) -> None:
        self._told: dict[bytes, dict[PeerId, list[str]]] = {}

    async def add(self, key: bytes, peer: PeerId, addresses: Sequence[str], now: float) -> bool:
        self._told.setdefault(key, {})[peer] = list(addresses)
        return True

    async def get(self, key: bytes, now: float) -> list[tuple[PeerId, list[str]]]:
        return list(self._told.get(key, {}).items())

    async def remember(self, peer: PeerId, addresses: Sequence[str], *, answered: bool) -> None:
        """Nobody is dialled twice here."""

    async def addresses(self, peer: PeerId) -> list[str]:
        return []

    async def recent(self, limit: int) -> list[tuple[PeerId, list[str]]]:
        return []


class Counters:
    """What went over the streams of one node that it opened."""

    def __init__(self) -> None:
        self.streams = self.bytes = 0


class MemoryStream:
    """One end. What is sent arrives `delay_s` later."""

    def __init__(self, world: KadWorld, own: PeerId, other: PeerId, counters: Counters) -> None:
        self.peer, self._own, self._world, self._counters = other, own, world, counters
        self._coming: deque[tuple[float, bytes]] = deque()
        self._news = trio.Event()
        self.partner: MemoryStream
        self._ended = self._reset = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._counters.bytes += len(data)
        if self.peer in self._world.gone or self._own in self._world.gone:
            return
        self.partner._coming.append((trio.current_time() + self._world.delay_s, bytes(data)))
        self.partner._news.set()

    async def receive_some(self, max_bytes: int) -> bytes:
        while not self._coming:
            if self._reset:
                raise NetworkError("the stream was reset")
            if self._ended:
                return b""
            self._news = trio.Event()
            await self._news.wait()
        arrives, data = self._coming[0]
        if arrives > trio.current_time():
            await trio.sleep_until(arrives)
        self._coming.popleft()
        if len(data) > max_bytes:
            self._coming.appendleft((arrives, data[max_bytes:]))
        return data[:max_bytes]

    async def send_eof(self) -> None:
        self._end()
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self._end()
        await trio.lowlevel.checkpoint()

    async def reset(self) -> None:
        self.partner._reset = True
        self._end()
        await trio.lowlevel.checkpoint()

    def _end(self) -> None:
        if self._own not in self._world.gone:
            self.partner._ended = True
            self.partner._news.set()


class KadWorld:
    """`count` nodes whose tables are full from the start. `delay_s` is one way; a first dial costs four round trips."""

    def __init__(self, nursery: trio.Nursery, count: int, *, delay_s: float = 0.0, seed: int = 1) -> None:
        self.delay_s, self._nursery = delay_s, nursery
        self.chance = random.Random(seed)
        self.gone: set[PeerId] = set()
        self.peers = [peer(number) for number in range(count)]
        self.contacts = {one: Contact(one, (f"/ip4/10.0.0.1/tcp/{n + 1}",)) for n, one in enumerate(self.peers)}
        self.connected: set[frozenset[PeerId]] = set()
        self.counters = {one: Counters() for one in self.peers}
        self.nodes = {one: self._node(one) for one in self.peers}
        for one, node in self.nodes.items():
            place = place_of_peer(one)
            near = sorted(self.peers, key=lambda other: place_of_peer(other) ^ place)[1 : 1 + TABLE_PEERS // 2]
            for other in [*near, *self.chance.sample(self.peers, min(count, TABLE_PEERS // 2))]:
                node.table.add(self.contacts[other], lambda peer: True)

    def _node(self, own: PeerId) -> Dht:
        async def open_stream(contact: Contact) -> MemoryStream:
            return await self._open(own, contact.peer)

        return Dht(
            lambda: self.contacts[own],
            open_stream,
            lambda other: frozenset((own, other)) in self.connected,
            Memory(),
            Memory(),
            lambda: EPOCH + trio.current_time(),
        )

    async def _open(self, own: PeerId, other: PeerId) -> MemoryStream:
        pair = frozenset((own, other))
        if pair not in self.connected:
            if other in self.gone:
                await trio.sleep_forever()  # a SYN into the void
            await trio.sleep(4 * 2 * self.delay_s)
            self.connected.add(pair)
        self.counters[own].streams += 1
        ours = MemoryStream(self, own, other, self.counters[own])
        theirs = MemoryStream(self, other, own, self.counters[own])
        ours.partner, theirs.partner = theirs, ours
        self._nursery.start_soon(self._serve, other, theirs)
        return ours

    async def _serve(self, node: PeerId, stream: MemoryStream) -> None:
        try:
            await self.nodes[node].server.serve(stream)
            await stream.aclose()
        except NetworkError:
            await stream.reset()

    def vanish(self, peers: Sequence[PeerId]) -> None:
        """They answer nothing any more, and nobody is told."""
        self.gone |= set(peers)

    def alive(self) -> list[PeerId]:
        return [one for one in self.peers if one not in self.gone]

    def nearest(self, place: int, count: int = 20) -> list[PeerId]:
        """The peers that are nearest to a place and alive, nearest first."""
        return sorted(self.alive(), key=lambda one: place_of_peer(one) ^ place)[:count]
