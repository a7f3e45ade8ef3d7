"""What a node does for others and whom it leans on, as it is reached or not: DHT server or client, relay or guest of relays.

Told by `outside` when something is known anew. A node of which nothing is known serves the DHT, as in a network of one house, and
relays for nobody; its owner can make it a relay in any case (`relay_serve`). Made by `net.network`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from p2pnode.net.dht import Dht
from p2pnode.net.nat.outside import Outside
from p2pnode.net.relay.places import RelayLimits
from p2pnode.net.relay.relaying import Relaying
from p2pnode.ports import Reachability

log = logging.getLogger("p2pnode.net")

DHT_STREAMS_PER_PEER = 8
"""A lookup keeps one or two streams to a peer; the rest is room for parallel lookups."""
RELAYS_WANTED_S = 60.0
"""Between two walks through the DHT of a node that nobody reaches and that found no relay: servers there are reachable, and most relay."""


class Standing:
    """One node's. `serve` and `unserve` are those of `ports.Network`."""

    def __init__(
        self,
        outside: Outside,
        relaying: Relaying,
        dht: Dht,
        kad_protocol: str,
        serve: Callable[..., None],
        unserve: Callable[[str], None],
    ) -> None:
        self._outside, self._relaying, self._dht = outside, relaying, dht
        self._kad_protocol = kad_protocol
        self._serve, self._unserve = serve, unserve
        self._always = relaying.limits
        self._may_relay = True
        self._changed = trio.Event()
        self._serves_dht = False
        relaying.on_changed.append(self._tell)
        self.settle()

    def settle(self) -> None:
        """Do what follows from what is known now."""
        verdict, without_relays = self._outside.verdict, self._outside.asking.without_relays
        if self._serves_dht is (verdict == "private"):
            self._serve_dht(verdict != "private")
        if without_relays == "public":
            self._relaying.let_go()
        if self._may_relay and self._always is None and self._outside.wishes.relay_when_public:
            if without_relays == "public" and self._relaying.hop is None:
                log.info("others are relayed from now on: the internet reaches this node")
                self._relaying.offer(self._serve, RelayLimits())
            elif without_relays == "private" and self._relaying.hop is not None:
                # Who needs a place himself has none to give.
                log.info("others are not relayed any more: not everybody on the internet reaches this node")
                self._relaying.withdraw(self._unserve)
        self._tell()

    def relay_for_others(self, allowed: bool) -> None:
        """See `ports.Network`."""
        self._may_relay = allowed
        if not allowed and self._relaying.hop is not None:
            log.info("others are not relayed any more: this machine may not")
            self._relaying.withdraw(self._unserve)
        elif allowed and self._always is not None:
            self._relaying.offer(self._serve, self._always)
        self.settle()

    def _serve_dht(self, serves: bool) -> None:
        self._serves_dht = serves
        if serves:
            self._serve(self._kad_protocol, self._dht.server.serve, streams_per_peer=DHT_STREAMS_PER_PEER)
        else:
            self._unserve(self._kad_protocol)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def changed(self) -> None:
        """Return at the next change."""
        await self._changed.wait()

    async def look_for_relays(self) -> None:
        """For ever."""
        while True:
            await trio.sleep(RELAYS_WANTED_S)
            if self._outside.verdict == "private" and not self._relaying.relays:
                await self._dht.walk()

    def reach(self) -> Reachability:
        """See `ports.Network`."""
        asking, mapping, hop = self._outside.asking, self._outside.mapping, self._relaying.hop
        return Reachability(
            verdict=asking.verdict,
            voices=asking.voices,
            public=tuple(asking.addresses),
            reached_by=asking.reached_by,
            mapped="".join(mapping.addresses),
            mapped_by=mapping.kind,
            opened="".join(self._outside.opening.addresses),
            port=self._outside.port,
            relays=tuple(self._relaying.relays),
            dht_server=self._serves_dht,
            is_relay=hop is not None,
            places=hop.places if hop is not None else 0,
            circuits=hop.circuits if hop is not None else 0,
            relayed_bytes=self._relaying.relayed_bytes,
        )
