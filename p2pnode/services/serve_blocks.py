"""Answering `/p2pnode/fetch/1`: blocks of public contents to whoever asks, in bounded memory, at the asker's pace.

One task a stream reads ahead by one batch while the last one is being sent; whose batch is read next decides services.turns, fairly
between peers. It holds no state about who has what: what is asked by CID is looked up, hashed by the store, and sent; what is not held
or not public is `missing`, and the two look alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.fetch_messages import MAX_REQUEST_BYTES, PROTOCOL, Status, decode_request, encode_head
from p2pnode.core.ids import PeerId
from p2pnode.errors import StoreError, TimedOutError
from p2pnode.limits import MIB
from p2pnode.ports import Network, Store, Stream, Traffic
from p2pnode.services.asked import receive_request
from p2pnode.services.turns import Turns

log = logging.getLogger("p2pnode.serve")

STREAMS_PER_PEER = 4
"""A peer that fetches several works asks on as many streams; more is greed."""
BATCH_BYTES = MIB
"""Bytes of blocks that are read and sent together: a leaf of ours, or some hundred tiny ones in one hop."""
MAX_BUFFERED_BATCHES = 48
"""Batches in memory for all askers together, two a stream: 48 MiB of our leaves, three times that of the largest blocks there are."""
BATCHES_PER_PEER = 2
"""Batches in memory for one peer, on all of its streams together: one is sent while the next is read."""
LOOK_UP_COST_BYTES = 1024
"""What looking up one block costs beside its bytes, in bytes: who asks for what is not here takes his turns too."""
BUSY_AFTER_S = 5.0
"""An asker that finds no free buffer for so long is told `busy` and comes back later."""
SEND_TIMEOUT_S = 60.0
"""Seconds for one batch to be taken: 52 KB/s for the largest; slower readers cost more than they get."""
PRESSED_TIMEOUT_S = 10.0
"""The same while others wait for memory that slow readers hold."""
IDLE_TIMEOUT_S = 300.0
"""Seconds without a request before a stream is closed: providers keep long-lived streams, but not for ever."""


class ServeBlocks:
    """The providing side of a node."""

    def __init__(
        self,
        network: Network,
        store: Store,
        traffic: Traffic | None = None,
        serves: Callable[[PeerId], bool] = lambda peer: True,
    ) -> None:
        """With `traffic` everybody is told `busy` while works' bytes have to wait. To whom `serves` says no everything is missing."""
        self._network, self._store, self._traffic, self._serves = network, store, traffic, serves
        self._turns = Turns(MAX_BUFFERED_BATCHES, BATCHES_PER_PEER)
        self._sending: dict[trio.CancelScope, float] = {}

    def start(self) -> None:
        """Answer from now on."""
        self._network.serve(PROTOCOL, self._serve, streams_per_peer=STREAMS_PER_PEER)

    async def _serve(self, stream: Stream) -> None:
        while request := await receive_request(
            self._network, stream, decode_request, "fetch request", limit=MAX_REQUEST_BYTES, timeout_s=IDLE_TIMEOUT_S
        ):
            await self._answer(stream, request.cids)

    async def _answer(self, stream: Stream, cids: tuple[Cid, ...]) -> None:
        """Read ahead of what is being sent, by one batch."""
        failure: list[Exception] = []
        ready, batches = trio.open_memory_channel[tuple[bytes, bool]](0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_up, stream.peer, cids, ready)
            try:
                async with batches:
                    async for batch, buffered in batches:
                        await self._send(stream, batch, buffered)
            except Exception as error:  # raised again below: out of a nursery it would come as a group
                failure.append(error)
            nursery.cancel_scope.cancel()
        if failure:
            raise failure[0]

    async def _look_up(
        self, peer: PeerId, cids: tuple[Cid, ...], ready: trio.MemorySendChannel[tuple[bytes, bool]]
    ) -> None:
        async with ready:
            while cids:
                if not await self._take_turn(peer):
                    await ready.send((encode_head(Status.BUSY, 0) * len(cids), False))
                    return
                handed_over = False
                try:
                    blocks = await self._read(cids, peer)
                    cids = cids[len(blocks) :]
                    batch = b"".join(_answer_parts(blocks))
                    self._turns.charge(peer, len(batch) + LOOK_UP_COST_BYTES * len(blocks))
                    await ready.send((batch, True))
                    handed_over = True
                finally:
                    if not handed_over:
                        self._turns.give_back(peer)

    async def _read(self, cids: tuple[Cid, ...], peer: PeerId) -> list[bytes | None]:
        """A block whose file changed or cannot be read is None too: the store tells the user, a peer learns only `missing`."""
        if not self._serves(peer):
            return [None] * len(cids)
        try:
            return await self._store.read_blocks(cids, public_only=True, max_bytes=BATCH_BYTES)
        except (StoreError, TimedOutError) as error:
            log.info("block %s cannot be served: %s", cids[0], error)
            return [None]

    async def _send(self, stream: Stream, batch: bytes, buffered: bool) -> None:
        try:
            with trio.fail_after(SEND_TIMEOUT_S) as patience:
                self._sending[patience] = trio.current_time()
                await stream.send_all(batch)
        finally:
            self._sending.pop(patience, None)
            if buffered:
                self._turns.give_back(stream.peer)

    async def _take_turn(self, peer: PeerId) -> bool:
        if self._traffic is not None and self._traffic.waiting_reason():
            return False
        if not self._turns.free:
            self._hurry()
        with trio.move_on_after(BUSY_AFTER_S):
            await self._turns.take(peer)
            return True
        return False

    def _hurry(self) -> None:
        """Others wait: who takes his batch slowly has less time for it."""
        for patience, since in self._sending.items():
            patience.deadline = min(patience.deadline, since + PRESSED_TIMEOUT_S)


def _answer_parts(blocks: list[bytes | None]) -> Iterator[bytes]:
    for block in blocks:
        yield encode_head(Status.MISSING if block is None else Status.HAVE, len(block or b""))
        if block:
            yield block
