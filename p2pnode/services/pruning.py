"""Keeps a circle within its cap: bodies that change no verdict are dropped, ids stay (design 4.5).

Looks after every change of records whether a circle has more than it may, at a number in memory; only then everything is counted,
in a worker thread. What was pruned and might change a verdict is told beside it: `lacking`. Started by the node.
"""

from __future__ import annotations

import logging

import trio

from p2pnode.core.ids import CIRCLE_PREFIX, CircleId, PublicKey, QuestionId, id_text
from p2pnode.core.pruning import MAX_WHOLE_RECORDS, PRUNED_SHARE, Needs, to_prune
from p2pnode.core.record import BALLOT, PROPOSAL, VOUCH, WITHDRAW
from p2pnode.errors import P2pnodeError
from p2pnode.ports import Store, Tx
from p2pnode.services.admission import Admission, Change
from p2pnode.services.counting import Counting
from p2pnode.services.me import Me
from p2pnode.services.views import Views

log = logging.getLogger("p2pnode.pruning")

SETTLE_S = 5.0
"""After a circle went over its cap, before anything is dropped: records come in bursts."""
READ_BY_ALL = (PROPOSAL, VOUCH, WITHDRAW)
"""Kinds of which a missing body may change any verdict of the circle."""


def lacking(tx: Tx, circle: CircleId, question: QuestionId | None) -> int:
    """How many bodies are missing here that might change what we say of a question, or of a work that nobody asked about: None."""
    about_all = tx.count_stubs(circle, kinds=READ_BY_ALL)
    return about_all + (tx.count_stubs(circle, kinds=(BALLOT,), target=question) if question is not None else 0)


class Pruning:
    """Pruning on one node. `cap` is an argument only so that tests reach it."""

    def __init__(
        self, store: Store, admission: Admission, views: Views, me: Me, *, cap: int = MAX_WHOLE_RECORDS
    ) -> None:
        self._store, self._admission, self._views, self._me, self._cap = store, admission, views, me, cap
        self._counting = Counting(views)
        self._full: set[CircleId] = set()
        self._woken = trio.Event()
        admission.watch(self._changed)

    async def run(self) -> None:
        """Prune whatever circle goes over its cap."""
        while True:
            await self._woken.wait()
            self._woken = trio.Event()
            await trio.sleep(SETTLE_S)
            for circle in sorted(self._full):
                self._full.discard(circle)
                try:
                    await self.prune(circle)
                except P2pnodeError as error:
                    log.info("pruning %s waits: %s", id_text(CIRCLE_PREFIX, circle)[:10], error.message)

    async def prune(self, circle: CircleId) -> int:
        """Bring one circle below its cap, if it is over it. How many bodies were dropped. NotFoundError if we are not in it."""
        over = (await self._admission.circle_set(circle)).whole - self._cap
        if over <= 0:
            return 0
        count = over + int(PRUNED_SHARE * self._cap)
        view = await self._counting.whole(circle)  # piece by piece: a large circle takes minutes
        needs = await self._views.ask_of(circle, view, Needs.of)
        ids = await self._store.read(lambda tx: to_prune(tx.outlines(circle), needs, self._key(tx, circle), count))
        dropped = await self._admission.strip(circle, ids)
        log.warning(
            "%s is over its cap: %d records are kept by their ids only", id_text(CIRCLE_PREFIX, circle), dropped
        )
        return dropped

    def _key(self, tx: Tx, circle: CircleId) -> PublicKey:
        return self._me.key(tx, circle).public

    def _changed(self, change: Change) -> None:
        held = self._admission.held_set(change.circle)
        if held is not None and held.whole > self._cap:
            self._full.add(change.circle)
            self._woken.set()
