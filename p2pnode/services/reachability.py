"""How others get to this node, in words: what it is, what would help, and an event when that changes.

Knows what the network tells (`Network.reach`); decides nothing there. When our addresses stay changed, what we provide is told to the DHT
anew, since records there carry addresses. Called by `services.node` and the method `node.status`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

import trio

from p2pnode.ports import Emit, Json, Network, PeerView, Reachability

STEADY_S = 60.0
"""Addresses that hold so long are told to the DHT: a router that comes and goes must not make a node tell all the time."""
TELL_AGAIN_S = 1800.0
"""Least time between two rounds of telling everything again because of that."""
SETTLE_S = 0.5
"""Changes that come together are one event."""

ASK_NOW_S = 30.0
"""For peers to dial back when a person asks: each has 20 s."""

State = Literal["reachable", "relayed", "outgoing", "alone", "unknown"]
"""Everybody reaches us; others do through a third node; nobody does, but we reach others; nobody is there; nobody could tell yet."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`words` say what is so, `hint` what would help, "" where nothing needs to."""

    state: State
    words: str
    hint: str = ""


def stand(reach: Reachability, peers: Sequence[PeerView], *, lan: bool, maps_ports: bool = True) -> Standing:
    """What a person wants to know: does anybody get to me, and if not, what can I do?"""
    if not peers:
        where = "on the local network and at known addresses" if lan else "at known addresses"
        return Standing(
            "alone",
            f"no peers yet; looking {where}",
            "connect to somebody you know: p2pnode peers connect MULTIADDR, or join a circle with an invite",
        )
    connected = f"connected to {len(peers)}"
    if reach.verdict == "public":
        return _reached(reach, connected)
    help_ = _what_helps(reach, maps_ports=maps_ports)
    if reach.relays:
        return Standing("relayed", f"{connected}; reachable through a relay", f"directly is faster: {help_}")
    if reach.verdict == "private":
        friend = "or connect to a reachable friend's node, which then relays"
        return Standing(
            "outgoing", f"{connected}; only outgoing: nobody outside reaches this node", f"{help_}; {friend}"
        )
    came = sum(peer.direction == "inbound" and peer.way == "direct" for peer in peers)
    if came:
        return Standing("unknown", f"{connected}; {came} of them reached this node by themselves")
    return Standing("unknown", f"{connected}; nobody has reached this node by himself yet")


def _reached(reach: Reachability, connected: str) -> Standing:
    by = f" by {' and '.join(reach.reached_by)}" if reach.reached_by else ""
    if by != " by IPv6":
        return Standing("reachable", f"{connected}; the internet reaches this node{by}")
    others = "who has only IPv4 comes through a relay" if reach.relays else "nobody comes who has only IPv4"
    return Standing("reachable", f"{connected}; the internet reaches this node{by} alone, and {others}")


def _what_helps(reach: Reachability, *, maps_ports: bool) -> str:
    if not reach.port:
        return 'listen on more than this machine: listen = ["/ip4/0.0.0.0/tcp/4001"] in config.toml'
    forward = f"forward TCP port {reach.port} of the router to this machine"
    if not reach.mapped:
        return forward if maps_ports else f"{forward}, or let the node ask the router: map_ports = true in config.toml"
    outside = reach.mapped.split("/")[2]
    if not ip_address(outside).is_global:
        return (
            f"the router's own address ({outside}) is not public, another router stands before it: forward TCP port "
            f"{reach.port} there too, or ask the provider for a public address"
        )
    return f"the router forwards {reach.mapped}, yet nobody gets through: look for a firewall, there or on this machine"


def as_json(reach: Reachability, standing: Standing) -> Json:
    """As the control socket carries it."""
    relay = {"on": reach.is_relay, "places": reach.places, "circuits": reach.circuits, "bytes": reach.relayed_bytes}
    return {
        "state": standing.state,
        "hint": standing.hint,
        "verdict": reach.verdict,
        "voices": reach.voices,
        "public": list(reach.public),
        "reached_by": list(reach.reached_by),
        "mapped": reach.mapped,
        "opened": reach.opened,
        "mapped_by": reach.mapped_by,
        "port": reach.port,
        "relays": list(reach.relays),
        "dht": "server" if reach.dht_server else "client",
        "relay": relay,
    }


class ReachabilityWatch:
    """One a node. `tell_again` makes everything provided be told to the DHT anew."""

    def __init__(
        self, network: Network, emit: Emit, tell_again: Callable[[], None], *, lan: bool, maps_ports: bool
    ) -> None:
        self._network, self._emit, self._tell_again = network, emit, tell_again
        self._lan, self._maps_ports = lan, maps_ports
        self._changed = trio.Event()

    def now(self) -> tuple[Reachability, Standing]:
        """What is known at this moment."""
        reach = self._network.reach()
        return reach, stand(reach, self._network.peers(), lan=self._lan, maps_ports=self._maps_ports)

    async def ask_now(self) -> int:
        """Have peers dial back anew, so that `now` is true now. How many were asked: nobody within a minute of the last time."""
        with trio.move_on_after(ASK_NOW_S):
            return await self._network.ask_outside()
        return 0

    async def run(self) -> None:
        """Tell what changes; for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_addresses)
            nursery.start_soon(self._follow_peers)
            last = ""
            while True:
                self._changed = trio.Event()
                _, standing = self.now()
                if standing.state != last:
                    last = standing.state
                    self._emit(
                        "reach.changed", {"state": standing.state, "words": standing.words, "hint": standing.hint}
                    )
                await self._changed.wait()
                await trio.sleep(SETTLE_S)

    async def _follow_peers(self) -> None:
        async with self._network.peer_events() as events:
            async for _ in events:
                self._changed.set()

    async def _tell_addresses(self) -> None:
        told = self._far_addresses()
        while True:
            await self._network.reach_changed()
            self._changed.set()
            while True:
                with trio.move_on_after(STEADY_S) as steady:
                    await self._network.reach_changed()
                    self._changed.set()
                if steady.cancelled_caught:
                    break
            now = self._far_addresses()
            if now and not now & told:  # nothing that others were told leads here any more
                told = now
                self._tell_again()
                await trio.sleep(TELL_AGAIN_S)

    def _far_addresses(self) -> frozenset[str]:
        """Those of our addresses that mean us everywhere."""
        return frozenset(address for address in self._network.addresses() if is_far(address))


def is_far(address: str) -> bool:
    """Whether an address leads to the same node from everywhere: public ones, and those through a relay that is public."""
    try:
        return ip_address(address.split("/")[2]).is_global
    except (ValueError, IndexError):
        return False
