"""Who is connected: views for people, events for services.

Told by the swarm about connections (as one of its notifees) and by `net.network` about introductions. Does no I/O itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p.peer.id import ID

from p2pnode.core.ids import PeerId
from p2pnode.net.addresses import peer_id
from p2pnode.net.identify import Introduction
from p2pnode.net.relay.circuit import is_relayed
from p2pnode.ports import Direction, PeerEvent, PeerView
from p2pnode.ports.network import Way

MAX_ASKED = 100
"""Protocols whose speakers are remembered: the few that parts of this node ask for."""


class Subscription:
    """Events for one reader, at most one pending a peer: a slow reader sees the latest state, not every flicker."""

    def __init__(self) -> None:
        self._pending: dict[PeerId, PeerEvent] = {}
        self._arrived = trio.Event()

    def put(self, event: PeerEvent) -> None:
        self._pending.pop(event.peer, None)
        self._pending[event.peer] = event
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[PeerEvent]:
        while True:
            if not self._pending:
                self._arrived = trio.Event()
                await self._arrived.wait()
            else:
                await trio.lowlevel.checkpoint()
            yield self._pending.pop(next(iter(self._pending)))


class Peers:
    """The connected peers of one node. `greet` is called once for each that comes, when its first connection opens."""

    def __init__(self, swarm: Any, greet: Callable[[PeerId], None]) -> None:
        self._swarm = swarm
        self._greet = greet
        self._introductions: dict[PeerId, Introduction] = {}
        self._speaking: dict[str, list[PeerId]] = {}  # as long as no introduction changes: asked every second
        self._dialled: dict[PeerId, str] = {}
        self._known: dict[
            PeerId, ID
        ] = {}  # with libp2p's name, which costs as much to decode as all else that is asked of a peer
        self._subscriptions: list[Subscription] = []
        self.on_gone: list[Callable[[PeerId], None]] = []
        self.on_fewer: list[Callable[[PeerId], None]] = []
        self.on_more: list[Callable[[PeerId], None]] = []

    # the notifee's face towards the swarm
    async def connected(self, network: Any, connection: Any) -> None:
        peer = peer_id(connection.muxed_conn.peer_id)
        if peer not in self._known:
            self._known[peer] = connection.muxed_conn.peer_id
            self._greet(peer)
        else:
            for callback in self.on_more:
                callback(peer)

    async def disconnected(self, network: Any, connection: Any) -> None:
        peer = peer_id(connection.muxed_conn.peer_id)
        if peer not in self._known:
            return
        if self.connections(peer):
            for callback in self.on_fewer:
                callback(peer)
            return
        self._known.pop(peer, None)
        self._dialled.pop(peer, None)
        self._speaking.clear()
        if self._introductions.pop(peer, None) is not None:
            self._tell(PeerEvent(peer, connected=False))
        for callback in self.on_gone:
            callback(peer)

    async def opened_stream(self, network: Any, stream: Any) -> None: ...
    async def closed_stream(self, network: Any, stream: Any) -> None: ...
    async def listen(self, network: Any, address: Any) -> None: ...
    async def listen_close(self, network: Any, address: Any) -> None: ...

    def introduced(self, peer: PeerId, introduction: Introduction) -> None:
        """Identify is done (or was given up): from now on the peer counts as connected."""
        if peer in self._known:
            self._introductions[peer] = introduction
            self._speaking.clear()
            self._tell(PeerEvent(peer, connected=True, protocols=introduction.protocols))

    def introduced_again(self, peer: PeerId, introduction: Introduction) -> bool:
        """It says where it is now; False if it never introduced itself, or went."""
        if peer in self._introductions:
            self._introductions[peer] = introduction
            self._speaking.clear()
        return peer in self._introductions

    def dialled(self, peer: PeerId, address: str) -> None:
        if peer in self._known:  # else it went away already, and would never be forgotten
            self._dialled[peer] = address

    def connections(self, peer: PeerId) -> list[Any]:
        """Live connections of libp2p, oldest first."""
        name = self._known.get(peer) or ID.from_base58(peer)
        return [one for one in self._swarm.get_connections(name) if not one.is_closed]

    def is_connected(self, peer: PeerId) -> bool:
        return peer in self._known and bool(self.connections(peer))

    def is_connected_directly(self, peer: PeerId) -> bool:
        """Whether a connection goes through no relay."""
        return any(not is_relayed(connection.muxed_conn) for connection in self.connections(peer))

    def speaking(self, protocol: str) -> list[PeerId]:
        """Introduced peers that named a protocol, sorted by id."""
        if protocol not in self._speaking:
            if len(self._speaking) >= MAX_ASKED:
                self._speaking.clear()
            speak = (peer for peer, said in self._introductions.items() if protocol in said.protocols)
            self._speaking[protocol] = sorted(speak)
        return list(self._speaking[protocol])

    def dialled_address(self, peer: PeerId) -> str:
        """The address by which we reached a peer, "" if it came to us."""
        return self._dialled.get(peer, "")

    def introduction(self, peer: PeerId) -> Introduction | None:
        return self._introductions.get(peer)

    def views(self) -> list[PeerView]:
        """Introduced peers, sorted by id."""
        return [self._view(peer) for peer in sorted(self._introductions) if self.connections(peer)]

    def ids(self) -> list[PeerId]:
        return sorted(self._known)

    def _view(self, peer: PeerId) -> PeerView:
        connection = min(self.connections(peer), key=lambda one: is_relayed(one.muxed_conn))
        introduction = self._introductions[peer]
        addresses = dict.fromkeys(
            ([self._dialled[peer]] if peer in self._dialled else []) + list(introduction.addresses)
        )
        direction: Direction = "inbound" if connection.direction.name == "INBOUND" else "outbound"
        rtt_s = connection.muxed_conn.rtt()
        return PeerView(
            peer,
            tuple(f"{address}/p2p/{peer}" for address in addresses),
            direction,
            introduction.agent,
            round(rtt_s * 1000, 2) if rtt_s > 0 else None,
            introduction.protocols,
            _way(connection.muxed_conn),
        )

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[PeerEvent]]:
        subscription = Subscription()
        for peer, introduction in self._introductions.items():
            subscription.put(PeerEvent(peer, connected=True, protocols=introduction.protocols))
        self._subscriptions.append(subscription)
        try:
            yield subscription.__aiter__()
        finally:
            self._subscriptions.remove(subscription)

    def _tell(self, event: PeerEvent) -> None:
        for subscription in self._subscriptions:
            subscription.put(event)


def _way(muxed: Any) -> Way:
    if is_relayed(muxed):
        return "relayed"
    return "punched" if muxed.punched else "direct"
