"""Everything that one node has to do with relays, joined for `net.network`: serving as one, holding places, calling through others.

A node asks for places at the relays that its settings name, and, as long as nobody from the open internet reached it by himself,
at connected peers that serve as relays. A relay holds no places itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from libp2p.peer.id import ID

from p2pnode.core.ids import PeerId
from p2pnode.net.addresses import MAX_PEER_ADDRESSES, is_near_ip
from p2pnode.net.nat.voices import Verdict
from p2pnode.net.peers import Peers
from p2pnode.net.relay.circuit import host_of_connection, is_relayed
from p2pnode.net.relay.client import RelayClient
from p2pnode.net.relay.hop import Hop
from p2pnode.net.relay.messages import HOP_PROTOCOL, STOP_PROTOCOL
from p2pnode.net.relay.places import RelayLimits
from p2pnode.net.relay.reservations import Reservations
from p2pnode.net.relay.stop import CALLS_PER_RELAY, Stop
from p2pnode.ports import Stream, WallClock

HOP_STREAMS_PER_PEER = 10
"""Circuits that one peer opens, a request beside them, and one that just ended."""

OpenDirect = Callable[[PeerId, str, str], Awaitable[Stream]]
"""A stream of a protocol on a direct connection; the address, "" for none, is dialled if there is no such connection."""


class Relaying:
    """One node's relaying. `limits` None: it serves nobody. `relays` are those that the settings name, with where they are."""

    def __init__(
        self,
        swarm: Any,
        peers: Peers,
        own: PeerId,
        open_direct: OpenDirect,
        direct_addresses: Callable[[], Sequence[str]],
        clock: WallClock,
        *,
        limits: RelayLimits | None = None,
        relays: Sequence[tuple[PeerId, str]] = (),
        verdict: Callable[[], Verdict] = lambda: "unknown",
    ) -> None:
        self._verdict = verdict
        self._open_direct, self._direct_addresses, self._clock = open_direct, direct_addresses, clock
        self.relayed_bytes = 0
        """Carried for others since the start, both ways."""
        self._swarm = swarm
        self._peers = peers
        self._relays = [(peer, address) for peer, address in relays if peer != own]
        self._was_reached = False
        self._client = RelayClient(swarm, own, lambda relay, address: open_direct(relay, HOP_PROTOCOL, address))
        self.on_changed: list[Callable[[], None]] = []
        self._reservations = Reservations(self._candidates, self._client.reserve, self._tell_changed, clock)
        self._stop = Stop(swarm, self._expects)
        self.limits = limits
        """Those of a relay that is one in any case; None: only where it is useful."""
        self.hop: Hop | None = None
        if limits is not None:
            self.hop = self._new_hop(limits)
        peers.on_gone += [self._reservations.gone, self._gone]

    def _new_hop(self, limits: RelayLimits) -> Hop:
        open_direct = self._open_direct
        return Hop(
            limits,
            lambda peer, protocol: open_direct(peer, protocol, ""),
            self._direct_addresses,
            self._clock,
            self._carried,
        )

    def _carried(self, count: int) -> None:
        self.relayed_bytes += count

    def _gone(self, peer: PeerId) -> None:
        if self.hop is not None:
            self.hop.gone(peer)

    def offer(self, serve: Callable[..., None], limits: RelayLimits) -> None:
        """Be a relay from now on. `serve` is that of `ports.Network`."""
        if self.hop is None:
            self.hop = self._new_hop(limits)
            self.serve(serve)

    def withdraw(self, unserve: Callable[[str], None]) -> None:
        """Be none any more; circuits that are open go on to their limits."""
        self.hop = None
        unserve(HOP_PROTOCOL)

    def let_go(self) -> None:
        """We are reached without relays: places are kept only where the settings want them."""
        self._reservations.let_go(frozenset(relay for relay, _ in self._relays))

    def moved(self) -> None:
        """We are somewhere else: what refused us there may not here."""
        self._was_reached = False
        self._reservations.hurry()

    def serve(self, serve: Callable[..., None]) -> None:
        """Answer the protocols of relays. `serve` is that of `ports.Network`."""
        serve(STOP_PROTOCOL, self._stop.serve, streams_per_peer=CALLS_PER_RELAY)
        if self.hop is not None:
            serve(HOP_PROTOCOL, self.hop.serve, streams_per_peer=HOP_STREAMS_PER_PEER)

    def with_circuits(self, direct: list[str]) -> list[str]:
        """Our direct addresses, so many that those through relays are among the first MAX_PEER_ADDRESSES, then these."""
        circuits = self._reservations.addresses
        return [*direct[: MAX_PEER_ADDRESSES - len(circuits)], *circuits] if circuits else direct

    @property
    def relays(self) -> list[PeerId]:
        """Where we hold a place."""
        return self._reservations.relays

    def is_of_use(self, peer: PeerId) -> bool:
        """Whether a peer relays for us or we for it: their connection is what the place stands on."""
        return peer in self._reservations.relays or (self.hop is not None and self.hop.reserved(peer))

    async def run(self) -> None:
        """Keep our places; for ever."""
        await self._reservations.run()

    async def connect(self, target: ID, address: str) -> None:
        """Call a peer by a circuit address. NetworkError says why it does not work."""
        await self._client.connect(target, address)

    def _tell_changed(self) -> None:
        for callback in self.on_changed:
            callback()

    def _expects(self, relay: PeerId) -> bool:
        return relay in self._reservations.relays

    def _candidates(self) -> list[tuple[PeerId, str]]:
        if self.hop is not None:
            return []
        found = list(self._relays)
        if not self._reached():
            found += [(peer, self._peers.dialled_address(peer)) for peer in self._peers.speaking(HOP_PROTOCOL)]
        # who is not connected is dialled by `net.keep`, which is told the relays of the settings
        return [(peer, address) for peer, address in found if self._peers.is_connected_directly(peer)]

    def _reached(self) -> bool:
        """Whether the internet reaches us: peers tell, and before they do, whether anybody from there came to us directly."""
        if (verdict := self._verdict()) != "unknown":
            return verdict == "public"
        self._was_reached = self._was_reached or any(
            connection.direction.name == "INBOUND"
            and not is_relayed(connection.muxed_conn)
            and not connection.muxed_conn.punched
            and (host := host_of_connection(connection.muxed_conn))
            and not is_near_ip(host)
            for connection in self._swarm.get_connections()
        )
        return self._was_reached
