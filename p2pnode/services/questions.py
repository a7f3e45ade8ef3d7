"""Proposals as people and programs read them: the question, who asked, how it stands, what is missing, and one's own ballot.

Reads views and the catalogue, writes nothing. Called by `services.circles` and, through it, by the control socket.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from itertools import islice

from p2pnode.core.decision import Decision
from p2pnode.core.explain import to_json
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    KEY_PREFIX,
    QUESTION_PREFIX,
    WORK_PREFIX,
    CircleId,
    PublicKey,
    QuestionId,
    RecordId,
    WorkId,
    id_text,
)
from p2pnode.core.proposals import CHARTER_CHANGE, COMPLAINTS, EDIT, RULE_CLASSES, SEALED_CLASSES
from p2pnode.core.queue import in_order
from p2pnode.core.record import PROPOSAL
from p2pnode.core.records import CHOICES
from p2pnode.core.tally import cost_to_flip
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError
from p2pnode.ports import Json, Store, Tx
from p2pnode.services.charters import charter_changes
from p2pnode.services.counting import Counting
from p2pnode.services.evidence import split_evidence
from p2pnode.services.foresight import foresight
from p2pnode.services.inherited import records_of
from p2pnode.services.me import Me
from p2pnode.services.sealing import adopted_since
from p2pnode.services.turnout import standing
from p2pnode.services.views import Views

MAX_SHOWN = 500
"""Proposals in one answer, newest first: it must fit a line of the control socket, and nobody reads more."""


class Questions:
    """What was proposed in this node's circles."""

    def __init__(self, store: Store, views: Views, me: Me, counting: Counting) -> None:
        self._store, self._views, self._me, self._counting = store, views, me, counting

    async def of_circle(
        self, circle: CircleId, *, only_open: bool = False, counted: CircleView | None = None
    ) -> list[Json]:
        """The questions of one circle, newest first, as far as they are counted. NotFoundError if we are not in it or its charter is not
        here. `counted`: the view of whoever has waited for it already.
        """
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        view = counted or await self._counting.counted(circle)
        asked = await self._views.ask_of(circle, view, lambda view: _told_counted(view, me, only_open=only_open))
        return await self._with_titles(asked)

    async def of_all(self) -> list[Json]:
        """The questions of every circle, newest first."""
        found: list[Json] = []
        for circle in await self._store.read(lambda tx: tx.circles()):
            try:
                found += await self.of_circle(circle)
            except NotFoundError:
                continue  # its charter has not arrived, or we left it meanwhile
        return sorted(found, key=lambda one: one["opened"], reverse=True)[:MAX_SHOWN]

    async def one(self, question: QuestionId) -> Json:
        """One question of a circle of ours, with the key that would sign our ballot. NotFoundError if it is not held here."""
        circle = await self._store.read(lambda tx: circle_of_question(tx, question))
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)

        def read(view: CircleView) -> tuple[list[Json], bool]:
            return told_questions(view, me, [question]), view.is_member(me)

        asked, member = await self._views.ask(circle, read)
        (told,) = await self._with_titles(asked)
        seen = await self._store.read(lambda tx: adopted_since(tx, circle, question))
        return (
            told | {"signed_as": id_text(KEY_PREFIX, me), "member": member} | ({"adopted_since": seen} if seen else {})
        )

    async def queue(self, circle: CircleId | None) -> list[Json]:
        """Open questions that we have not voted on: those that call us first, the oldest first. `calls_you` marks them."""
        circles = await self._store.read(lambda tx: tx.circles()) if circle is None else [circle]
        found: list[Json] = []
        for one in circles:
            try:
                found += await self._with_titles(await self._waiting_for_us(one))
            except NotFoundError:
                if circle is not None:
                    raise
        return sorted(found, key=lambda question: (not question["calls_you"], question["opened"]))[:MAX_SHOWN]

    async def _waiting_for_us(self, circle: CircleId) -> list[Json]:
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)

        def read(view: CircleView) -> list[Json]:
            if not view.is_member(me):
                return []
            still_open = [id for id in _counted(view) if view.state(id) == "open"]
            waiting = [id for id in reversed(still_open) if view.decide(id).choice_of(me) is None]
            order = in_order(waiting, view.members, me)
            return [_told(view, view.decide(id), me) | {"calls_you": calls} for id, calls in order[:MAX_SHOWN]]

        return await self._views.ask_of(circle, await self._counting.counted(circle), read)

    async def about(self, work: WorkId) -> list[Json]:
        """The questions about one work, in every circle."""
        text = id_text(WORK_PREFIX, work)
        return [question for question in await self.of_all() if question["work"] == text]

    async def _with_titles(self, asked: list[Json]) -> list[Json]:
        def titles(tx: Tx) -> list[Json]:
            return [question | {"title": _title(tx, question.pop("subject"))} for question in asked]

        return await self._store.read(titles)


