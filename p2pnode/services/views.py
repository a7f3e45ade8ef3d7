"""One computed view of each circle: members, decisions, verdicts. Cached until a record arrives or the day changes.

The tally is a pure function of a circle's records and the UTC day; here it meets the store. Counting runs in a worker
thread, because a large circle takes longer than the event loop may wait. Used by circles, ballots, search and explain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from p2pnode.core.charter import Charter
from p2pnode.core.ids import CircleId, RecordId
from p2pnode.core.record import CHARTER, Record
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError
from p2pnode.ports import Store, WallClock

T = TypeVar("T")
DAY_S = 86_400
"""Seconds of a UTC day; 1970 began one."""


@dataclass(slots=True)
class _Cached:
    view: CircleView
    day: int
    lock: trio.Lock = field(default_factory=trio.Lock)


class Views:
    """The circles of this node, as tallied now."""

    def __init__(self, store: Store, clock: WallClock) -> None:
        self._store = store
        self._clock = clock
        self._cached: dict[CircleId, _Cached] = {}

    async def of(self, circle: CircleId) -> CircleView:
        """The view of a circle that we hold. NotFoundError if its charter is not here (yet)."""
        return (await self._entry(circle)).view

    async def ask(self, circle: CircleId, question: Callable[[CircleView], T]) -> T:
        """Compute something on the view in a worker thread; one at a time per circle, because a view caches inside."""
        entry = await self._entry(circle)
        async with entry.lock:
            return await trio.to_thread.run_sync(question, entry.view)

    def forget(self, circle: CircleId) -> CircleView | None:
        """Records changed: the next `of` counts again. The old view is returned for whoever wants to compare."""
        entry = self._cached.pop(circle, None)
        return entry.view if entry else None

    async def _entry(self, circle: CircleId) -> _Cached:
        day = int(self._clock()) // DAY_S
        entry = self._cached.get(circle)
        if entry is None or entry.day != day:
            records = await self._store.read(lambda tx: tx.records(circle))
            genesis = await self._store.read(lambda tx: tx.record(RecordId(circle)))
            charter = _charter(circle, genesis)
            entry = self._cached[circle] = _Cached(CircleView(charter, records, day), day)
        return entry


def _charter(circle: CircleId, genesis: Record | None) -> Charter:
    if genesis is None or genesis.kind != CHARTER:
        raise NotFoundError(
            "the charter of this circle has not arrived yet",
            hint="it comes with the next sync; see: p2pnode circle list",
        )
    return Charter.of(genesis)
