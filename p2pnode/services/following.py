"""What a circle says now against what was last told of it: verdicts that flipped, and what concerns this person.

Records come in bursts; each burst is compared once with the view that was told last, whatever came in between, so nothing is told
twice and nothing is left out. Called by the node when records of a circle have changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import trio

from p2pnode.core.concerns import Concern, concerns
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    QUESTION_PREFIX,
    WORK_PREFIX,
    CircleId,
    PublicKey,
    QuestionId,
    WorkId,
    id_text,
)
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError
from p2pnode.ports import Emit, Store, Tx
from p2pnode.services.fork_news import new_forks
from p2pnode.services.me import Me
from p2pnode.services.newcomers import with_welcome
from p2pnode.services.notices import Notices
from p2pnode.services.views import Views

COMPARED_AT_ONCE = 16
"""Works, in one turn of the worker thread that a circle has: a tenth of a second in a circle of two thousand members."""

Flip = tuple[WorkId, str, str, QuestionId | None]
"""A work, its verdict before and after, and the question that decides it now."""


class Following:
    """One node's memory of what it told."""

    def __init__(self, store: Store, views: Views, me: Me, notices: Notices, emit: Emit) -> None:
        self._store, self._views, self._me = store, views, me
        self._notices, self._emit = notices, emit
        self._told: dict[CircleId, CircleView] = {}
        self._locks: dict[CircleId, trio.Lock] = defaultdict(trio.Lock)
        self._waiting: set[CircleId] = set()

    async def follow(self, circle: CircleId, before: CircleView | None) -> None:
        """Records changed; `before` is the view of the time before, for the first time. Nothing is told of a circle we left meanwhile."""
        if (
            circle in self._waiting
        ):  # whoever waits will see what changed now, too: a sync brings changes by the hundred
            return
        self._waiting.add(circle)
        async with self._locks[circle]:
            self._waiting.discard(circle)
            try:
                await self._follow(circle, self._told.get(circle, before))
            except NotFoundError:
                self._told.pop(circle, None)
                self._locks.pop(circle, None)

    async def _follow(self, circle: CircleId, before: CircleView | None) -> None:
        def read(tx: Tx) -> tuple[PublicKey, frozenset[WorkId]]:
            return self._me.key(tx, circle).public, frozenset(work.id for work in tx.works())

        me, mine = await self._store.read(read)
        view, found = await self._views.of(circle), list[Concern]()
        flips: list[Flip] = []
        if before is not None and before is not view:
            works = await self._views.ask_of(circle, view, partial(_works_to_compare, before))
            for at in range(0, len(works), COMPARED_AT_ONCE):
                part = works[at : at + COMPARED_AT_ONCE]
                flips += await self._views.ask_of(circle, view, partial(_flips, before, part))
            found = await self._views.ask_of(circle, view, lambda after: concerns(before, after, me, mine))
        found = await with_welcome(self._store, self._views, circle, me, found)
        found += await new_forks(self._store, self._views, circle, me)
        self._told[circle] = view
        for flip in flips:
            await self._tell(circle, flip)
        if found:
            await self._notices.keep(circle, view.charter.name, found)

    async def _tell(self, circle: CircleId, flip: Flip) -> None:
        work, was, now, question = flip
        row = await self._store.read(lambda tx: tx.work(work))
        self._emit(
            "verdict.changed",
            {
                "title": row.title if row else "",
                "circle": id_text(CIRCLE_PREFIX, circle),
                "work": id_text(WORK_PREFIX, work),
                "proposal": None if question is None else id_text(QUESTION_PREFIX, question),
                "before": was,
                "after": now,
                "reason": f"the ballots now say {now.replace('_', ' ')}, it was {was.replace('_', ' ')}",
            },
        )


def _works_to_compare(before: CircleView, after: CircleView) -> list[WorkId]:
    """Those whose questions changed; all of them where members or rules did."""
    changed = after.changed_since(before)
    if changed is None:
        return after.works()
    asked = (after.question(id) for id in changed)
    return sorted({one.work for one in asked if one is not None and one.work is not None})


def _flips(before: CircleView, works: Sequence[WorkId], after: CircleView) -> list[Flip]:
    flips: list[Flip] = []
    for work in works:
        was, now = before.work_verdict(work), after.work_verdict(work)
        if was.verdict != now.verdict:
            flips.append((work, was.verdict, now.verdict, now.question))
    return flips
