"""What a node looks like from outside: asking a peer to fetch a block of ours and to look for us, and answering who asks that.

Answering must not make this node a tool against others. The block comes from the asker himself, over the connection that he made or
took, and is at most one; the look-up is one, at a steady low rate; a few probes run at once, and a peer may ask now and then. Called by
`services.doctor`, and by the node, which answers from its start.
"""

from __future__ import annotations

import logging
from contextlib import suppress

import trio

from p2pnode.core.dag import verify_block
from p2pnode.core.fetch_messages import HEAD_BYTES, Status, decode_head, encode_request
from p2pnode.core.fetch_messages import PROTOCOL as FETCH
from p2pnode.core.ids import PeerId
from p2pnode.core.probe_messages import MAX_ANSWER_BYTES, MAX_ASK_BYTES, PROTOCOL, Answer, Ask, Block, Found
from p2pnode.errors import DecodeError, NetworkError, P2pnodeError, PeerError
from p2pnode.ports import Network, Stream, Traffic, WallClock
from p2pnode.services.asked import receive_request
from p2pnode.services.framing import receive_exactly, receive_frame, send_frame
from p2pnode.services.rates import TokenBuckets

log = logging.getLogger("p2pnode.probe")

ASK_TIMEOUT_S = 10.0
"""Seconds for the one frame of the asker, and for our answer to be taken."""
FETCH_TIMEOUT_S = 15.0
"""Seconds for the block: 2 MiB at 140 KB/s, the upload of a slow home line; slower ones are told that it failed."""
LOOK_TIMEOUT_S = 10.0
"""Seconds for the look-up in the DHT, as anybody's search gives it."""
ANSWER_TIMEOUT_S = 45.0
"""Seconds the asker waits for the whole."""
PROBES_AT_ONCE = 4
"""Answered side by side: at most 8 MiB of blocks in memory."""
PROBES_PER_S = 1 / 60
PROBE_BURST = 3
"""One in a minute for one peer, three at once after a quiet time: who examines himself does so rarely."""
LOOKS_PER_S, LOOK_BURST = 1 / 5, 5
"""Look-ups for all askers together: each costs others some twenty small messages."""
STREAMS_PER_PEER = 2


class Probes:
    """Both sides, of one node."""

    def __init__(self, network: Network, clock: WallClock, traffic: Traffic | None = None) -> None:
        """With `traffic` no block is fetched for anybody while works' bytes have to wait."""
        self._network, self._clock, self._traffic = network, clock, traffic
        self._running = 0
        self._askers = TokenBuckets(PROBES_PER_S, PROBE_BURST)
        self._looks = TokenBuckets(LOOKS_PER_S, LOOK_BURST)

    def start(self) -> None:
        """Answer from now on."""
        self._network.serve(PROTOCOL, self._serve, streams_per_peer=STREAMS_PER_PEER)

    async def ask(self, peer: PeerId, ask: Ask) -> Answer:
        """What that peer says. NetworkError (why, in words) if it does not."""
        stream = await self._network.open_stream(peer, PROTOCOL)
        try:
            with trio.fail_after(ANSWER_TIMEOUT_S):
                await send_frame(stream, ask.to_bytes())
                frame = await receive_frame(stream, MAX_ANSWER_BYTES)
            if frame is None:
                raise NetworkError(f"{peer} ended the stream instead of answering")
            answer = Answer.from_bytes(frame)
        except trio.TooSlowError as error:
            raise NetworkError(f"{peer} did not answer within {ANSWER_TIMEOUT_S:g} s") from error
        except DecodeError as error:
            raise PeerError(f"{peer} answered what makes no sense: {error.message}") from error
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(0.5), suppress(NetworkError):
                await stream.aclose()
        return answer

    async def _serve(self, stream: Stream) -> None:
        ask = await receive_request(
            self._network, stream, Ask.from_bytes, "probe", limit=MAX_ASK_BYTES, timeout_s=ASK_TIMEOUT_S
        )
        if ask is None:
            return
        block, found = await self._examine(stream.peer, ask)
        answer = Answer(block, found, max(0, int(self._clock() * 1000)))
        with trio.move_on_after(ASK_TIMEOUT_S):
            await send_frame(stream, answer.to_bytes())

    async def _examine(self, peer: PeerId, ask: Ask) -> tuple[Block, Found]:
        busy = self._running >= PROBES_AT_ONCE or not self._askers.take(peer)
        if busy:
            return (
                Block.BUSY if ask.block is not None else Block.NOT_ASKED,
                Found.BUSY if ask.key else Found.NOT_ASKED,
            )
        self._running += 1
        try:
            return await self._fetch(peer, ask), await self._look(peer, ask.key)
        finally:
            self._running -= 1

    async def _fetch(self, peer: PeerId, ask: Ask) -> Block:
        if ask.block is None or ask.root is None:
            return Block.NOT_ASKED
        if self._traffic is not None and self._traffic.waiting_reason():
            return Block.BUSY
        try:
            with trio.fail_after(FETCH_TIMEOUT_S):
                stream = await self._network.open_stream(peer, FETCH, timeout_s=FETCH_TIMEOUT_S)
                try:
                    return await _read_back(stream, ask)
                finally:
                    with trio.CancelScope(shield=True), trio.move_on_after(0.5), suppress(NetworkError):
                        await stream.aclose()
        except (P2pnodeError, trio.TooSlowError) as error:
            log.info("a probe of %s: its block does not come: %s", peer, error)
            return Block.FAILED

    async def _look(self, peer: PeerId, key: bytes) -> Found:
        if not key:
            return Found.NOT_ASKED
        if not self._looks.take("all"):
            return Found.BUSY
        try:
            found = await self._network.find_providers(key, timeout_s=LOOK_TIMEOUT_S)
        except P2pnodeError as error:
            log.info("a probe of %s: looking for it failed: %s", peer, error.message)
            return Found.BUSY
        if peer in found:
            return Found.YOU
        return Found.OTHERS if found else Found.NOBODY


async def _read_back(stream: Stream, ask: Ask) -> Block:
    """Fetch the block from the asker. NetworkError or DecodeError if it does not come whole."""
    assert ask.block is not None and ask.root is not None
    await send_frame(stream, encode_request(ask.root, [ask.block]))
    status, length = decode_head(await receive_exactly(stream, HEAD_BYTES))
    if status is not Status.HAVE:
        return Block.MISSING if status is Status.MISSING else Block.BUSY
    data = await receive_exactly(stream, length)
    return Block.FETCHED if verify_block(ask.block, data) else Block.FALSE
