"""What can be asked about a work: to list it, to change its description, to complain, to take it off the list, to undo that.

Finds what each question has to build on (the manifest that was listed, the last edit, the takedown that is appealed), so that people
only say what they want. Called by `services.circles`; signing is `services.proposing`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from p2pnode.core.charter import Charter
from p2pnode.core.edits import History, is_applicable, overlay, patch_back
from p2pnode.core.ids import CIRCLE_PREFIX, WORK_PREFIX, CircleId, QuestionId, RecordId, WorkId, id_text
from p2pnode.core.proposals import APPEAL, COMPLAINTS, EDIT, FLAG, LIST, TAKEDOWN
from p2pnode.core.record import Value
from p2pnode.core.verdict import CircleView
from p2pnode.core.work_verdict import Outlook
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.local.licence import is_allowed
from p2pnode.ports import Json, Store, Tx, Work
from p2pnode.services.proposing import Proposing
from p2pnode.services.views import Views


@dataclass(frozen=True, slots=True)
class _Listed:
    """A work on a circle's list: the question that put it there, the `work` map that was listed, and what the circle changed."""

    question: QuestionId
    manifest: Mapping[str, Value]
    history: History


class WorkQuestions:
    """Proposals about works, on one node. Answers are {"proposal": id}; each may raise RefusedError, UsageError, NotFoundError."""

    def __init__(self, store: Store, views: Views, proposing: Proposing) -> None:
        self._store, self._views, self._proposing = store, views, proposing

    async def list(self, circle: CircleId, work: WorkId, reason: str = "") -> Json:
        """Ask the circle to list the revision of a work that we hold. RefusedError for a private work or one that is listed."""
        row = await self._store.read(lambda tx: _public_work(tx, work))
        refuse_licence((await self._views.of(circle)).charter, row.licence)
        settled = "this revision of the work is listed there already"
        return await self._proposing.open(circle, LIST, work, row.manifest.id, {}, reason, settled=settled)

    async def flag(self, circle: CircleId, work: WorkId, complaint: str, reason: str = "") -> Json:
        """Raise a complaint of one of the classes in COMPLAINTS; it needs a reason."""
        if complaint not in COMPLAINTS:
            raise UsageError(f"{complaint!r} is no class of complaint", hint=f"one of: {', '.join(COMPLAINTS)}")
        _need(reason, "a complaint needs a reason", "say in a sentence what is wrong, with --reason")
        base = await self._base(circle, work, FLAG, complaint)
        settled = "the circle has agreed with this complaint already"
        return await self._proposing.open(circle, FLAG, work, base, {"complaint": complaint}, reason, settled=settled)

    async def takedown(self, circle: CircleId, work: WorkId, reason: str) -> Json:
        """Ask that the work goes off the circle's list. Nobody's own copy is touched."""
        _need(reason, "a takedown needs a reason", "say in a sentence why, with --reason")
        base = await self._base(circle, work, TAKEDOWN)
        settled = "the circle has taken this work off its list already"
        return await self._proposing.open(circle, TAKEDOWN, work, base, {}, reason, settled=settled)

    async def appeal(self, circle: CircleId, work: WorkId, reason: str) -> Json:
        """Ask that what decided against a work is lifted: its takedown, else the complaint that labels it."""
        _need(reason, "an appeal needs a reason", "say in a sentence what was overlooked, with --reason")
        verdict = await self._views.ask(circle, lambda view: view.work_verdict(work))
        if verdict.verdict not in ("taken_down", "disputed") or verdict.question is None:
            raise RefusedError("there is nothing to appeal: the circle neither took this work down nor disputes it")
        settled = "this appeal was adopted already"
        return await self._proposing.open(circle, APPEAL, work, verdict.question, {}, reason, settled=settled)

    async def edit(self, circle: CircleId, work: WorkId, fields: Mapping[str, Value], reason: str) -> Json:
        """Ask that some fields of the work's description are changed; an empty value takes a field away.

        What is as proposed already is left out; UsageError if nothing remains. The author's manifest stays what it is.
        """
        listed = await self._listed(circle, work)
        now = overlay(listed.manifest, listed.history.fields)
        patch = {name: value for name, value in fields.items() if now.get(name, _EMPTY.get(name, "")) != value}
        if not patch:
            said = f"p2pnode history {id_text(WORK_PREFIX, work)} --circle {id_text(CIRCLE_PREFIX, circle)}"
            raise UsageError("that would change nothing", hint=f"what the circle says of it today: {said}")
        return await self._edit(circle, work, listed, patch, reason)

    async def revert(self, circle: CircleId, work: WorkId, to: QuestionId | None, reason: str) -> Json:
        """Ask that the description is again what it was after an edit (None: as it was listed). It is an edit like any other."""
        listed = await self._listed(circle, work)
        if to is not None and all(one.id != to for one in listed.history.applied):
            raise NotFoundError(
                "that is no edit in force of this work", hint=f"its edits: p2pnode history {id_text(WORK_PREFIX, work)}"
            )
        patch = patch_back(listed.manifest, listed.history, to)
        if not patch:
            raise UsageError("it says that already, so there is nothing to revert")
        return await self._edit(circle, work, listed, patch, reason)

    async def _edit(
        self, circle: CircleId, work: WorkId, listed: _Listed, patch: Mapping[str, Value], reason: str
    ) -> Json:
        if not is_applicable(patch):
            raise UsageError("no description may say this: a field is too long, or a title empty")
        settled = "the circle has adopted this edit already"
        base = listed.history.tip or listed.question
        return await self._proposing.open(circle, EDIT, work, base, patch, reason, settled=settled)

    async def _listed(self, circle: CircleId, work: WorkId) -> _Listed:
        outlook = await self._views.ask(circle, lambda view: view.outlook(work))
        if outlook.listing is None:
            raise RefusedError(
                "this circle does not list the work, so there is nothing to edit",
                hint=f"first: p2pnode propose list {id_text(CIRCLE_PREFIX, circle)} {id_text(WORK_PREFIX, work)}",
            )
        listed = RecordId(outlook.listing.base) if outlook.listing.base else None
        manifest = await self._store.read(lambda tx: _listed_manifest(tx, work, listed))
        return _Listed(outlook.listing.id, manifest, outlook.history)

    async def _base(self, circle: CircleId, work: WorkId, class_: str, complaint: str | None = None) -> bytes:
        """What a complaint or takedown names: the appeal that lifted the last one of its kind, else the manifest it is about."""
        row = await self._store.read(lambda tx: _public_work(tx, work))

        def find(view: CircleView) -> bytes:
            outlook = view.outlook(work)
            listed = outlook.listing.base if outlook.listing else b""
            return _end_of_chain(outlook, class_, complaint) or listed or bytes(row.manifest.id)

        return await self._views.ask(circle, find)


