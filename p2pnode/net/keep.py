"""Staying in touch: bootstrap addresses and recent acquaintances are dialled again, with back-off, as long as the node runs."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import P2pnodeError
from p2pnode.ports import AddressBook

log = logging.getLogger("p2pnode.net")

ENOUGH_PEERS = 12
"""With this many connections old acquaintances are left alone: gossip needs 6 neighbours, a lookup 4."""
RECENT_PEERS = 40
"""Acquaintances tried, most recent first."""
FIRST_RETRY_S, LAST_RETRY_S = 2.0, 300.0
"""Back-off per peer, doubling: a restarted neighbour is back within seconds, a dead one costs a dial in five minutes."""
ROUND_S = 1.0


class Keeper:
    """Decides whom to dial when. `connect` takes a peer and known addresses (none: look them up) and raises NetworkError."""

    def __init__(
        self,
        bootstrap: Sequence[tuple[PeerId, str]],
        book: AddressBook,
        connected: Callable[[], Sequence[PeerId]],
        connect: Callable[[PeerId, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._bootstrap = bootstrap
        self._book = book
        self._connected = connected
        self._connect = connect
        self._retry: dict[PeerId, tuple[float, float]] = {}
        self._resting: dict[PeerId, float] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            async with trio.open_nursery() as nursery:
                for peer, addresses in await self._due():
                    nursery.start_soon(self._try, peer, addresses)
            await trio.sleep(ROUND_S * random.uniform(0.8, 1.2))

    def hurry(self) -> None:
        """We are somewhere else: whoever could not be reached from there is tried at once."""
        self._retry.clear()

    def rest(self, peer: PeerId) -> None:
        """It was disconnected on purpose: leave it alone for the longest pause."""
        self._resting[peer] = trio.current_time() + LAST_RETRY_S

    async def _due(self) -> list[tuple[PeerId, list[str]]]:
        connected = set(self._connected())
        wanted: dict[PeerId, list[str]] = {}
        for peer, address in self._bootstrap:
            wanted.setdefault(peer, []).append(address)
        if len(connected) < ENOUGH_PEERS:
            for peer, addresses in await self._book.recent(RECENT_PEERS):
                wanted.setdefault(peer, list(addresses))
        now = trio.current_time()
        self._retry = {p: entry for p, entry in self._retry.items() if p in wanted and p not in connected}
        self._resting = {p: until for p, until in self._resting.items() if until > now}
        return [
            (peer, addresses)
            for peer, addresses in wanted.items()
            if peer not in connected and peer not in self._resting and self._retry.get(peer, (0.0, 0.0))[0] <= now
        ]

    async def _try(self, peer: PeerId, addresses: Sequence[str]) -> None:
        pause = min(LAST_RETRY_S, 2 * self._retry.get(peer, (0.0, FIRST_RETRY_S / 2))[1])
        self._retry[peer] = (trio.current_time() + pause * random.uniform(0.8, 1.2), pause)
        try:
            await self._connect(peer, addresses)
        except P2pnodeError as error:
            log.info("%s cannot be reached (next try in %.0f s): %s", peer, pause, error.message)
