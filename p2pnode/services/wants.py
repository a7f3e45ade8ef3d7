"""What one fetch still wants, and who was asked for it: the queue from which providers take. No I/O and no clock of its own.

A wanted block is queued or asked of somebody. When the queue is empty, what was asked last is asked of a second provider too
(the endgame), so that the last blocks do not wait for the slowest. A block that came is forgotten at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

from p2pnode.core.cid import Cid
from p2pnode.limits import MIB

ASKERS_PER_BLOCK = 2
"""Providers that one block is asked of at a time."""
ENDGAME_BYTES = MIB
"""Bytes that one provider takes over at a time in the endgame: each may arrive twice."""


class Wants:
    """Blocks by CID. Askers are any hashable objects, one a provider."""

    def __init__(self) -> None:
        self._bytes: dict[Cid, int] = {}
        self._queue: deque[Cid] = deque()
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
        if first:
            self._queue.extendleft(reversed(fresh))
        else:
            self._queue.extend(fresh)

    def drop(self, cid: Cid) -> bool:
        """No longer wanted. False, and nothing happens, if it was asked of somebody already."""
        return cid not in self._asked and self._bytes.pop(cid, None) is not None

    def take(self, asker: Hashable, lacks: set[Cid], max_bytes: int, max_count: int) -> list[Cid]:
        """Blocks to ask `asker` for: at least one if any fits it, about `max_bytes` together. `lacks` are not asked of it."""
        taken: list[Cid] = []
        passed: list[Cid] = []
        while self._queue and len(taken) < max_count and max_bytes > 0:
            cid = self._queue.popleft()
            if cid not in self._bytes or cid in self._asked:
                continue  # it came after all, from who was given up; or it stood in the queue twice
            if cid in lacks:
                passed.append(cid)
                continue
            taken.append(cid)
            max_bytes -= self._bytes[cid]
            self._asked[cid] = {asker}
        self._queue.extendleft(reversed(passed))
        if not taken and max_bytes > 0:
            taken = self._take_over(asker, lacks, max_count)
        return taken

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

    def _take_over(self, asker: Hashable, lacks: set[Cid], max_count: int) -> list[Cid]:
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
