"""How the internet reaches this node, joined for `net.network`: mapping, dial-backs, changes of address, and what follows from them.

What follows: which public addresses are told to others; whether the DHT is served (not by a node of which it is known that nobody
reaches it); whether others are relayed (by a node that everybody reaches, unless its owner says no).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net.addresses import host_of, is_loopback, is_near, to_id
from p2pnode.net.dial import dial
from p2pnode.net.nat.asking import ASK_S, Asking
from p2pnode.net.nat.dialback import DialBacks
from p2pnode.net.nat.dialback_messages import PROTOCOL
from p2pnode.net.nat.families import VERSIONS, Families, Version, version_of
from p2pnode.net.nat.gateways import Gateway
from p2pnode.net.nat.mapping import PortMapping, find_firewall
from p2pnode.net.nat.seen import Seen
from p2pnode.net.nat.voices import Verdict
from p2pnode.net.nat.watch import Watch
from p2pnode.net.peers import Peers
from p2pnode.net.places import origin_of
from p2pnode.net.punch.rules import public_ip, punchable
from p2pnode.net.relay.circuit import host_of_connection, is_relayed
from p2pnode.ports import Stream

log = logging.getLogger("p2pnode.net")

SEEN_ADDRESSES = 2
"""Of those that peers see us at, the most often named and others of the same host: one liar adds no host."""
MAX_CANDIDATES = 6
"""Named to who dials us back; he tries four of them."""
TOLD_PUBLIC = 3
"""Public addresses told to others before our direct ones, so that these are among the first that peers keep too."""

CALL_S = 5.0
"""For calling a peer by the other kind of IP, to ask it."""
CALLED_LOOKS = 3
"""Whether it is still used, ASK_S apart; then it goes in any case."""

OpenOn = Callable[[PeerId, str, Sequence[Any]], Awaitable[Stream]]
ForEver = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the owner allows: ports of the router to be mapped, and others to be relayed once the internet reaches us."""

    map_ports: bool = False
    relay_when_public: bool = False


NO_WISHES = Wishes()


