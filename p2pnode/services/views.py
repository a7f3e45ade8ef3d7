"""One computed view of each circle: members, decisions, verdicts. Cached until a record arrives or the day changes.

The tally is a pure function of a circle's records and the UTC day; here it meets the store. Counting runs in a worker
thread, because a large circle takes longer than the event loop may wait. Who belongs to a circle and what was asked is read at once;
ballots stay in the store and are read when a question is asked, as there may be a million. Used by circles, ballots, search and explain.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from weakref import WeakSet

import trio

from p2pnode.core.charter import Charter
from p2pnode.core.ids import CircleId, QuestionId, RecordId
from p2pnode.core.record import BALLOT, CHARTER, Record
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.core.standing import READ_AT_ONCE
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError
from p2pnode.ports import Store, WallClock

T = TypeVar("T")
News = tuple[tuple[Record, ...], tuple[Record, ...], bool]
"""Records that came, those that went with them, and whether that is committed for certain."""
MAX_NEWS = 256
"""Changes of a circle that wait to be counted; of more of them the circle is read again."""


@dataclass(slots=True)
class _Cached:
    view: CircleView
    day: int


class Views:
    """The circles of this node, as tallied now."""

    def __init__(self, store: Store, clock: WallClock) -> None:
        self._store = store
        self._clock = clock
        self._cached: dict[CircleId, _Cached] = {}
        self._outdated: dict[CircleId, CircleView] = {}
        self._changes: Counter[CircleId] = Counter()
        self._building: dict[CircleId, trio.Lock] = {}
        self._asking: dict[CircleId, trio.Lock] = {}
        self._alive: dict[CircleId, WeakSet[CircleView]] = defaultdict(WeakSet)
        """Views that somebody still holds, perhaps to compare: they go on saying what they said."""
        self._news: dict[CircleId, list[News]] = defaultdict(list)
        self._unclear: set[CircleId] = set()
        """Circles of which something changed that `_news` does not tell."""

    async def of(self, circle: CircleId) -> CircleView:
        """The view of a circle that we hold. NotFoundError if its charter is not here (yet)."""
        return (await self._entry(circle)).view

    async def ask(self, circle: CircleId, question: Callable[[CircleView], T]) -> T:
        """Compute something on the view in a worker thread; one at a time per circle, because a view caches inside."""
        return await self.ask_of(circle, (await self._entry(circle)).view, question)

    async def ask_of(self, circle: CircleId, view: CircleView, question: Callable[[CircleView], T]) -> T:
        """As `ask`, on a view that the caller got from `of`. What takes long is asked piece by piece, so that others have their turn."""
        async with self._asking.setdefault(circle, trio.Lock()):
            return await trio.to_thread.run_sync(question, view)

    def forget(
        self,
        circle: CircleId,
        added: Sequence[Record] = (),
        dropped: Sequence[Record] = (),
        *,
        settled: bool = True,
    ) -> CircleView | None:
        """Records changed: the next `of` counts again what they touch. The old view is returned for whoever wants to compare.

        Who names what came and went spares a node that only got ballots the reading of the whole circle. `settled`: it is committed.
        """
        self._changes[circle] += 1
        for view in self._alive[circle]:
            view.remember(added, dropped)
        if (added or dropped) and len(self._news[circle]) < MAX_NEWS:
            self._news[circle].append((tuple(added), tuple(dropped), settled))
        else:
            self._unclear.add(circle)
        entry = self._cached.pop(circle, None)
        if entry is None:
            return self._outdated.get(circle)
        self._outdated[circle] = entry.view
        return entry.view

    def drop(self, circle: CircleId) -> None:
        """We left that circle: keep nothing of it."""
        for held in (self._cached, self._outdated, self._building, self._asking, self._news, self._alive):
            held.pop(circle, None)
        self._unclear.add(circle)
        self._changes[circle] += 1  # a view that is being built now is not kept either

    async def _entry(self, circle: CircleId) -> _Cached:
        async with self._building.setdefault(circle, trio.Lock()):
            day = int(self._clock()) // SECONDS_A_DAY
            entry = self._cached.get(circle)
            if entry is not None and entry.day == day:
                return entry
            previous = entry.view if entry else self._outdated.get(circle)
            changes = self._changes[circle]
            news, unclear = self._news.pop(circle, []), circle in self._unclear
            self._unclear.add(circle)  # until we have a view: a call that is cancelled has forgotten what is new
            if previous is not None and previous.day == day and news and not unclear:
                view = await trio.to_thread.run_sync(_with_news, previous, news)
                if view is not None:
                    if (
                        len(self._news[circle]) == self._changes[circle] - changes
                    ):  # whatever came meanwhile, we know it
                        self._unclear.discard(circle)
                    return self._keep(circle, view, day, changes)
            records, genesis = await self._store.read(
                lambda tx: (tx.records(circle, kinds=READ_AT_ONCE, stubs=True), tx.record(RecordId(circle)))
            )
            charter, ballots_of = _charter(circle, genesis), partial(self._ballots, circle)
            view = await trio.to_thread.run_sync(
                lambda: CircleView(charter, records, day, previous=previous, ballots_of=ballots_of)
            )
            if self._changes[circle] == changes:
                self._unclear.discard(circle)
            return self._keep(circle, view, day, changes)

    def _keep(self, circle: CircleId, view: CircleView, day: int, changes: int) -> _Cached:
        """Remember a new view; one that something overtook is true of a moment ago, and what comes next starts from it."""
        entry = _Cached(view, day)
        self._alive[circle].add(view)
        if self._changes[circle] == changes:
            self._cached[circle] = entry
            self._outdated.pop(circle, None)
        else:
            self._outdated[circle] = view
        return entry

    def _ballots(self, circle: CircleId, question: QuestionId) -> list[Record]:
        """Stubs count as nothing, but two ballots with one number are void also where only their ids are left."""
        return self._store.read_in_thread(lambda tx: tx.records(circle, kinds=(BALLOT,), target=question, stubs=True))


def _with_news(view: CircleView, news: Sequence[News]) -> CircleView | None:
    """The view after all of it, or None if one of them asks for the whole circle."""
    after: CircleView | None = view
    for added, dropped, settled in news:
        after = after.with_news(added, dropped, settled=settled) if after is not None else None
    return after


def _charter(circle: CircleId, genesis: Record | None) -> Charter:
    if genesis is None or genesis.kind != CHARTER:
        raise NotFoundError(
            "the charter of this circle has not arrived yet",
            hint="it comes with the next sync; see: p2pnode circle list",
        )
    return Charter.of(genesis)