def refuse_licence(charter: Charter, licence: str) -> None:
    """RefusedError if the circle takes only works under some licences, and this one is not among them."""
    if not charter.licences or is_allowed(licence, charter.licences):
        return
    raise RefusedError(
        f"{charter.name!r} takes works under certain licences only, and this one is under {licence or 'none that is named'}",
        hint=f"they are: {', '.join(charter.licences)}",
    )


_EMPTY: Mapping[str, Value] = {"creators": (), "tags": (), "identifiers": (), "sources": ()}
"""What an absent field counts as, where that is not an empty text."""


def _end_of_chain(outlook: Outlook, class_: str, complaint: str | None) -> bytes:
    """Of the chain takedown, appeal, takedown ...: the base of the one in effect, else the last appeal, else b""."""
    same = [one for one in outlook.adopted.values() if one.class_ == class_ and one.complaint == complaint]
    for one in same:
        if one.id not in outlook.lifted:
            return one.base
    lifted, bases = {bytes(one.id) for one in same}, {one.base for one in same}
    appeals = (one.id for one in outlook.adopted.values() if one.class_ == APPEAL and one.base in lifted)
    return next((bytes(id) for id in sorted(appeals) if bytes(id) not in bases), b"")


def _need(reason: str, message: str, hint: str) -> None:
    if not reason.strip():
        raise UsageError(message, hint=hint)


def _public_work(tx: Tx, work: WorkId) -> Work:
    row = tx.work(work)
    if row is None:
        raise NotFoundError("this work's description is not here", hint="search for it or fetch it first")
    if row.private:
        raise RefusedError("this work is private: others could not fetch it", hint="publish it without --private first")
    return row


def _listed_manifest(tx: Tx, work: WorkId, listed: RecordId | None) -> Mapping[str, Value]:
    """The `work` map of the manifest that was listed, if it is here; else of the newest that is."""
    row = _public_work(tx, work)
    record = (tx.record(listed) if listed else None) or row.manifest
    told = record.fields["work"]
    assert isinstance(told, Mapping)
    return told
