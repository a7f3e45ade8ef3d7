"""A steward's watch: what our own tally adopted all through the cooldown of its class is sealed, by itself and once.

Records cannot watch a clock (anybody may date a ballot back), so the time since which a question is adopted is what this node saw: it
is kept in the store, and forgotten as soon as the question is seen not adopted. Time that the node was off counts, as long as nothing
speaks against it afterwards. Nothing is sealed on a view that is provisional, and of two futures of one charter only ever the first: a
second seal would void both (`core.seals`). Called by the node; signs through the door like everything else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import trio

from p2pnode.core.fields import digest
from p2pnode.core.ids import CIRCLE_PREFIX, QUESTION_PREFIX, CircleId, PublicKey, QuestionId, RecordId, id_text
from p2pnode.core.proposals import RULE_CLASSES, SEALED_CLASSES, seal
from p2pnode.core.record import CHARTER, PROPOSAL, SEAL, Record
from p2pnode.core.verdict import CircleView
from p2pnode.errors import P2pnodeError
from p2pnode.ports import Store, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.circle_set import introduced
from p2pnode.services.me import Me
from p2pnode.services.views import Views

log = logging.getLogger("p2pnode.sealing")

WATCH_INTERVAL_S = 600.0
"""Between two looks at what is adopted; cooldowns are counted in days."""
SETTLE_S = 1.0
"""After a change of records, before the next look: they come in bursts."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A question of a sealed class that our tally adopts, upon the charter in force."""

    question: QuestionId
    upon: RecordId
    cooldown_s: int
    is_rule: bool


class Sealing:
    """Sealing, on one node. `is_provisional` says whether a circle's view may still lack much."""

    def __init__(
        self,
        store: Store,
        admission: Admission,
        views: Views,
        me: Me,
        clock: WallClock,
        is_provisional: Callable[[CircleId], bool],
    ) -> None:
        self._store, self._admission, self._views = store, admission, views
        self._me, self._clock, self._is_provisional = me, clock, is_provisional
        self._changed = trio.Event()
        self._due_in_s: dict[CircleId, float] = {}
        """How long after the last look the next cooldown of a circle ends."""
        admission.watch(lambda change: self._changed.set())

    async def run(self) -> None:
        """Look at every circle after each change of records, and now and then."""
        while True:
            self._changed = trio.Event()
            self._due_in_s.clear()
            for circle in await self._store.read(lambda tx: tx.circles()):
                try:
                    await self.watch(circle)
                except P2pnodeError as error:
                    log.info("sealing in %s waits: %s", id_text(CIRCLE_PREFIX, circle)[:10], error.message)
            with trio.move_on_after(min([WATCH_INTERVAL_S, *self._due_in_s.values()])):
                await self._changed.wait()
                await trio.sleep(SETTLE_S)

    async def watch(self, circle: CircleId) -> list[QuestionId]:
        """One look at one circle: note what is adopted since when, seal what is due. What was sealed."""
        me, concerns_us = await self._store.read(lambda tx: self._concerned(tx, circle))
        if not concerns_us:  # most people are no stewards: a circle is not counted for them
            return []
        candidates = await self._views.ask(circle, lambda view: _candidates(view, me))
        now, provisional = self._clock(), self._is_provisional(circle)

        def write(tx: Tx) -> list[QuestionId]:
            since = _note(tx, circle, candidates, now)
            left = {one.question: one.cooldown_s - (now - since[one.question]) for one in candidates}
            if pending := [seconds for seconds in left.values() if seconds > 0]:
                self._due_in_s[circle] = max(SETTLE_S, min(pending))
            due = [one for one in candidates if left[one.question] <= 0 and not provisional]
            return [one.question for one in due if self._seal(tx, circle, one, now)]

        if not candidates and not await self._store.read(lambda tx: tx.meta_with_prefix(_prefix(circle))):
            return []
        sealed = await self._store.write(write)
        if sealed:
            self._admission.changed(circle)
        for question in sealed:
            log.info("sealed %s", id_text(QUESTION_PREFIX, question))
        return sealed

    def _concerned(self, tx: Tx, circle: CircleId) -> tuple[PublicKey, bool]:
        """Our key, and whether any charter, in force or not, names it as a steward's, or we noted something before."""
        me, genesis = self._me.key(tx, circle).public, tx.record(RecordId(circle))
        charters = [*tx.records(circle, kinds=(CHARTER,)), *([genesis] if genesis else [])]
        return me, me in introduced(charters) or bool(tx.meta_with_prefix(_prefix(circle)))

    def _seal(self, tx: Tx, circle: CircleId, one: _Candidate, now: float) -> bool:
        key = self._me.key(tx, circle)
        own = tx.records(circle, kinds=[SEAL], author=key.public)
        if any(_excludes(tx, record, one) for record in own):
            return False
        seq, created = tx.next_seq(key.public, now)
        record = seal(key, circle=circle, question=one.question, upon=one.upon, seq=seq, created=created)
        self._admission.admit_own(tx, record, now)
        return True


def _candidates(view: CircleView, me: PublicKey) -> list[_Candidate]:
    if not view.is_steward(me):
        return []
    found = []
    for asked in view.questions():
        question, rule = asked.question, view.charter.classes.get(asked.question.class_)
        if question.class_ not in SEALED_CLASSES or rule is None or not rule.sealed:
            continue
        decision = view.decide(question.id)
        if decision.tally.outcome == "adopted" and decision.state == "adopted" and not decision.effective:
            is_rule = question.class_ in RULE_CLASSES
            found.append(_Candidate(question.id, view.charter.id, rule.cooldown_s, is_rule))
    return found


def _excludes(tx: Tx, held: Record, one: _Candidate) -> bool:
    """Whether a seal of ours forbids this one: it is the same, or it seals another future of the same charter."""
    if digest(held.fields, "base") != one.upon:
        return False
    return held.target == one.question or (one.is_rule and _is_about_rules(tx, held))


def _is_about_rules(tx: Tx, held: Record) -> bool:
    asked = tx.records(held.circle, kinds=[PROPOSAL], target=held.target)
    return any(record.fields["class"] in RULE_CLASSES for record in asked)


def _note(tx: Tx, circle: CircleId, candidates: list[_Candidate], now: float) -> dict[QuestionId, int]:
    """Since when each candidate is seen adopted; what is no candidate any more is forgotten."""
    wanted = {_name(circle, one.question): one.question for one in candidates}
    held = dict(tx.meta_with_prefix(_prefix(circle)))
    for name in held.keys() - wanted.keys():
        tx.set_meta(name, None)
    since: dict[QuestionId, int] = {}
    for name, question in wanted.items():
        if name not in held:
            tx.set_meta(name, int(now).to_bytes(8, "big"))
        since[question] = int.from_bytes(held[name], "big") if name in held else int(now)
    return since


def adopted_since(tx: Tx, circle: CircleId, question: QuestionId) -> int | None:
    """Since when this node, a steward's, sees a sealed question adopted (seconds since 1970); None where it watches none."""
    held = tx.get_meta(_name(circle, question))
    return None if held is None else int.from_bytes(held, "big")


def forget_circle(tx: Tx, circle: CircleId) -> None:
    """We left it."""
    for name, _ in tx.meta_with_prefix(_prefix(circle)):
        tx.set_meta(name, None)


def _prefix(circle: CircleId) -> str:
    return f"seal/{circle.hex()}/"


def _name(circle: CircleId, question: QuestionId) -> str:
    return _prefix(circle) + question.hex()
