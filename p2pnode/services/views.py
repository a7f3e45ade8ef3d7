"""One computed view of each circle: members, decisions, verdicts. Cached until a record arrives or the day changes.

The tally is a pure function of a circle's records and the UTC day; here it meets the store. Counting runs in a worker
thread, because a large circle takes longer than the event loop may wait. Used by circles, ballots, search and explain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from p2pnode.core.charter import Charter
from p2pnode.core.ids import CircleId, RecordId
from p2pnode.core.record import CHARTER, Record
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError
from p2pnode.ports import Store, WallClock

T = TypeVar("T")


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
        self._outdated: dict[CircleId, CircleView] = {}
        self._changes: Counter[CircleId] = Counter()
        self._building: dict[CircleId, trio.Lock] = {}

    async def of(self, circle: CircleId) -> CircleView:
        """The view of a circle that we hold. NotFoundError if its charter is not here (yet)."""
        return (await self._entry(circle)).view

    async def ask(self, circle: CircleId, question: Callable[[CircleView], T]) -> T:
        """Compute something on the view in a worker thread; one at a time per circle, because a view caches inside."""
        entry = await self._entry(circle)
        async with entry.lock:
            return await trio.to_thread.run_sync(question, entry.view)

    def forget(self, circle: CircleId) -> CircleView | None:
        """Records changed: the next `of` counts again what they touch. The old view is returned for whoever wants to compare."""
        self._changes[circle] += 1
        entry = self._cached.pop(circle, None)
        if entry is None:
            return self._outdated.get(circle)
        self._outdated[circle] = entry.view
        return entry.view

    def drop(self, circle: CircleId) -> None:
        """We left that circle: keep nothing of it."""
        for held in (self._cached, self._outdated, self._building):
            held.pop(circle, None)
        self._changes[circle] += 1  # a view that is being built now is not kept either

    async def _entry(self, circle: CircleId) -> _Cached:
        async with self._building.setdefault(circle, trio.Lock()):
            day = int(self._clock()) // SECONDS_A_DAY
            entry = self._cached.get(circle)
            if entry is not None and entry.day == day:
                return entry
            previous = entry.view if entry else self._outdated.get(circle)
            changes = self._changes[circle]
            # Stubs count as nothing, but two ballots with one number are void also where only their ids are left.
            records, genesis = await self._store.read(
                lambda tx: (tx.records(circle, stubs=True), tx.record(RecordId(circle)))
            )
            charter = _charter(circle, genesis)
            view = await trio.to_thread.run_sync(lambda: CircleView(charter, records, day, previous=previous))
            entry = _Cached(view, day)
            if self._changes[circle] == changes:  # else it is true of a moment ago, and not kept
                self._cached[circle] = entry
                self._outdated.pop(circle, None)
            return entry


def _charter(circle: CircleId, genesis: Record | None) -> Charter:
    if genesis is None or genesis.kind != CHARTER:
        raise NotFoundError(
            "the charter of this circle has not arrived yet",
            hint="it comes with the next sync; see: p2pnode circle list",
        )
    return Charter.of(genesis)
