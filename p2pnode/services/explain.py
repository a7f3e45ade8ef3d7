"""The journey "why": a verdict that anyone can compute again, and beside it what only this node knows.

`verdict` has the same bytes on every node with the same records and day; `local` says how complete ours are and what we did;
`ballots` are those of the verdict with the reasons that were given; `text` tells all of it in sentences.
"""

from __future__ import annotations

from p2pnode.core import picture, telling
from p2pnode.core.ballot_words import ballot_lines
from p2pnode.core.ids import (
    KEY_PREFIX,
    QUESTION_PREFIX,
    RECORD_PREFIX,
    WORK_PREFIX,
    CircleId,
    QuestionId,
    RecordId,
    WorkId,
    id_text,
    parse_id,
    split_text,
)
from p2pnode.core.picture_svg import svg
from p2pnode.core.record import PROPOSAL
from p2pnode.core.verdict import CircleView
from p2pnode.errors import AmbiguousError, NotFoundError, UsageError
from p2pnode.ports import Json, Store, Tx
from p2pnode.services.inherited import records_of
from p2pnode.services.me import Me
from p2pnode.services.partings import parting_lines
from p2pnode.services.pruning import lacking
from p2pnode.services.questions import circle_of_question
from p2pnode.services.resolve import SHOWN_CHARACTERS, circle_name, find_circle, find_question, find_work
from p2pnode.services.sync import Sync
from p2pnode.services.views import Views

READ_BALLOTS = 50
"""Whose reasons are read: some milliseconds; with all of them at their longest the answer is still one line of the control socket."""
REASON_CHARACTERS = 300
"""Of a reason in the answer; a record could hold a book."""


class Explain:
    """Explaining verdicts on works and the state of questions."""

    def __init__(self, store: Store, views: Views, me: Me, sync: Sync) -> None:
        self._store, self._views, self._me, self._sync = store, views, me, sync

    async def run(self, text: str, circle_text: str | None, *, as_svg: bool = False) -> Json:
        """`text` is a work or a proposal; `as_svg` adds the flow as a drawing. NotFoundError when no circle of ours knows it,
        AmbiguousError when several do.
        """
        parts = split_text(text)
        if parts is not None and parts[0] == QUESTION_PREFIX:
            question, circle = await self._store.read(lambda tx: _question(tx, text, circle_text))
            told = await self._views.ask(circle, lambda view: view.explain(question))
            decisive: QuestionId | None = question
        elif parts is None or parts[0] != WORK_PREFIX:
            raise UsageError(
                f"{text[:SHOWN_CHARACTERS]!r} is neither a work nor a proposal",
                hint="a work looks like w-abcdef... (p2pnode search), a proposal like p-abcdef... (p2pnode proposals)",
            )
        else:
            work, circle = await self._work(text, circle_text)
            told, decisive = await self._views.ask(circle, lambda view: _explain_work(view, work))
        local = await self._local(circle, decisive)
        parted = await self._views.ask(circle, lambda view: parting_lines(view, decisive)) if decisive else []
        ballots = await self._store.read(lambda tx: _ballots(tx, told.get("decided_by", told)))
        said = ballot_lines(ballots, local.pop("me"), _cast(told.get("decided_by", told)))
        lines = [*telling.text(told), *said, *parted, *_local_lines(local)]
        answer = {"verdict": told, "local": local, "ballots": ballots, "text": lines}
        if decisive is None:
            return answer | ({"picture": [], "svg": None} if as_svg else {"picture": []})
        return answer | await self._views.ask(circle, lambda view: _drawn(view, decisive, as_svg=as_svg))

    async def _work(self, text: str, circle_text: str | None) -> tuple[WorkId, CircleId]:
        work = (await self._store.read(lambda tx: find_work(tx, text))).id
        if circle_text is not None:
            return work, await self._store.read(lambda tx: find_circle(tx, circle_text))
        circles = await self._store.read(lambda tx: tx.circles())
        if not circles:
            raise NotFoundError("you are in no circle, so nobody decided about it", hint="p2pnode circle create NAME")
        asked = [c for c in circles if await self._views.ask(c, lambda view: bool(view.work_questions(work)))]
        chosen = asked or circles
        if len(chosen) > 1:
            names = await self._store.read(lambda tx: [circle_name(tx, circle) for circle in chosen])
            raise AmbiguousError(f"several circles could answer: {', '.join(names)}", hint="choose one with --circle")
        return work, chosen[0]

    async def _local(self, circle: CircleId, question: QuestionId | None) -> Json:
        key, name = await self._store.read(lambda tx: (self._me.key(tx, circle).public, circle_name(tx, circle)))
        missing = await self._store.read(lambda tx: lacking(tx, circle, question))
        own = None
        if question is not None:
            ballots = await self._views.ask(circle, lambda view: view.ballots(question))
            own = next((ballot.choice for ballot in ballots if ballot.key == key), None)
        return {
            "circle_name": name,
            "provisional": self._sync.is_provisional(circle),
            "last_sync": self._sync.last_sync(circle),
            "partial": missing,
            "own_ballot": own,
            "me": id_text(KEY_PREFIX, key),
        }


def _question(tx: Tx, text: str, circle_text: str | None) -> tuple[QuestionId, CircleId]:
    question = find_question(tx, text)
    wanted = None if circle_text is None else find_circle(tx, circle_text)
    if wanted is None:
        return question, circle_of_question(tx, question)
    if records_of(tx, wanted, PROPOSAL, target=question):
        return question, wanted
    raise NotFoundError("that proposal belongs to another circle", hint="leave out --circle, or name its own")


def _ballots(tx: Tx, told: Json) -> list[Json]:
    """Ballots of a question in the order of the verdict, each with the reason that its author gave; a body that is gone gives none."""
    found = []
    for ballot in told.get("ballots", [])[:READ_BALLOTS]:
        record = tx.record(RecordId(parse_id(RECORD_PREFIX, ballot["records"][-1]))) if ballot["records"] else None
        reason = str(record.fields["reason"])[:REASON_CHARACTERS] if record is not None else ""
        found.append({name: ballot[name] for name in ("key", "choice", "why")} | {"reason": reason})
    return found


def _cast(told: Json) -> int:
    return len(told.get("ballots", [])) + int(told.get("ballots_omitted", 0))


def _drawn(view: CircleView, question: QuestionId, *, as_svg: bool) -> Json:
    """The flow in lines of text, and as a drawing if it is asked for; nothing where there is none."""
    seen = picture.picture_of(view, question)
    drawn: Json = {"picture": picture.lines(seen) if seen else []}
    return drawn | ({"svg": svg(seen) if seen else None} if as_svg else {})


def _explain_work(view: CircleView, work: WorkId) -> tuple[Json, QuestionId | None]:
    return view.explain_work(work), view.work_verdict(work).question


def _local_lines(local: Json) -> list[str]:
    lines = []
    if local["provisional"]:
        lines.append("Provisional: this node has not compared records with enough other members yet.")
    if local["partial"]:
        lines.append(
            f"Partial: of {local['partial']} records that might change this only the ids are kept here, as the circle is over its cap."
        )
    if local["own_ballot"]:
        lines.append(f"Your own ballot: {local['own_ballot']}.")
    return lines
