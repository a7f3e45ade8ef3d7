"""Reaching a peer: by the addresses at hand, then by address book, then by asking the DHT; one attempt per peer at a time.

Called by `net.network` for everything that wants a connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError
from p2pnode.net.addresses import to_id, usable
from p2pnode.net.dial import Through, dial
from p2pnode.net.peers import Peers
from p2pnode.ports import AddressBook

ASK_DHT_S = 5.0
"""For a lookup of somebody's addresses: what a person waits for before "cannot be reached"."""


class Reach:
    """Connects one node to others. `is_banned` is asked before every dial."""

    def __init__(
        self,
        swarm: Any,
        peers: Peers,
        book: AddressBook,
        is_banned: Callable[[PeerId], bool],
        find_addresses: Callable[[PeerId], Awaitable[list[str]]],
        through: Through,
    ) -> None:
        self._swarm = swarm
        self._peers = peers
        self._book = book
        self._is_banned = is_banned
        self._find_addresses = find_addresses
        self._through = through
        self._dialling: dict[PeerId, trio.Event] = {}
        self._dialling_directly: dict[PeerId, trio.Lock] = {}

    async def connect(self, peer: PeerId, hints: Sequence[str] = (), *, look_up: bool = True) -> None:
        """Return when connected. NetworkError says why not; with `hints` it is about those addresses.

        Without `look_up` the DHT is not asked where the peer is: a lookup must not begin lookups, which would begin lookups.
        """
        while peer in self._dialling:
            await self._dialling[peer].wait()
        if self._peers.is_connected(peer):
            return
        if self._is_banned(peer):
            raise NetworkError(f"{peer} is banned for a while")
        done = self._dialling[peer] = trio.Event()
        try:
            await self._by_all_means(peer, usable(hints), look_up)
        finally:
            del self._dialling[peer]
            done.set()

    async def connect_directly(self, peer: PeerId, address: str) -> None:
        """Return when connected without a relay between; `address` may be "": then only what is there counts. NetworkError if not.

        For relays: it waits for no other attempt, since such an attempt may be waiting for this one.
        """
        lock = self._dialling_directly.setdefault(peer, trio.Lock())
        try:
            async with lock:
                if self._peers.is_connected_directly(peer):
                    return
                if self._is_banned(peer):
                    raise NetworkError(f"{peer} is banned for a while")
                if not address:
                    raise NetworkError(f"there is no direct connection to {peer}")
                await self._dial(peer, [address])
        finally:
            if not lock.statistics().tasks_waiting:
                self._dialling_directly.pop(peer, None)

    async def _by_all_means(self, peer: PeerId, hints: list[str], look_up: bool) -> None:
        known = list(dict.fromkeys([*hints, *usable(await self._book.addresses(peer))]))
        failure: NetworkError | None = None
        if known:
            try:
                return await self._dial(peer, known)
            except NetworkError as error:
                failure = error
        if look_up and not hints:  # somebody who names an address wants to hear about that one
            told = [address for address in await self._ask_dht(peer) if address not in known]
            if told:
                return await self._dial(peer, told)
        raise failure or NetworkError(f"no address of {peer} is known", hint="connect to it by an address first")

    async def _ask_dht(self, peer: PeerId) -> list[str]:
        with trio.move_on_after(ASK_DHT_S):
            return usable(await self._find_addresses(peer))
        return []

    async def _dial(self, peer: PeerId, addresses: list[str]) -> None:
        address = await dial(self._swarm, to_id(peer), addresses, self._through)
        self._peers.dialled(peer, address)
        await self._book.remember(peer, [address], answered=True)
