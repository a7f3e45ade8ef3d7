"""Answering `/p2pnode/fetch/1`: blocks of public contents to whoever asks, in bounded memory, at the asker's pace.

One task a stream reads ahead by one batch while the last one is being sent. It holds no state about who has what: what is asked by
CID is looked up, hashed by the store, and sent; what is not held or not public is `missing`, and the two look alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.fetch_messages import MAX_REQUEST_BYTES, PROTOCOL, Status, decode_request, encode_head
from p2pnode.errors import DecodeError, PeerError, StoreError, TimedOutError
from p2pnode.limits import MIB
from p2pnode.ports import Network, Store, Stream
from p2pnode.services.framing import receive_frame

log = logging.getLogger("p2pnode.serve")

STREAMS_PER_PEER = 4
"""A peer that fetches several works asks on as many streams; more is greed."""
BATCH_BYTES = MIB
"""Bytes of blocks that are read and sent together: a leaf of ours, or some hundred tiny ones in one hop."""
MAX_BUFFERED_BATCHES = 48
"""Batches in memory for all askers together, two a stream: 48 MiB of our leaves, three times that of the largest blocks there are."""
BUSY_AFTER_S = 5.0
"""An asker that finds no free buffer for so long is told `busy` and comes back later."""
SEND_TIMEOUT_S = 60.0
"""Seconds for one batch to be taken: 52 KB/s for the largest; slower readers cost more than they get."""
IDLE_TIMEOUT_S = 300.0
"""Seconds without a request before a stream is closed: providers keep long-lived streams, but not for ever."""


class ServeBlocks:
    """The providing side of a node."""

    def __init__(self, network: Network, store: Store) -> None:
        self._network, self._store = network, store
        self._buffers = trio.Semaphore(MAX_BUFFERED_BATCHES)

    def start(self) -> None:
        """Answer from now on."""
        self._network.serve(PROTOCOL, self._serve, streams_per_peer=STREAMS_PER_PEER)

    async def _serve(self, stream: Stream) -> None:
        while True:
            with trio.move_on_after(IDLE_TIMEOUT_S) as idle:
                frame = await receive_frame(stream, MAX_REQUEST_BYTES)
            if idle.cancelled_caught or frame is None:
                return
            try:
                request = decode_request(frame)
            except DecodeError as error:
                self._network.penalise(stream.peer, 25, f"fetch request: {error.message}")
                raise PeerError(f"a malformed request: {error.message}") from error
            await self._answer(stream, request.cids)

    async def _answer(self, stream: Stream, cids: tuple[Cid, ...]) -> None:
        """Read ahead of what is being sent, by one batch."""
        failure: list[Exception] = []
        ready, batches = trio.open_memory_channel[tuple[bytes, bool]](0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_up, cids, ready)
            try:
                async with batches:
                    async for batch, buffered in batches:
                        await self._send(stream, batch, buffered)
            except Exception as error:  # raised again below: out of a nursery it would come as a group
                failure.append(error)
            nursery.cancel_scope.cancel()
        if failure:
            raise failure[0]

    async def _look_up(self, cids: tuple[Cid, ...], ready: trio.MemorySendChannel[tuple[bytes, bool]]) -> None:
        async with ready:
            while cids:
                if not await self._take_buffer():
                    await ready.send((encode_head(Status.BUSY, 0) * len(cids), False))
                    return
                handed_over = False
                try:
                    blocks = await self._read(cids)
                    cids = cids[len(blocks) :]
                    await ready.send((b"".join(_answer_parts(blocks)), True))
                    handed_over = True
                finally:
                    if not handed_over:
                        self._buffers.release()

    async def _read(self, cids: tuple[Cid, ...]) -> list[bytes | None]:
        """A block whose file changed or cannot be read is None too: the store tells the user, a peer learns only `missing`."""
        try:
            return await self._store.read_blocks(cids, public_only=True, max_bytes=BATCH_BYTES)
        except (StoreError, TimedOutError) as error:
            log.info("block %s cannot be served: %s", cids[0], error)
            return [None]

    async def _send(self, stream: Stream, batch: bytes, buffered: bool) -> None:
        try:
            with trio.fail_after(SEND_TIMEOUT_S):
                await stream.send_all(batch)
        finally:
            if buffered:
                self._buffers.release()

    async def _take_buffer(self) -> bool:
        with trio.move_on_after(BUSY_AFTER_S):
            await self._buffers.acquire()
            return True
        return False


def _answer_parts(blocks: list[bytes | None]) -> Iterator[bytes]:
    for block in blocks:
        yield encode_head(Status.MISSING if block is None else Status.HAVE, len(block or b""))
        if block:
            yield block
