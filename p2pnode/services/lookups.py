"""Works that somebody proposed and that are not known here: one after the other, the network is asked for their manifests.

So that an open question has a title. Bounded, because members decide how many proposals there are: a queue, one search at a time,
and no work asked for again within a while. What is not looked up is found when a person asks for it. Called by the node.
"""

from __future__ import annotations

from collections import OrderedDict

import trio

from p2pnode.core.ids import ID_BYTES, WorkId
from p2pnode.core.record import PROPOSAL, Record
from p2pnode.core.understanding import is_understood
from p2pnode.limits import SEARCH_TIMEOUT_S
from p2pnode.ports import Store
from p2pnode.services.search import Search

WAITING_WORKS = 64
"""Works that wait to be asked for; more are left to whoever opens them."""
ASKED_AGAIN_S = 3600.0
"""Before a work that nobody had is asked for again."""
REMEMBERED_WORKS = 1024
"""Works remembered as asked for."""


class Lookups:
    """The queue and its one worker."""

    def __init__(self, store: Store, search: Search) -> None:
        self._store, self._search = store, search
        self._asked: OrderedDict[WorkId, float] = OrderedDict()
        self._put, self._take = trio.open_memory_channel[WorkId](WAITING_WORKS)

    def noticed(self, record: Record) -> None:
        """A record was admitted; only proposals about works matter."""
        subject = record.fields.get("subject")
        if (
            record.kind != PROPOSAL
            or not isinstance(subject, bytes)
            or len(subject) != ID_BYTES
            or not is_understood(record)
        ):
            return
        work, now = WorkId(subject), trio.current_time()
        if now - self._asked.get(work, -ASKED_AGAIN_S) < ASKED_AGAIN_S:
            return
        try:
            self._put.send_nowait(work)
        except trio.WouldBlock:
            return
        self._asked[work] = now
        while len(self._asked) > REMEMBERED_WORKS:
            self._asked.popitem(last=False)

    async def run(self) -> None:
        """Ask, until cancelled."""
        async for work in self._take:
            await self._look_up(work)

    async def _look_up(self, work: WorkId) -> None:
        if await self._store.read(lambda tx: tx.work(work)) is None:
            await self._search.find_work(work, timeout_s=SEARCH_TIMEOUT_S)
