"""How the internet reaches this node, joined for `net.network`: mapping, dial-backs, changes of address, and what follows from them.

What follows: which public addresses are told to others; whether the DHT is served (not by a node of which it is known that nobody
reaches it); whether others are relayed (by a node that everybody reaches, unless its owner says no).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.net.addresses import host_of, is_loopback, is_near, to_id
from p2pnode.net.nat.asking import Asking, OpenStream
from p2pnode.net.nat.dialback import DialBacks
from p2pnode.net.nat.dialback_messages import PROTOCOL
from p2pnode.net.nat.mapping import PortMapping
from p2pnode.net.nat.voices import Verdict
from p2pnode.net.nat.watch import Watch
from p2pnode.net.peers import Peers
from p2pnode.net.punch.rules import public_ip
from p2pnode.net.relay.circuit import host_of_connection, is_relayed

log = logging.getLogger("p2pnode.net")

SEEN_ADDRESSES = 2
"""Of those that peers see us at, the most often named and others of the same host: one liar adds no host."""
MAX_CANDIDATES = 6
"""Named to who dials us back; he tries four of them."""
TOLD_PUBLIC = 3
"""Public addresses told to others before our direct ones, so that these are among the first that peers keep too."""

ForEver = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the owner allows: ports of the router to be mapped, and others to be relayed once the internet reaches us."""

    map_ports: bool = False
    relay_when_public: bool = False


NO_WISHES = Wishes()


class Outside:
    """`direct` tells our listening addresses, `seen` those that peers see us at; `open_stream` opens one on a connection that is there."""

    def __init__(
        self,
        swarm: Any,
        peers: Peers,
        own: PeerId,
        *,
        direct: Callable[[], list[str]],
        seen: Callable[[], list[str]],
        open_stream: OpenStream,
        wishes: Wishes,
    ) -> None:
        self._swarm = swarm
        self._peers = peers
        self._direct = direct
        self._seen = seen
        self.wishes = wishes
        self.on_changed: list[Callable[[], None]] = []
        """Our public addresses, or what is known of them, are others than before."""
        self.on_moved: list[Callable[[], None]] = []
        """This machine has other addresses than before."""
        self.mapping = PortMapping(self._port_to_map, self._mapping_changed)
        self.asking = Asking(own, self._hosts, self.candidates, open_stream, self._tell_changed, self._has_come)
        self.dial_backs = DialBacks(self._dial_back)
        self._watch = Watch(swarm, self._moved)
        self._said: Verdict = "unknown"

    @property
    def verdict(self) -> Verdict:
        """Whether the internet reaches us, as far as peers tell."""
        return self.asking.verdict

    def start(self, nursery: trio.Nursery, for_ever: ForEver) -> None:
        """What goes on in the background."""
        nursery.start_soon(for_ever, self.asking.run)
        nursery.start_soon(for_ever, self._watch.run)
        if self.wishes.map_ports:
            nursery.start_soon(for_ever, self.mapping.run)

    def with_public(self, direct: list[str]) -> list[str]:
        """Our direct addresses behind the public ones where we are reached, or, as long as nobody said, might be."""
        public = self.asking.addresses
        if self.verdict == "unknown":
            public = self._mapped()
        return list(dict.fromkeys([*public[:TOLD_PUBLIC], *direct]))

    def candidates(self) -> list[str]:
        """Where the internet might reach us: our own public addresses, what the router forwards, and where others see us."""
        own = [address for address in self._direct() if public_ip(address) is not None]
        ports = {address.split("/")[4] for address in self._direct() if not is_loopback(address)}
        seen = [address for address in self._seen() if public_ip(address) is not None]
        seen = [address for address in seen if host_of(address) == host_of(seen[0])][:SEEN_ADDRESSES]
        # a port that the owner forwards by hand is mostly the same outside as inside
        by_hand = ["/".join([*address.split("/")[:4], port]) for address in seen[:1] for port in sorted(ports)]
        return list(dict.fromkeys([*own, *self._mapped(), *seen, *by_hand]))[:MAX_CANDIDATES]

    def _mapped(self) -> list[str]:
        return [address for address in self.mapping.addresses if public_ip(address) is not None]

    def _hosts(self) -> dict[PeerId, str]:
        """Directly connected peers that dial back who asks, and the IP address of each."""
        found: dict[PeerId, str] = {}
        for peer in self._peers.speaking(PROTOCOL):
            for connection in self._peers.connections(peer):
                if not is_relayed(connection.muxed_conn) and (host := host_of_connection(connection.muxed_conn)):
                    found[peer] = host
        return found

    def _has_come(self, origin: str, since: float) -> bool:
        """Whether a connection came from that range of addresses."""
        return any(one == origin and at >= since for one, at in list(getattr(self._swarm, "_came", ())))

    def _port_to_map(self) -> int | None:
        """Of the first address in a local network that we listen at; None: all of ours are public, or nobody else's."""
        near = [address for address in self._direct() if address.startswith("/ip4/") and is_near(address)]
        return next((int(address.split("/")[4]) for address in near if not is_loopback(address)), None)

    @property
    def port(self) -> int:
        """What a router would have to forward; 0: we listen on this machine only."""
        others = (int(one.split("/")[4]) for one in self._direct() if not is_loopback(one))
        return self._port_to_map() or next(others, 0)

    async def _dial_back(self, peer: PeerId, address: str) -> None:
        """A connection of its own, that ends when the peer has proved itself. Raises anything."""
        where = Multiaddr(address)
        raw = await self._swarm.transport_manager.transport_for_dialing(where).dial(where)
        try:
            await self._swarm.upgrader.upgrade_security(raw, True, to_id(peer))
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                await raw.close()

    def _mapping_changed(self) -> None:
        self.asking.moved()
        self._tell_changed()

    def _tell_changed(self) -> None:
        if self.verdict != self._said:
            self._said = self.verdict
            log.info("%s (%d say so)", _IN_WORDS[self.verdict], self.asking.voices)
        for callback in self.on_changed:
            callback()

    async def _moved(self) -> None:
        self.mapping.moved()
        self.asking.moved()
        for callback in [*self.on_moved, *self.on_changed]:
            callback()


_IN_WORDS: dict[Verdict, str] = {
    "unknown": "whether the internet reaches this node is not known any more",
    "public": "the internet reaches this node",
    "private": "the internet does not reach this node",
}
