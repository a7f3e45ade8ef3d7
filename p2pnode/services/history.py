"""The journey "what became of it": a work's revisions, and in each circle every question about it with its outcome.

Reads the catalogue, the records and the views; writes nothing. What a circle made of the description stands beside the author's own
words, never in their place. Called by the control socket.
"""

from __future__ import annotations

from collections.abc import Mapping

from p2pnode.core.explain import to_json
from p2pnode.core.ids import CIRCLE_PREFIX, RECORD_PREFIX, WORK_PREFIX, CircleId, RecordId, WorkId, id_text
from p2pnode.core.record import MANIFEST, Record
from p2pnode.core.understanding import is_understood
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError
from p2pnode.ports import Json, Store, Tx, Work
from p2pnode.services.me import Me
from p2pnode.services.questions import told_questions
from p2pnode.services.views import Views


class WorkHistory:
    """Histories of works, on one node."""

    def __init__(self, store: Store, views: Views, me: Me) -> None:
        self._store, self._views, self._me = store, views, me

    async def of(self, row: Work, only: CircleId | None) -> Json:
        """The answer of `history`, for every circle of ours that was asked about the work, or for one."""
        revisions = await self._store.read(lambda tx: _revisions(tx, row))
        circles = await self._store.read(lambda tx: tx.circles()) if only is None else [only]
        told = [one for circle in circles if (one := await self._in_circle(circle, row.id, always=only is not None))]
        return {"work": id_text(WORK_PREFIX, row.id), "title": row.title, "revisions": revisions, "circles": told}

    async def _in_circle(self, circle: CircleId, work: WorkId, *, always: bool) -> Json | None:
        me = await self._store.read(lambda tx: self._me.key(tx, circle).public)

        def tell(view: CircleView) -> Json | None:
            asked = set(view.work_questions(work))
            if not asked and not always:
                return None
            questions = told_questions(view, me, asked)
            for question in questions:
                question.pop("subject")
            return {
                "circle": id_text(CIRCLE_PREFIX, circle),
                "name": view.charter.name,
                "verdict": view.work_verdict(work).verdict,
                "fields": to_json(view.outlook(work).history.fields),
                "questions": list(reversed(questions)),
            }

        try:
            return await self._views.ask(circle, tell)
        except NotFoundError:
            if always:
                raise
            return None  # its charter has not arrived


def _revisions(tx: Tx, row: Work) -> list[Json]:
    """The manifests of a work that are held here, oldest first."""
    held = {record.id: record for record in tx.records(row.circle, kinds=[MANIFEST], target=bytes(row.id))}
    held[row.manifest.id] = row.manifest
    if (first := tx.record(RecordId(row.id))) is not None:  # it names the work, and so cannot be about it
        held[first.id] = first
    ordered = sorted((one for one in held.values() if is_understood(one)), key=lambda one: (one.created, one.id))
    return [_revision(record) for record in ordered]


def _revision(record: Record) -> Json:
    work = record.fields["work"]
    assert isinstance(work, Mapping)
    return {
        "record": id_text(RECORD_PREFIX, record.id),
        "created": record.created,
        "title": work["title"],
        "bytes": work["bytes"],
        "files": work["files"],
    }
