"""What one peer wants of us by Bitswap: a wantlist with limits, most urgent first. Pure: no I/O and no clock.

A want that is taken is answered or put among those that wait for a block we do not have yet. When a list is full newcomers are not
noted (whoever wants them asks again), so that a flood of wants costs nobody but the flooder. Called by services.bitswap_serve.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from itertools import count

from p2pnode.core.bitswap_messages import Entry, Want
from p2pnode.core.cid import Cid

MAX_WANTS_PER_PEER = 4096
"""Wants noted for one peer: four times what go and JavaScript keep of us."""
MAX_WANTS = 65_536
"""Wants noted for all peers together, about 20 MB."""
MIN_WANTS_PER_PEER = 64
"""Wants that any peer may have, however full the others made it."""
MAX_WAITING_PER_PEER = 256
"""Wants for blocks that we lack, kept in case they come; the oldest go first."""


class Room:
    """How many wants all ledgers hold together."""

    def __init__(self, limit: int = MAX_WANTS) -> None:
        self.limit = limit
        self.used = 0


class Ledger:
    """One peer's wants. `refused` counts those that found no place."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._wants: dict[Cid, tuple[int, Entry]] = {}
        self._urgency: list[tuple[int, int, Cid]] = []
        self._waiting: OrderedDict[Cid, Entry] = OrderedDict()
        self._order = count()
        self.refused = 0

    def __len__(self) -> int:
        """Wants that nobody looked at yet."""
        return len(self._wants)

    @property
    def waiting(self) -> int:
        """Wants for blocks that we lacked."""
        return len(self._waiting)

    def apply(self, entries: Iterable[Entry], *, full: bool) -> None:
        """A wantlist came: a full one replaces everything, any other is a change."""
        if full:
            self.clear()
        for entry in entries:
            if entry.cancel:
                self._drop(entry.cid)
                self._waiting.pop(entry.cid, None)
            else:
                self._note(entry)

    def take(self, limit: int) -> list[Entry]:
        """Up to `limit` wants, most urgent first, older ones first among equals; they are forgotten here."""
        taken: list[Entry] = []
        while self._urgency and len(taken) < limit:
            _, order, cid = heapq.heappop(self._urgency)
            noted = self._wants.get(cid)
            if noted is not None and noted[0] == order:  # else it was cancelled, or noted anew
                taken.append(noted[1])
                self._drop(cid)
        return taken

    def wait(self, entry: Entry) -> None:
        """We lack this block: keep the want."""
        self._waiting[entry.cid] = entry
        while len(self._waiting) > MAX_WAITING_PER_PEER:
            self._waiting.popitem(last=False)

    def look_again(self) -> None:
        """Blocks may have come: everything that waits is due again."""
        waiting, self._waiting = self._waiting, OrderedDict()
        for entry in waiting.values():
            self._note(entry)

    def clear(self) -> None:
        """Nothing is wanted any more."""
        self._room.used -= len(self._wants)
        self._wants.clear()
        self._urgency.clear()
        self._waiting.clear()

    def _note(self, entry: Entry) -> None:
        noted = self._wants.get(entry.cid)
        if noted is None:
            if len(self._wants) >= self._allowed():
                self.refused += 1
                return
            self._room.used += 1
        elif noted[1].want is Want.BLOCK and entry.want is Want.HAVE:
            return  # who wants the block learns by it that we have it
        order = next(self._order) if noted is None or noted[1].priority != entry.priority else noted[0]
        self._wants[entry.cid] = (order, entry)
        if noted is None or order != noted[0]:
            heapq.heappush(self._urgency, (-entry.priority, order, entry.cid))
        if len(self._urgency) > 2 * MAX_WANTS_PER_PEER:  # changed and cancelled ones stay in it until they are taken
            self._urgency = [(-e.priority, order, cid) for cid, (order, e) in self._wants.items()]
            heapq.heapify(self._urgency)

    def _allowed(self) -> int:
        return MAX_WANTS_PER_PEER if self._room.used < self._room.limit else MIN_WANTS_PER_PEER

    def _drop(self, cid: Cid) -> None:
        if self._wants.pop(cid, None) is not None:
            self._room.used -= 1