def _counted(view: CircleView) -> list[QuestionId]:
    """Newest first."""
    later = set(view.uncounted())
    return [one.question.id for one in reversed(view.questions()) if one.question.id not in later]


def _told_counted(view: CircleView, me: PublicKey, *, only_open: bool) -> list[Json]:
    chosen = (id for id in _counted(view) if not only_open or view.state(id) == "open")
    return [_told(view, view.decide(id), me) for id in islice(chosen, MAX_SHOWN)]


def told_questions(view: CircleView, me: PublicKey, only: Collection[QuestionId]) -> list[Json]:
    """Some questions of a view, newest first; each carries the bytes of its subject for whoever looks up the title."""
    asked = (one.question.id for one in reversed(view.questions()) if one.question.id in only)
    return [_told(view, view.decide(id), me) for id in islice(asked, MAX_SHOWN)]


def _told(view: CircleView, decision: Decision, me: PublicKey) -> Json:
    question, first = decision.question, decision.asked.proposals[0]
    mine, (reason, evidence) = decision.choice_of(me), split_evidence(str(first.fields["reason"]))
    answer: Json = {
        "proposal": id_text(QUESTION_PREFIX, question.id),
        "circle": id_text(CIRCLE_PREFIX, question.circle),
        "circle_name": view.charter.name,
        "class": question.class_,
        "work": None if question.work is None else id_text(WORK_PREFIX, question.work),
        "reason": reason,
        "by": id_text(KEY_PREFIX, first.author),
        "opened": first.created,
        "approve": decision.approve,
        "reject": decision.reject,
        "abstain": decision.abstain,
        "state": decision.state,
        "effective": decision.effective,
        "mine": mine if mine in CHOICES else None,
        "needs": decision.needs,
        "members": len(view.members),
        "cast": asdict(decision.cast),
        "cost_to_flip": cost_to_flip(decision.tally),
        "standing": standing(view, decision),
        "subject": question.subject if question.work is not None else b"",
    }
    if question.complaint is not None:
        known = COMPLAINTS.get(question.complaint)
        answer |= {"complaint": question.complaint, "remedy": known.remedy if known else ""}
    if evidence:
        answer["evidence"] = evidence
    if question.class_ == EDIT:
        answer["changes"] = to_json(question.patch)
    if question.class_ in SEALED_CLASSES:
        answer |= _about_rules(view, decision)
    return answer


def _about_rules(view: CircleView, decision: Decision) -> Json:
    """Whom or what a question about persons or rules is about."""
    question, told = decision.question, Json()
    if question.class_ != CHARTER_CHANGE:
        told["key"] = id_text(KEY_PREFIX, question.subject)
    if question.class_ in RULE_CLASSES:
        base, named = view.charter_named(RecordId(question.base)), question.charter
        new = view.charter_named(named) if named else None
        told["changes"] = charter_changes(base, new) if base and new else {}
        if base and new and decision.state == "open":
            told["standing"] = standing(view, decision) | foresight(base, new, len(view.members))
    if decision.sealing is not None:
        told["seals"] = {
            "by": [id_text(KEY_PREFIX, key) for key in decision.sealing.by],
            "needed": decision.sealing.needed,
        }
    return told


def _title(tx: Tx, subject: bytes) -> str:
    """The title of a work that is known here; empty until its manifest came."""
    work = tx.work(WorkId(subject)) if subject else None
    return work.title if work else ""


def circle_of_question(tx: Tx, question: QuestionId) -> CircleId:
    """The circle of ours in which a question was asked: there is only one, since the id follows from it; else a fork that inherited it."""
    for circle in tx.circles():
        if tx.records(circle, kinds=[PROPOSAL], target=question):
            return circle
    for circle in tx.circles():
        if records_of(tx, circle, PROPOSAL, target=question):
            return circle
    raise NotFoundError(
        f"no proposal {id_text(QUESTION_PREFIX, question)[:16]} is held here",
        hint="open ones: p2pnode circle show CIRCLE",
    )
