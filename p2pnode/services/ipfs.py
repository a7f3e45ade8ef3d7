"""The door to all the rest of IPFS: Bitswap with whoever is connected, and, when it is switched on, IPFS's own DHT.

With the DHT our public contents are told there (roots only: never words, works or circles, which mean nothing to others) and looked for
there. Without it nothing of ours is told to anybody but who asks for a block. Made by the node; asked by transfers for providers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import PeerId
from p2pnode.errors import P2pnodeError
from p2pnode.limits import PROVIDE_INTERVAL_S
from p2pnode.ports import Network, Store, Traffic, Tx, WallClock
from p2pnode.services.background import for_ever
from p2pnode.services.bitswap import Bitswap

log = logging.getLogger("p2pnode.ipfs")

NEIGHBOURS_ASKED = 8
"""Connected peers that are asked by Bitswap although nobody said that they have it: a message of fifty bytes each."""
PROVIDE_PAUSE_S = 0.2
"""Pause between two contents that are told: a look-up among strangers is about a hundred messages."""
RETRY_S, LAST_RETRY_S = 60.0, 1800.0
"""Before contents that nobody took are told again, doubled from the first to the last."""
PAGE_WORKS = 500
"""Works read at once."""


class Ipfs:
    """One a node. `wake` after something was published or fetched."""

    def __init__(
        self,
        network: Network,
        store: Store,
        clock: WallClock,
        traffic: Traffic | None = None,
        seeds: Callable[[], bool] = lambda: True,
    ) -> None:
        """With `traffic` nothing is given while works' bytes have to wait; nothing is given nor told while `seeds` says no."""
        self._seeds = seeds
        self._network, self._store, self._clock = network, store, clock
        self._told: dict[Cid, float] = {}
        self._news = trio.Event()
        self.bitswap = Bitswap(network, store, traffic, seeds)

    async def start(self, nursery: trio.Nursery) -> None:
        """Answer and tell from now on."""
        await self.bitswap.start(nursery)
        if self._network.ipfs is not None:
            nursery.start_soon(for_ever, self._tell)

    def wake(self) -> None:
        """There may be something new to tell."""
        self._news.set()

    async def providers(self, root: Cid) -> list[PeerId]:
        """Who may have it, as far as IPFS knows: those its DHT names, then connected peers that speak Bitswap only."""
        found: list[PeerId] = []
        if self._network.ipfs is not None:
            try:
                found = await self._network.ipfs.find_providers(root.multihash)
            except P2pnodeError as error:
                log.debug("no providers from the DHT of IPFS: %s", error.message)
        neighbours = [peer for peer in self.bitswap.neighbours() if peer not in found]
        return [*found, *neighbours[:NEIGHBOURS_ASKED]]

    async def _tell(self) -> None:
        """Everything public once, again when it would be forgotten, and what is new when it comes; for ever."""
        pause_s = RETRY_S
        while True:
            self._news = trio.Event()
            left = await self._tell_what_is_due()
            pause_s = min(2 * pause_s, LAST_RETRY_S) if left else RETRY_S
            with trio.move_on_after(pause_s):
                await self._news.wait()

    async def _tell_what_is_due(self) -> bool:
        """Whether something is left that nobody took."""
        assert self._network.ipfs is not None
        roots = await self._public_roots()
        self._told = {root: told for root, told in self._told.items() if root in roots}
        left = False
        for root in roots:
            if self._clock() - self._told.get(root, -PROVIDE_INTERVAL_S) < PROVIDE_INTERVAL_S:
                continue
            try:
                if await self._network.ipfs.provide(root.multihash):
                    self._told[root] = self._clock()
                else:
                    left = True
            except P2pnodeError as error:
                log.info("could not be told to the DHT of IPFS: %s", error.message)
                left = True
            await trio.sleep(PROVIDE_PAUSE_S)
        return left

    async def _public_roots(self) -> dict[Cid, None]:
        """Roots of complete public contents that belong to a work, or are pinned."""
        roots: dict[Cid, None] = {}
        offset = 0
        if not self._seeds():
            return roots
        while works := await self._store.read(lambda tx: tx.works(limit=PAGE_WORKS, offset=offset)):  # noqa: B023
            offset += len(works)
            roots |= {work.root: None for work in works if not work.private}
        return roots | await self._store.read(
            lambda tx: {s.root: None for s in tx.stock() if s.pinned and s.state == "complete" and _public(tx, s.root)}
        )


def _public(tx: Tx, root: Cid) -> bool:
    content = tx.content(root)
    return content is not None and content.public
