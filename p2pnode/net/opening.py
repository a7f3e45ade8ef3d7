"""Opening the network of a node: host, listening, bans and traffic put together, and closed again in order.

Called by the daemon and by tests. What an open network can do stands in `net.network`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from p2pnode.net.addresses import check_address, peer_id, split_address
from p2pnode.net.bans import Bans
from p2pnode.net.beside import counted_by
from p2pnode.net.host import build_host, close_host, listen_on, run_host
from p2pnode.net.nat.outside import NO_WISHES, Wishes
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.relay.places import RelayLimits
from p2pnode.net.traffic import Traffic
from p2pnode.ports import AddressBook, ProviderRecords, WallClock


@asynccontextmanager
async def open_network(
    *,
    host_key: bytes,
    listen: Sequence[str],
    network_name: str,
    bootstrap: Sequence[str],
    lan: bool,
    address_book: AddressBook,
    providers: ProviderRecords,
    clock: WallClock,
    relay_limits: RelayLimits | None = None,
    relays: Sequence[str] = (),
    ipfs: bool = False,
    wishes: Wishes = NO_WISHES,
) -> AsyncIterator[Libp2pNetwork]:
    """A running network: listening, in the DHT, on the LAN, dialling `bootstrap` and old acquaintances in the background.

    `host_key` is a 32-byte Ed25519 seed, `listen` multiaddrs without /p2p (port 0: any), `bootstrap` and `relays` multiaddrs with it.
    With `relay_limits` it relays for others within them; at `relays` it asks for a place itself; with `ipfs` it is a client of
    IPFS's DHT too. `wishes`: what it may do by itself to be reached, and for others once it is.
    UsageError for malformed addresses, NetworkError if an address cannot be listened on. Leaving closes everything within
    about two seconds.
    """
    for address in listen:
        check_address(address)
    known = [split_address(address) for address in [*bootstrap, *relays]]
    traffic = Traffic()
    host = build_host(host_key, traffic)
    bans = Bans()
    failure: Exception | None = None  # raised last, so that no nursery wraps it into a group
    closing = trio.Event()

    def admit(peer: Any) -> bool:
        return not closing.is_set() and not bans.is_banned(peer_id(peer), clock())

    async with run_host(host, admit), trio.open_nursery() as nursery:
        network = Libp2pNetwork(
            host,
            nursery,
            network_name,
            address_book,
            providers,
            clock,
            bans,
            relay_limits,
            known[len(bootstrap) :],
            wishes,
        )
        network.meter = traffic
        counted_by(traffic)
        nursery.start_soon(traffic.run)
        try:
            failure = await listen_on(host, listen)
            if failure is None:
                others = [(peer, address) for peer, address in known if peer != network.peer_id]
                if ipfs:
                    network.join_ipfs()
                network.start(others, network_name if lan else None)
                yield network
        except Exception as error:
            failure = error
        finally:
            closing.set()  # a dial that succeeds now would be forgotten
            with trio.CancelScope(shield=True):
                await close_host(host)
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
