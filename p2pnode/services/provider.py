"""One provider of one fetch: a long-lived stream on which requests follow one another, and every block is verified before it counts.

How much is asked ahead follows the rate at which it comes; how long a silence is borne follows how long answers took. The caller
(services.swarm) opens the stream, and decides what a failure means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.fetch_messages import HEAD_BYTES, MAX_CIDS, Status, decode_head, encode_request
from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.limits import KIB, MIB
from p2pnode.ports import Stream
from p2pnode.services.awaited import Bell as Bell
from p2pnode.services.framing import send_frame
from p2pnode.services.wants import Rank, Wants

MIN_WINDOW_BYTES, MAX_WINDOW_BYTES = 2 * MIB, 16 * MIB
"""Bytes asked ahead: two leaves keep a slow provider busy, sixteen cover 250 MB/s at a distance of 60 ms."""
WINDOW_S = 1.0
"""... and between them what comes in a second."""
FIRST_PATIENCE_S = 15.0
"""Seconds for the first answer: the provider may have to wake a disk."""
MIN_PATIENCE_S, MAX_PATIENCE_S = 5.0, 30.0
"""Seconds of silence borne later: eight usual answer times, within these bounds."""
MIN_RATE_BYTES_S = 8 * KIB
"""A block that comes slower than this as a whole is a stall, however steadily it drips."""
BUSY_PAUSE_S = 1.0
"""Seconds before a provider that said `busy` is asked again."""
RESTRAINT_S = 2.0
"""Seconds without anything to ask for, because incomplete nodes have all the rest, after which that is thought over."""
RETRY_MISSING_S = 30.0
"""Seconds after which an idle provider is asked again for what it lacked: it may be fetching too."""
HASH_IN_THREAD_BYTES = 256 * KIB
"""Blocks from this size on are hashed in a worker thread; below, the hop costs more than the hash."""
READ_BYTES = 256 * KIB
"""Bytes read from the stream at a time: many small answers come in one."""
HAND_OVER_BYTES = MIB
"""Verified bytes that are handed over together: a leaf of ours, or many tiny ones."""
RATE_INTERVAL_S = 0.5
"""Seconds between two measurements of the rate."""


Block = tuple[Cid, bytes]


class LiedError(PeerError):
    """The provider sent bytes that are not the block's."""


class ReplacedError(NetworkError):
    """It has nothing that is wanted, and others wait for its place."""


