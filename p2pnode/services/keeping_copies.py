"""Who else holds a content: a peer counts as holding it once it has given some of its blocks, chosen at random, and they were right.

What a peer only claims (a provider record) counts for nothing: else whoever lies in the DHT could make everybody drop the last copy.
Called by `services.keeping_space` before anything is let go.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.fetch_messages import HEAD_BYTES, PROTOCOL, Status, decode_head, encode_request
from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError
from p2pnode.ports import Network, Stock, Store, Stream, WallClock
from p2pnode.services.framing import receive_exactly, send_frame
from p2pnode.services.outbox import root_key

log = logging.getLogger("p2pnode.keeping")

COPY_VALID_S = 24 * 3600.0
"""A copy that was seen within a day counts as known: nodes say again within a day what they provide."""
FRESH_S = 3600.0
"""Seen within the last hour: nobody is asked again before a content is let go."""
SAMPLED_LEAVES = 3
"""Leaves asked for, at random, besides the root: who has half of a content passes once in eight."""
PEERS_ASKED = 8
"""Peers asked for one content."""
ASK_TIMEOUT_S = 10.0
"""Seconds for one peer: to connect, and to answer a few leaves."""


def known_copies(stock: Stock, now: float, *, within_s: float = COPY_VALID_S) -> int:
    """Peers that proved within that time to hold the content."""
    return sum(0 <= now - seen <= within_s for _, seen in stock.copies)


class Copies:
    """Asks others whether they hold what we hold."""

    def __init__(self, store: Store, network: Network, clock: WallClock) -> None:
        self._store, self._network, self._clock = store, network, clock

    async def look(self, stock: Stock) -> int:
        """How many hold it, as of now: who was seen in the last hour, else who answers now. Remembered either way."""
        fresh = known_copies(stock, self._clock(), within_s=FRESH_S)
        if fresh:
            return fresh
        cids = [stock.root, *await self._store.read(lambda tx: tx.sample(stock.root, SAMPLED_LEAVES))]
        found: list[PeerId] = []

        async def ask(peer: PeerId) -> None:
            answer = await self._ask(peer, stock.root, list(dict.fromkeys(cids)))
            if answer:
                found.append(peer)
            if answer is not None:
                await self._note(stock.root, peer, answer)

        async with trio.open_nursery() as nursery:
            for peer in await self._peers(stock):
                nursery.start_soon(ask, peer)
        return len(found)

    async def _peers(self, stock: Stock) -> list[PeerId]:
        found = [peer for peer, _ in stock.copies]
        try:
            found += await self._network.find_providers(root_key(stock.root))
        except NetworkError as error:
            log.debug("no providers from the DHT: %s", error.message)
        found += [view.peer for view in self._network.peers() if PROTOCOL in view.protocols]
        return [peer for peer in dict.fromkeys(found) if peer != self._network.peer_id][:PEERS_ASKED]

    async def _note(self, root: Cid, peer: PeerId, holds: bool) -> None:
        now = self._clock()
        await self._store.write(
            lambda tx: tx.saw_copy(root, peer, now) if holds else tx.lost_copy(root, peer), durable=False
        )

    async def _ask(self, peer: PeerId, root: Cid, cids: Sequence[Cid]) -> bool | None:
        """Whether it gave all of them, rightly; None if it could not be asked, or was busy."""
        with trio.move_on_after(ASK_TIMEOUT_S):
            try:
                stream = await self._network.open_stream(peer, PROTOCOL, timeout_s=ASK_TIMEOUT_S)
                try:
                    return await _exchange(stream, root, cids)
                finally:
                    await stream.reset()
            except (NetworkError, DecodeError) as error:
                log.debug("%s could not be asked for %s: %s", peer, root, error.message)
        return None


async def _exchange(stream: Stream, root: Cid, cids: Sequence[Cid]) -> bool | None:
    await send_frame(stream, encode_request(root, cids))
    for cid in cids:
        status, length = decode_head(await receive_exactly(stream, HEAD_BYTES))
        if status is Status.BUSY:
            return None
        if status is not Status.HAVE or not verify_block(cid, await receive_exactly(stream, length)):
            return False
    return True
