"""Telling others what we have of a content while we fetch it ourselves, and who else asked: the serving side of `/p2pnode/have/1`.

Who asks is interested in the same content: he becomes a provider of our own fetch, and is named to the next who asks. A node that is
not fetching says whether it has the whole, and ends. What is not public is nothing. Called by the node.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.have_messages import MAX_ASK_BYTES, MAX_PEERS, PROTOCOL, Extent, Holding, decode_ask
from p2pnode.core.ids import PeerId
from p2pnode.ports import Network, Store, Stream
from p2pnode.services.asked import receive_request
from p2pnode.services.fetch import Fetching
from p2pnode.services.framing import send_frame

STREAMS_PER_PEER = 16
"""One a content that a peer fetches: as many transfers as run at a time."""
ASK_TIMEOUT_S = 30.0
"""Seconds for the one frame of the asker, and for each of ours to be taken."""
TELL_INTERVAL_S = 1.0
"""Seconds between two answers at least: each brings what came to the disk first."""
REMEMBERED_ROOTS, REMEMBERED_ASKERS = 128, 64
"""Contents, and peers of each, that are remembered as asked for."""
REMEMBERED_S = 600.0
"""Seconds for which an asker is named to others."""

FetchingOf = Callable[[Cid], Fetching | None]


class Having:
    """One a node."""

    def __init__(
        self,
        network: Network,
        store: Store,
        fetching_of: FetchingOf,
        serves: Callable[[PeerId], bool] = lambda peer: True,
    ) -> None:
        """To whom `serves` says no we have nothing."""
        self._network, self._store, self._fetching_of, self._serves = network, store, fetching_of, serves
        self._askers: OrderedDict[Cid, OrderedDict[PeerId, float]] = OrderedDict()

    def start(self) -> None:
        """Answer from now on."""
        self._network.serve(PROTOCOL, self._serve, streams_per_peer=STREAMS_PER_PEER)

    async def _serve(self, stream: Stream) -> None:
        root = await receive_request(
            self._network, stream, decode_ask, "have request", limit=MAX_ASK_BYTES, timeout_s=ASK_TIMEOUT_S
        )
        if root is not None:
            await self._tell(stream, root)

    async def _tell(self, stream: Stream, root: Cid) -> None:
        told: Holding | None = None
        if not self._serves(stream.peer):
            await send_frame(stream, Holding(Extent.NOTHING).to_bytes())
            return
        while True:
            fetching = self._fetching_of(root)
            holding = await self._holding(root, fetching, self._others(root, stream.peer))
            if holding.extent is not Extent.NOTHING:
                self._remember(root, stream.peer)
            if fetching is not None:
                fetching.heard_of([stream.peer])
            if holding != told:
                with trio.fail_after(ASK_TIMEOUT_S):
                    await send_frame(stream, holding.to_bytes())
                told = holding
            if fetching is None or holding.extent is not Extent.SOME:
                return
            with trio.move_on_after(TELL_INTERVAL_S):
                await fetching.ended.wait()

    async def _holding(self, root: Cid, fetching: Fetching | None, peers: tuple[PeerId, ...]) -> Holding:
        if fetching is not None and (maps := await fetching.maps()) is not None:
            return Holding(Extent.SOME, *maps, peers)
        content = await self._store.read(lambda tx: tx.content(root))
        if content is None or not content.public or content.state != "complete":
            return Holding(Extent.NOTHING)
        return Holding(Extent.WHOLE, peers=peers)

    def _others(self, root: Cid, asker: PeerId) -> tuple[PeerId, ...]:
        fresh = trio.current_time() - REMEMBERED_S
        known = self._askers.get(root, OrderedDict[PeerId, float]())
        return tuple(peer for peer in reversed(known) if peer != asker and known[peer] > fresh)[:MAX_PEERS]

    def _remember(self, root: Cid, peer: PeerId) -> None:
        askers = self._askers.setdefault(root, OrderedDict())
        self._askers.move_to_end(root)
        askers[peer] = trio.current_time()
        askers.move_to_end(peer)
        while len(askers) > REMEMBERED_ASKERS:
            askers.popitem(last=False)
        while len(self._askers) > REMEMBERED_ROOTS:
            self._askers.popitem(last=False)
