"""What one fetch still wants, and who was asked for it: the queue from which providers take. No I/O and no clock of its own.

A wanted block is queued or asked of somebody. When the queue is empty, what was asked last is asked of a second provider too
(the endgame), so that the last blocks do not wait for the slowest. A block that came is forgotten at once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Container, Hashable, Iterable

from p2pnode.core.cid import Cid
from p2pnode.limits import MIB

ASKERS_PER_BLOCK = 2
"""Providers that one block is asked of at a time."""
ENDGAME_BYTES = MIB
"""Bytes that one provider takes over at a time in the endgame: each may arrive twice."""
SAMPLE = 1024
"""Blocks that are ranked to take some of them: the rarest of so many are rare enough."""


Rank = Callable[[Cid], int | None]
"""How soon a block should be asked of one asker: the lower the sooner; None: not of this one."""


class _Unranked:
    """What an asker lacks, or should not be asked for."""

    def __init__(self, lacks: Container[Cid], rank: Rank) -> None:
        self._lacks, self._rank = lacks, rank

    def __contains__(self, cid: object) -> bool:
        return cid in self._lacks or (isinstance(cid, Cid) and self._rank(cid) is None)


class Wants:
    """Blocks by CID. Askers are any hashable objects, one a provider."""

    def __init__(self) -> None:
        self._bytes: dict[Cid, int] = {}
        self._queue: deque[Cid] = deque()
        self._first: deque[Cid] = deque()
        self._asked: dict[Cid, set[Hashable]] = {}

    def __len__(self) -> int:
        """Blocks that have not come."""
        return len(self._bytes)

    def add(self, blocks: Iterable[tuple[Cid, int]], *, first: bool = False) -> None:
        """(cid, expected bytes), in the order in which they should come; `first`: before all others, also if they wait already."""
        fresh = []
        for cid, length in blocks:
            if cid not in self._bytes or (first and cid not in self._asked):
                self._bytes[cid] = length
                fresh.append(cid)
        (self._first if first else self._queue).extend(fresh)

    def drop(self, cid: Cid) -> bool:
        """No longer wanted. False, and nothing happens, if it was asked of somebody already."""
        return cid not in self._asked and self._bytes.pop(cid, None) is not None

    def asked(self) -> Iterable[Cid]:
        """Blocks that somebody was asked for."""
        return self._asked

    def take(
        self, asker: Hashable, lacks: Container[Cid], max_bytes: int, max_count: int, rank: Rank | None = None
    ) -> list[Cid]:
        """Blocks to ask `asker` for: at least one if any fits it, about `max_bytes` together. `lacks` are not asked of it.

        With `rank` not in their order but the lowest first, of equals any.
        """
        taken = self._take_from(self._first, asker, lacks, max_bytes, max_count)
        max_bytes -= sum(self._bytes[cid] for cid in taken)
        if rank is not None:
            return taken + self._take_ranked(asker, lacks, max_bytes, max_count - len(taken), rank)
        taken += self._take_from(self._queue, asker, lacks, max_bytes, max_count - len(taken))
        if not taken and max_bytes > 0:
            taken = self._take_over(asker, lacks, max_count)
        return taken

    def _take_from(
        self, queue: deque[Cid], asker: Hashable, lacks: Container[Cid], max_bytes: int, max_count: int
    ) -> list[Cid]:
        taken: list[Cid] = []
        passed: list[Cid] = []
        while queue and len(taken) < max_count and max_bytes > 0:
            cid = queue.popleft()
            if cid not in self._bytes or cid in self._asked:
                continue  # it came after all, from who was given up; or it stood in the queue twice
            if cid in lacks:
                passed.append(cid)
                continue
            taken.append(cid)
            max_bytes -= self._bytes[cid]
            self._asked[cid] = {asker}
        queue.extendleft(reversed(passed))
        return taken

    def _take_ranked(
        self, asker: Hashable, lacks: Container[Cid], max_bytes: int, max_count: int, rank: Rank
    ) -> list[Cid]:
        ranked = []
        for cid in self._sample():
            if cid in self._bytes and cid not in self._asked and cid not in lacks:
                value = rank(cid)
                if value is not None:
                    ranked.append((value, cid))
        random.shuffle(ranked)  # among equals everybody takes others: so all of them come from somewhere soon
        ranked.sort(key=lambda pair: pair[0])
        taken: list[Cid] = []
        for _, cid in ranked:
            if len(taken) >= max_count or max_bytes <= 0:
                break
            if cid not in self._asked:
                taken.append(cid)
                max_bytes -= self._bytes[cid]
                self._asked[cid] = {asker}
        if not taken and max_bytes > 0 and len(self._asked) == len(self._bytes):
            taken = self._take_over(asker, _Unranked(lacks, rank), max_count)
        return taken

    def _sample(self) -> list[Cid]:
        """What waits in the queue, or enough of it to choose from."""
        if (
            len(self._queue) > 2 * len(self._bytes) - 2 * len(self._asked) + SAMPLE
        ):  # mostly such as were taken out of turn
            self._queue = deque(cid for cid in self._queue if cid in self._bytes and cid not in self._asked)
        if len(self._queue) <= 2 * SAMPLE:
            return list(self._queue)
        self._queue.rotate(-random.randrange(len(self._queue)))
        return [self._queue[at] for at in range(SAMPLE)]

    def expected_bytes(self, cid: Cid) -> int:
        """Bytes that this block is expected to have; 0 when it is no longer wanted."""
        return self._bytes.get(cid, 0)

    def came(self, cid: Cid) -> bool:
        """A verified block. False if it had come before."""
        self._asked.pop(cid, None)
        return self._bytes.pop(cid, None) is not None

    def give_back(self, asker: Hashable, cids: Iterable[Cid]) -> None:
        """`asker` will not bring these: they go to the front again, unless somebody else was asked too."""
        back = []
        for cid in cids:
            askers = self._asked.get(cid)
            if askers is None or asker not in askers:
                continue
            askers.discard(asker)
            if not askers:
                del self._asked[cid]
                back.append(cid)
        self._queue.extendleft(reversed(back))

    def _take_over(self, asker: Hashable, lacks: Container[Cid], max_count: int) -> list[Cid]:
        taken: list[Cid] = []
        room = ENDGAME_BYTES
        for cid, askers in reversed(self._asked.items()):  # who was asked gets to the last ones last
            if len(taken) >= max_count or room <= 0:
                break
            if len(askers) < ASKERS_PER_BLOCK and asker not in askers and cid not in lacks:
                taken.append(cid)
                room -= self._bytes[cid]
        for cid in taken:
            self._asked[cid].add(asker)
        return taken