class Outside:
    """`direct` tells our listening addresses; `open_on` opens a stream on one of these connections."""

    def __init__(
        self,
        swarm: Any,
        peers: Peers,
        own: PeerId,
        *,
        direct: Callable[[], list[str]],
        open_on: OpenOn,
        wishes: Wishes,
    ) -> None:
        self._swarm = swarm
        self._peers = peers
        self._direct = direct
        self._open_on = open_on
        self.seen = Seen()
        """Where peers see us."""
        peers.on_gone.append(self.seen.forget)
        self.wishes = wishes
        self.on_changed: list[Callable[[], None]] = []
        """Our public addresses, or what is known of them, are others than before."""
        self.on_moved: list[Callable[[], None]] = []
        """This machine has other addresses than before."""
        self.mapping = PortMapping(self._port_to_map, self._mapping_changed)
        self.opening = PortMapping(self._port_to_open, self._mapping_changed, self._find_firewall)
        """Of the firewall that routers are for IPv6."""
        self.asking = Families(partial(self._asking, own))
        self.dial_backs = DialBacks(self._dial_back)
        self._watch = Watch(swarm, self._moved)
        self._said: Verdict = "unknown"
        self._nursery: trio.Nursery | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether the internet reaches us, as far as peers tell."""
        return self.asking.verdict

    def start(self, nursery: trio.Nursery, for_ever: ForEver) -> None:
        """What goes on in the background."""
        self._nursery = nursery
        for asking in self.asking.of.values():
            nursery.start_soon(for_ever, asking.run)
        nursery.start_soon(for_ever, self._watch.run)
        if self.wishes.map_ports:
            nursery.start_soon(for_ever, self.mapping.run)
            nursery.start_soon(for_ever, self.opening.run)

    def with_public(self, direct: list[str]) -> list[str]:
        """Our direct addresses behind the public ones where we are reached, or, as long as nobody said, might be."""
        public = self.asking.addresses
        if self.asking.of[4].verdict == "unknown":
            public += self._mapped()
        return list(dict.fromkeys([*public[:TOLD_PUBLIC], *direct]))

    def candidates(self, version: Version) -> list[str]:
        """Where the internet might reach us: our own public addresses, what the router forwards, and where others see us."""
        direct = [address for address in self._direct() if address.startswith(f"/ip{version}/")]
        own = [address for address in direct if public_ip(address) is not None]
        ports = {address.split("/")[4] for address in direct if not is_loopback(address)}
        seen = [address for address in self.seen.addresses() if address.startswith(f"/ip{version}/")]
        seen = [address for address in seen if host_of(address) == host_of(seen[0])][:SEEN_ADDRESSES]
        # a port that the owner forwards by hand is mostly the same outside as inside
        by_hand = ["/".join([*address.split("/")[:4], port]) for address in seen[:1] for port in sorted(ports)]
        mapped = self._mapped() if version == 4 else []
        return list(dict.fromkeys([*own, *mapped, *seen, *by_hand]))[:MAX_CANDIDATES]

    def heard(self, peer: PeerId, observed: str) -> None:
        """A directly connected peer sees us at this address."""
        connections = [one for version in VERSIONS for one in self._connections(peer, version)]
        host = host_of_connection(connections[-1].muxed_conn) if connections else ""
        self.seen.told(peer, observed, origin_of(host).range if host else "")

    def _mapped(self) -> list[str]:
        return [address for address in self.mapping.addresses if public_ip(address) is not None]

    def _asking(self, own: PeerId, version: Version, turn: trio.Lock) -> Asking:
        hosts, candidates = partial(self._hosts, version), partial(self.candidates, version)
        return Asking(own, hosts, candidates, partial(self._open, version), self._tell_changed, self._has_come, turn)

    def _hosts(self, version: Version) -> dict[PeerId, str]:
        """Directly connected peers that dial back who asks, and the IP address of each: where it is connected, or could be called."""
        found: dict[PeerId, str] = {}
        for peer in self._peers.speaking(PROTOCOL):
            connected = [host_of_connection(one.muxed_conn) for one in self._connections(peer, version)]
            told = [host_of(address) for address in self._told(peer, version)]
            if (connected or told) and self._peers.is_connected_directly(peer):
                found[peer] = (connected or told)[0]
        return found

    def _connections(self, peer: PeerId, version: Version) -> list[Any]:
        """Direct ones by this kind of IP."""
        return [
            one
            for one in self._peers.connections(peer)
            if not is_relayed(one.muxed_conn)
            and (host := host_of_connection(one.muxed_conn))
            and version_of(host) == version
        ]

    def _told(self, peer: PeerId, version: Version) -> list[str]:
        """Where a peer says that it can be called by this kind of IP."""
        introduction = self._peers.introduction(peer)
        told = punchable(introduction.addresses) if introduction else []
        return [address for address in told if address.startswith(f"/ip{version}/")]

    async def _open(self, version: Version, peer: PeerId, protocol: str) -> Stream:
        """A stream by this kind of IP. Who is connected by the other one only is called for it, and that connection goes again."""
        if connections := self._connections(peer, version):
            return await self._open_on(peer, protocol, connections)
        await dial(self._swarm, to_id(peer), self._told(peer, version), timeout_s=CALL_S)
        connections = self._connections(peer, version)
        if not connections:
            raise NetworkError("it hung up")
        if self._nursery is not None:
            self._nursery.start_soon(self._let_go, peer, connections[-1])
        return await self._open_on(peer, protocol, connections)

    async def _let_go(self, peer: PeerId, connection: Any) -> None:
        """When nothing runs on it any more, or after a while, and there is another one."""
        await trio.sleep(ASK_S)
        for _ in range(CALLED_LOOKS):
            if not connection.muxed_conn.streams or connection.is_closed:
                break
            await trio.sleep(ASK_S)
        if not connection.is_closed and len(self._peers.connections(peer)) > 1:
            with suppress(Exception):  # the layers of libp2p have many
                await connection.close()

    def _has_come(self, origin: str, since: float) -> bool:
        """Whether a connection came from that range of addresses."""
        return any(one == origin and at >= since for one, at in list(getattr(self._swarm, "_came", ())))

    def _port_to_map(self) -> int | None:
        """Of the first address in a local network that we listen at; None: all of ours are public, or nobody else's."""
        near = [address for address in self._direct() if address.startswith("/ip4/") and is_near(address)]
        return next((int(address.split("/")[4]) for address in near if not is_loopback(address)), None)

    def _public6(self) -> list[str]:
        return [address for address in self._direct() if address.startswith("/ip6/") and public_ip(address) is not None]

    def _port_to_open(self) -> int | None:
        """Of our first public address of IPv6."""
        return next((int(address.split("/")[4]) for address in self._public6()), None)

    async def _find_firewall(self, port: int) -> Gateway:
        return await find_firewall(host_of(self._public6()[0]), port)

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
        self.opening.moved()
        self.asking.moved()
        for callback in [*self.on_moved, *self.on_changed]:
            callback()


_IN_WORDS: dict[Verdict, str] = {
    "unknown": "whether the internet reaches this node is not known any more",
    "public": "the internet reaches this node",
    "private": "the internet does not reach this node",
}
