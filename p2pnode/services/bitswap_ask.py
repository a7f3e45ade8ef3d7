"""One provider of one fetch that is asked by Bitswap: any node of IPFS. To services.swarm it is what services.provider is for our own.

First it is asked whether it has the root at all (a connected peer need not); then blocks are wanted ahead of what came. Answers come
on other streams and are handed in, already matched with their CIDs, by services.bitswap. Bitswap promises no answer: what the provider
passes over in silence is asked for again, one by one and soon, and after a few times it counts as lacking it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import trio

from p2pnode.core.bitswap_messages import MAX_PRIORITY, Entry, Want, encode_wants
from p2pnode.core.cid import Cid
from p2pnode.errors import NetworkError
from p2pnode.limits import MIB
from p2pnode.services.awaited import Bell
from p2pnode.services.bitswap_streams import Outgoing
from p2pnode.services.provider import Block, LiedError, Provider, ReplacedError
from p2pnode.services.wants import Wants

log = logging.getLogger("p2pnode.bitswap")

MAX_OUTSTANDING = 512
"""Blocks wanted of one provider at a time: half of what go and JavaScript remember of us."""
MIN_WINDOW_BYTES, MAX_WINDOW_BYTES = MIB, 8 * MIB
"""Bytes wanted ahead: JavaScript gives up an answer that takes ten seconds, so a slow provider is asked for little."""
WINDOW_S = 1.0
"""... and between them what comes in a second."""
RATE_INTERVAL_S = 0.5
"""Seconds between two measurements of the rate."""
HAVE_PATIENCE_S = 4.0
"""Seconds for the answer to whether it has the root, before it is asked once more."""
PATIENCE_S = 20.0
"""Seconds of complete silence, while something is wanted, after which the provider counts as stalled."""
RETRY_S = 1.0
"""Seconds of silence after which wants that were not answered are sent again, doubled each time."""
RETRIED_TOGETHER = 8
"""Wants sent again at a time: JavaScript drops what comes faster than it answers."""
MAX_TRIES = 4
"""Times that a block is asked for before the provider counts as lacking it."""
RETRY_MISSING_S = 30.0
"""Seconds after which a provider that lacked everything is asked again."""
TICK_S = 0.5
"""Between two looks at what stays away."""
REMEMBERED_WANTS = 4096
"""Blocks that a peer was asked for, kept to tell a late answer from one that nobody asked for."""
INBOX_BYTES = 4 * MIB
"""Bytes of blocks that wait to be handed over; whoever brings more waits with them, and so does the sender."""
HAND_OVER_BYTES = MIB
"""Blocks that are handed over together: a leaf of ours, or many tiny ones."""
SEND_TIMEOUT_S = 20.0
CANCEL_TIMEOUT_S = 1.0


class Partner:
    """A peer that is, or was, asked by Bitswap: who asks it, and what it may still answer. `heard`: when its last byte came."""

    def __init__(self) -> None:
        self.askings: list[BitswapAsking] = []
        self.heard = trio.current_time()
        self._wanted: OrderedDict[Cid, None] = OrderedDict()

    def wanted(self, cid: Cid) -> None:
        """It is asked for this block now."""
        self._wanted[cid] = None
        self._wanted.move_to_end(cid)
        while len(self._wanted) > REMEMBERED_WANTS:
            self._wanted.popitem(last=False)

    def was_wanted(self, cid: Cid) -> bool:
        """Whether it was asked for that block, not too long ago."""
        return cid in self._wanted


@dataclass(slots=True)
class _Asked:
    """A block that is on its way. `due`: when it is asked for again, if the provider says nothing until then."""

    bytes: int
    due: float
    tries: int = 1


class BitswapAsking:
    """Takes from `wants`, asks, hands over what came. `run` it, then `close` it."""

    def __init__(
        self,
        provider: Provider,
        partner: Partner,
        outgoing: Outgoing,
        root: Cid,
        wants: Wants,
        bell: Bell,
        hand_over: Callable[[Provider, list[Block]], Awaitable[None]],
        others_wait: Callable[[], bool],
    ) -> None:
        self._provider, self._partner, self._outgoing, self._root = provider, partner, outgoing, root
        self._wants, self._bell, self._hand_over = wants, bell, hand_over
        self._others_wait = others_wait
        self._asked: dict[Cid, _Asked] = {}
        self._ahead_bytes = 0
        self._inbox: deque[Block] = deque()
        self._inbox_bytes = 0
        self._has_root: bool | None = None
        self._lie = ""
        self._ended = False
        self._news, self._room = Bell(), Bell()
        self._urgency = MAX_PRIORITY
        self._rate, self._measured_at, self._measured_bytes = 0.0, 0.0, 0

    # ------------------------------------------------------------ what comes, by services.bitswap

    def awaits(self, cid: Cid) -> bool:
        """Whether this block was asked for here and has not come."""
        return not self._ended and (cid in self._asked or (cid == self._root and self._has_root is None))

    async def deliver(self, cid: Cid, block: bytes) -> None:
        """A block that it awaits, verified. Waits while too many wait to be handed over."""
        while self._inbox_bytes > INBOX_BYTES and not self._ended:
            await self._room.wait()
        if not self.awaits(cid):
            return
        if cid == self._root:
            self._has_root = True
        self._forget(cid)
        self._inbox.append((cid, block))
        self._inbox_bytes += len(block)
        self._news.ring()

    def told(self, cid: Cid, have: bool) -> None:
        """The provider says that it has a block, or has not."""
        if cid == self._root and self._has_root is None:
            self._has_root = have
        elif not have and cid in self._asked:
            self._lacks(cid)
        self._news.ring()

    def lied(self, words: str) -> None:
        """The provider sent what nobody asked it for."""
        self._lie = words
        self._news.ring()

    # ------------------------------------------------------------ the life

    async def run(self) -> None:
        """Ask for ever; ends by cancelling, or by NetworkError (gone, stalled) or LiedError."""
        self._partner.askings.append(self)
        try:
            await self._find_out()
            while True:
                rung, news = (
                    self._bell.next(),
                    self._news.next(),
                )  # before looking: nothing that changes meanwhile is missed
                self._check()
                await self._flush()
                self._drop_unwanted()
                await self._ask_ahead()
                await self._ask_again()
                await self._outgoing.tidy()
                await self._wait(rung, news)
        finally:
            self._ended = True
            self._partner.askings.remove(self)
            self._room.ring()
            self._wants.give_back(self._provider, [*self._asked, *(cid for cid, _ in self._inbox)])
            self._bell.ring()

    async def close(self) -> None:
        """Say that nothing is wanted any more. Within a second, whatever the peer does."""
        with trio.move_on_after(CANCEL_TIMEOUT_S):
            try:
                if self._asked:
                    await self._say([Entry(cid, cancel=True) for cid in self._asked])
            except NetworkError:
                pass  # it is gone, and its memory of us with it
        await self._outgoing.close()

    async def _find_out(self) -> None:
        """Whether it has the root, asked again every half minute while it has not."""
        while not self._has_root:
            self._has_root = None
            await self._ask_for_root()
            if self._has_root is None:
                raise NetworkError("it does not say whether it has the content")
            if not self._has_root:
                if self._others_wait():
                    raise ReplacedError("it has nothing of the content")
                await trio.sleep(RETRY_MISSING_S)

    async def _ask_for_root(self) -> None:
        for _ in range(MAX_TRIES):
            self._partner.wanted(self._root)  # a small one may come itself instead of the word that it is there
            await self._say([Entry(self._root, self._urgency, want=Want.HAVE, send_dont_have=True)])
            with trio.move_on_after(HAVE_PATIENCE_S):
                while self._has_root is None:
                    self._check()
                    await self._news.wait()  # nothing lies between looking and waiting
                return
            await self._say([Entry(self._root, cancel=True)])

    def _check(self) -> None:
        if self._lie:
            raise LiedError(self._lie)
        silent_s = trio.current_time() - max(self._partner.heard, self._measured_at)
        if self._asked and not self._inbox and silent_s > PATIENCE_S:
            raise NetworkError(f"nothing came for {silent_s:.0f} s")

    async def _flush(self) -> None:
        """Hand over what came, unless another provider was quicker."""
        while self._inbox:
            blocks: list[Block] = []
            size = 0
            while self._inbox and size < HAND_OVER_BYTES:
                cid, block = self._inbox.popleft()
                size += len(block)
                if self._wants.came(cid):
                    blocks.append((cid, block))
            self._provider.failures = 0
            if blocks:
                await self._hand_over(self._provider, blocks)
            self._inbox_bytes -= size
            self._measure(size)
            self._room.ring()

    async def _ask_ahead(self) -> None:
        """Refill when half of what was asked has come, so that messages stay few."""
        window = int(min(max(self._rate * WINDOW_S, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES))
        room = MAX_OUTSTANDING - len(self._asked)
        if self._ahead_bytes > window // 2 or room < MAX_OUTSTANDING // 2:
            return
        cids = self._wants.take(self._provider, self._provider.lacks, window - self._ahead_bytes, room)
        if not cids:
            return
        if not self._asked:
            self._measured_at, self._measured_bytes = trio.current_time(), 0  # it was idle: nothing is its fault
        due = trio.current_time() + RETRY_S
        for cid in cids:
            self._asked[cid] = _Asked(self._wants.expected_bytes(cid), due)
            self._ahead_bytes += self._asked[cid].bytes
        await self._say([self._want(cid) for cid in cids])

    async def _ask_again(self) -> None:
        """What was not spoken of while the provider was silent: each withdrawn and wanted anew, by itself.

        A want that the other side believes to have answered is not answered again before it was withdrawn.
        """
        now = trio.current_time()
        if now - self._partner.heard < RETRY_S:
            return
        overdue = [cid for cid, asked in self._asked.items() if asked.due <= now][:RETRIED_TOGETHER]
        for cid in overdue:
            asked = self._asked.get(cid)
            if asked is None:
                continue  # it came while the one before was being asked for
            if asked.tries >= MAX_TRIES:
                self._lacks(cid)
                continue
            asked.due = now + RETRY_S * 2**asked.tries
            asked.tries += 1
            log.debug("block %s is asked of %s again", cid, self._provider.peer)
            await self._say([Entry(cid, cancel=True)])
            await self._say([self._want(cid)])

    async def _wait(self, rung: trio.Event, news: trio.Event) -> None:
        """Until something came, more is wanted, or it is time to look at what stays away."""
        idle = not self._asked
        with trio.move_on_after(RETRY_MISSING_S if idle else TICK_S) as waited:
            await _either(news, rung)
        if idle and waited.cancelled_caught:
            if self._provider.lacks and self._others_wait():
                raise ReplacedError("it lacks what is still wanted")
            self._provider.lacks.clear()

    # ------------------------------------------------------------ inside

    def _want(self, cid: Cid) -> Entry:
        self._urgency = max(1, self._urgency - 1)  # in the order in which they are wanted
        self._partner.wanted(cid)
        return Entry(cid, self._urgency, send_dont_have=True)

    async def _say(self, entries: Iterable[Entry]) -> None:
        await self._outgoing.send(encode_wants(entries), timeout_s=SEND_TIMEOUT_S)

    def _lacks(self, cid: Cid) -> None:
        self._provider.lacks.add(cid)
        self._forget(cid)
        self._wants.give_back(self._provider, [cid])
        self._bell.ring()

    def _forget(self, cid: Cid) -> None:
        asked = self._asked.pop(cid, None)
        if asked is not None:
            self._ahead_bytes -= asked.bytes

    def _drop_unwanted(self) -> None:
        """In the endgame another provider may have been quicker; the block comes here all the same, and is late."""
        for cid in [cid for cid in self._asked if not self._wants.expected_bytes(cid)]:
            self._forget(cid)

    def _measure(self, size: int) -> None:
        self._measured_bytes += size
        elapsed = trio.current_time() - self._measured_at
        if elapsed >= RATE_INTERVAL_S:
            self._rate = self._measured_bytes / elapsed
            self._measured_at, self._measured_bytes = trio.current_time(), 0


async def _either(one: trio.Event, other: trio.Event) -> None:
    async with trio.open_nursery() as nursery:

        async def first(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(first, one)
        nursery.start_soon(first, other)
