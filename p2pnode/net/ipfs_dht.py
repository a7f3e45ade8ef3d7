"""A second DHT client, for IPFS's own DHTs: the public one and the one that IPFS nodes form in a local network.

A client only: it asks and tells, answers nobody and is in nobody's routing table. Same code as our own DHT (net.dht), other protocol and
keys. Peers that were dialled for a look-up alone are let go soon, so that strangers do not fill our connections. Made by net.network
when the setting `ipfs` is on; services see it as ports.ContentRouting.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, UsageError
from p2pnode.net.addresses import is_near
from p2pnode.net.dht import Dht
from p2pnode.net.kad.wire import MAX_KEY_BYTES, Contact
from p2pnode.ports import AddressBook, Stream, WallClock

log = logging.getLogger("p2pnode.net")

WAN_PROTOCOL, LAN_PROTOCOL = "/ipfs/kad/1.0.0", "/ipfs/lan/kad/1.0.0"
"""IPFS's DHT of the world, and the one of a local network (go-libp2p keeps private addresses out of the first)."""
PROTOCOLS = (WAN_PROTOCOL, LAN_PROTOCOL)
IDLE_S = 60.0
"""Seconds after the last use of a connection that was made for a look-up."""
TIDY_S = 20.0
MAX_DIALLED = 1000
"""Peers remembered as dialled for look-ups; a look-up asks sixty at most."""

OpenAt = Callable[[str, Contact], Awaitable[Stream]]


class IpfsDht:
    """`open_stream` takes protocol and contact; `own` tells our own contact."""

    def __init__(
        self,
        own: Callable[[], Contact],
        open_stream: OpenAt,
        is_connected: Callable[[PeerId], bool],
        disconnect: Callable[[PeerId], Awaitable[None]],
        book: AddressBook,
        clock: WallClock,
    ) -> None:
        self._open, self._is_connected, self._disconnect = open_stream, is_connected, disconnect
        self._dialled: dict[PeerId, float] = {}
        self.dhts = {
            protocol: Dht(own, partial(self._dial, protocol), is_connected, book, NoRecords(), clock, _multihash)
            for protocol in PROTOCOLS
        }

    def met(self, peer: PeerId, protocols: Sequence[str], addresses: tuple[str, ...]) -> None:
        """A peer is connected; perhaps it serves a DHT of IPFS."""
        for protocol, dht in self.dhts.items():
            if protocol in protocols:
                dht.met(Contact(peer, addresses))

    def used(self, peer: PeerId) -> None:
        """Somebody opened a stream to it: its connection is wanted for more than a look-up."""
        if peer in self._dialled:
            self._dialled[peer] = trio.current_time()

    async def provide(self, multihash: bytes) -> int:
        """ports.ContentRouting: how many nodes hold the record now, of both DHTs."""
        _multihash(multihash)
        told: list[int] = []

        async def tell(dht: Dht) -> None:
            told.append(await dht.provide(multihash))

        async with trio.open_nursery() as nursery:
            for dht in self._with_servers():
                nursery.start_soon(tell, dht)
        return sum(told)

    async def find_providers(self, multihash: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        """ports.ContentRouting: of both DHTs, each once."""
        _multihash(multihash)
        found: dict[PeerId, None] = {}

        async def ask(dht: Dht) -> None:
            for peer in await dht.find_providers(multihash, limit=limit, timeout_s=timeout_s):
                found[peer] = None

        async with trio.open_nursery() as nursery:
            for dht in self._with_servers():
                nursery.start_soon(ask, dht)
        return list(found)[:limit]

    def _with_servers(self) -> list[Dht]:
        return [dht for dht in self.dhts.values() if len(dht.table)]

    async def run(self) -> None:
        """Keep both routing tables alive and let strangers go; for ever."""
        async with trio.open_nursery() as nursery:
            for dht in self.dhts.values():
                nursery.start_soon(dht.run)
            nursery.start_soon(self._let_go)

    async def _dial(self, protocol: str, contact: Contact) -> Stream:
        connected = self._is_connected(contact.peer)
        addresses = _credible(contact.addresses)
        if not connected and not addresses:
            raise NetworkError(f"{contact.peer} has no address that we could dial")
        stream = await self._open(protocol, Contact(contact.peer, addresses))
        if not connected or contact.peer in self._dialled:
            self._dialled.pop(contact.peer, None)
            self._dialled[contact.peer] = trio.current_time()
        return stream

    async def _let_go(self) -> None:
        while True:
            await trio.sleep(TIDY_S)
            horizon = trio.current_time() - IDLE_S
            idle = [peer for peer, used in self._dialled.items() if used < horizon]
            for peer in [*idle, *list(self._dialled)[: max(0, len(self._dialled) - MAX_DIALLED)]]:
                self._dialled.pop(peer, None)
                await self._disconnect(peer)


class NoRecords:
    """ports.ProviderRecords of a client: it answers nobody, so it keeps nothing for others."""

    async def add(self, key: bytes, peer: PeerId, addresses: Sequence[str], now: float) -> bool:
        return False

    async def get(self, key: bytes, now: float) -> list[tuple[PeerId, list[str]]]:
        return []


def _credible(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """A stranger's private addresses lead into our own network, so they are tried only where there are no others."""
    public = tuple(address for address in addresses if not is_near(address))
    return public or addresses


def _multihash(key: bytes) -> bytes:
    """A key as it is. UsageError if the wire does not take it."""
    if not 0 < len(key) <= MAX_KEY_BYTES:
        raise UsageError(f"a DHT key has 1 to {MAX_KEY_BYTES} bytes, not {len(key)}")
    return key