class Provider:
    """What is known of one provider in this fetch, over all of its streams."""

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.lacks: set[Cid] = set()
        self.rank: Rank | None = None
        """How blocks are chosen for this provider, where incomplete nodes serve each other; None: in their order."""
        self.generous_until = 0.0
        """Until then it is asked for what others have, too."""
        self.on_idle: Callable[[], None] = lambda: None
        """Called when there was nothing to ask it for a while, because others have all the rest."""
        self.failures = 0
        self._answer_s: float | None = None
        self._rate = 0.0
        self._measured_at, self._measured_bytes = 0.0, 0

    @property
    def patience_s(self) -> float:
        """Seconds of silence after which the provider counts as stalled."""
        if self._answer_s is None:
            return FIRST_PATIENCE_S
        return min(max(8 * self._answer_s, MIN_PATIENCE_S), MAX_PATIENCE_S)

    @property
    def rate(self) -> float:
        """Bytes a second that came when it was last asked."""
        return self._rate

    @property
    def window_bytes(self) -> int:
        """Bytes to ask for ahead of what came."""
        return int(min(max(self._rate * WINDOW_S, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES))

    def answered(self, seconds: float, length: int) -> None:
        """An answer of `length` bytes took so long."""
        self._answer_s = seconds if self._answer_s is None else 0.75 * self._answer_s + 0.25 * seconds
        self._measured_bytes += length
        now = trio.current_time()
        elapsed = now - self._measured_at
        if elapsed >= RATE_INTERVAL_S:
            self._rate = self._measured_bytes / elapsed
            self._measured_at, self._measured_bytes = now, 0


class Asking:
    """One stream's life: takes from `wants`, asks, reads, verifies, hands over."""

    def __init__(
        self,
        provider: Provider,
        stream: Stream,
        root: Cid,
        wants: Wants,
        bell: Bell,
        hand_over: Callable[[Provider, list[Block]], Awaitable[None]],
        others_wait: Callable[[], bool],
    ) -> None:
        self._provider, self._stream, self._root = provider, stream, root
        self._wants, self._bell, self._hand_over = wants, bell, hand_over
        self._others_wait = others_wait
        self._outstanding: deque[tuple[Cid, int]] = deque()
        self._ahead_bytes = 0
        self._buffer = bytearray()
        self._verified: list[Block] = []
        self._verified_bytes = 0
        self._busy = False

    async def close(self) -> None:
        """Give the stream up; at once if something was asked for that has not come."""
        await (self._stream.reset() if self._outstanding else self._stream.aclose())

    async def run(self) -> None:
        """Ask for ever; ends by cancelling, or by NetworkError (broken, stalled) or PeerError (it broke the rules)."""
        try:
            while True:
                await self._ask_ahead()
                if self._outstanding:
                    await self._answer()
                else:
                    await self._flush()
                    await self._idle()
        except trio.TooSlowError as error:
            raise NetworkError(f"nothing came for {self._provider.patience_s:.0f} s") from error
        except DecodeError as error:
            raise PeerError(f"a malformed answer: {error.message}") from error
        finally:
            lost = [cid for cid, _ in self._verified]  # what was not handed over counts as not come
            self._wants.give_back(self._provider, [*lost, *(cid for cid, _ in self._outstanding)])
            self._bell.ring()

    async def _ask_ahead(self) -> None:
        """Refill when half of what was asked has come, so that requests stay few."""
        window = self._provider.window_bytes
        if self._busy or self._ahead_bytes > window // 2 or len(self._outstanding) > MAX_CIDS:
            return
        cids = self._wants.take(
            self._provider, self._provider.lacks, window - self._ahead_bytes, MAX_CIDS, self._provider.rank
        )
        if cids:
            for cid in cids:
                self._outstanding.append((cid, self._wants.expected_bytes(cid)))
                self._ahead_bytes += self._outstanding[-1][1]
            with trio.fail_after(self._provider.patience_s):
                await send_frame(self._stream, encode_request(self._root, cids))

    async def _idle(self) -> None:
        """Nothing to ask for: all is asked of others, or this provider lacks it, or it is busy."""
        if self._busy:
            await trio.sleep(BUSY_PAUSE_S)
            self._busy = False
            return
        if self._provider.rank is not None:
            with trio.move_on_after(RESTRAINT_S) as waited:
                await self._bell.wait()
            if waited.cancelled_caught:
                self._provider.on_idle()
            return
        with trio.move_on_after(RETRY_MISSING_S) as waited:
            await self._bell.wait()
        if waited.cancelled_caught:
            if self._provider.lacks and self._others_wait():
                raise ReplacedError("it lacks what is still wanted")
            self._provider.lacks.clear()

    async def _answer(self) -> None:
        started = trio.current_time()
        status, length = decode_head(await self._take(HEAD_BYTES))
        cid = self._outstanding[0][0]
        if status is Status.HAVE:
            block = await self._take(length)
            self._provider.answered(trio.current_time() - started, length)
            if not await _matches(cid, block):
                await self._flush()
                raise LiedError(f"{len(block)} bytes that are not block {cid}")
            self._provider.failures = 0
            self._next()
            self._verified.append((cid, block))
            self._verified_bytes += length
            if self._verified_bytes >= HAND_OVER_BYTES:
                await self._flush()
            return
        self._next()
        if status is Status.MISSING:
            self._provider.lacks.add(cid)
        else:
            self._busy = True
        self._wants.give_back(self._provider, [cid])
        self._bell.ring()

    def _next(self) -> None:
        self._ahead_bytes -= self._outstanding.popleft()[1]

    async def _flush(self) -> None:
        """Hand over what was verified and had not come from another provider meanwhile."""
        blocks = [block for block in self._verified if self._wants.came(block[0])]
        self._verified, self._verified_bytes = [], 0
        if blocks:
            await self._hand_over(self._provider, blocks)

    async def _take(self, count: int) -> bytes:
        """Exactly `count` bytes. Only when they are not here yet does it wait, with nothing verified left in hand."""
        if len(self._buffer) < count:
            await self._flush()
            with trio.fail_after(self._provider.patience_s + count / MIN_RATE_BYTES_S):
                while len(self._buffer) < count:
                    with trio.fail_after(self._provider.patience_s):
                        part = await self._stream.receive_some(max(READ_BYTES, count - len(self._buffer)))
                    if not part:
                        raise NetworkError("the provider ended its stream in the middle of an answer")
                    self._buffer += part
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken


async def _matches(cid: Cid, block: bytes) -> bool:
    if len(block) < HASH_IN_THREAD_BYTES:
        return verify_block(cid, block)
    return await trio.to_thread.run_sync(verify_block, cid, block)
