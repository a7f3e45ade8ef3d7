"""From signed manifests to rows of the catalogue, and from rows to what people and programs read.

Every manifest that is kept or shown passes here: published, fetched, heard in a search, or admitted through a circle.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pnode.core.explain import to_json
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, NO_CIRCLE, QUESTION_PREFIX, WORK_PREFIX, WorkId, id_text
from p2pnode.core.manifest import Manifest
from p2pnode.core.record import Record
from p2pnode.core.verdict import CircleView
from p2pnode.core.words import work_words
from p2pnode.errors import NotFoundError
from p2pnode.ports import Json, Store, Tx, Work
from p2pnode.services.views import Views


def work_row(record: Record, *, state: str, private: bool, added: float) -> Work:
    """The catalogue row of a manifest record. DecodeError if it is no readable manifest."""
    manifest = Manifest.of(record)
    return Work(
        id=work_id(record),
        manifest=record,
        root=manifest.root,
        title=manifest.title,
        kind=manifest.kind,
        creators=tuple(creator.name for creator in manifest.creators),
        licence=manifest.licence,
        bytes=manifest.bytes,
        files=manifest.files,
        state=state,  # type: ignore[arg-type]  # one of the three literals, given by our own callers
        private=private,
        circle=record.circle,
        author=record.author,
        added=added,
    )


def work_id(record: Record) -> WorkId:
    """A work is named by its first manifest, whatever revision this is."""
    return WorkId(record.target if "base" in record.fields else record.id)


def put_manifest(tx: Tx, record: Record, *, state: str, private: bool, added: float) -> Work | None:
    """Insert the work, or replace it by a newer manifest of the same author; a work we hold never falls back to heard.

    None for a revision of a work that is not held: only the first manifest, whose id names the work, proves who its author is.
    """
    row = work_row(record, state=state, private=private, added=added)
    held = tx.work(row.id)
    if held is None and "base" in record.fields:
        return None
    if held is not None:
        if held.author != row.author or (held.manifest.created, held.manifest.id) > (record.created, record.id):
            return held
        if state == "heard":
            if held.state != "heard":
                return held
            row = work_row(record, state="heard", private=held.private, added=held.added)
    manifest = Manifest.of(record)
    tx.put_work(row, summary=manifest.summary, tags=manifest.tags, words=work_words(manifest))
    return row


async def verdicts(store: Store, views: Views, works: Sequence[WorkId]) -> dict[WorkId, list[Json]]:
    """What each of our circles says of these works; circles whose charter has not arrived say nothing."""
    answers: dict[WorkId, list[Json]] = {work: [] for work in works}
    for circle in await store.read(lambda tx: tx.circles()):
        try:
            told = await views.ask(circle, lambda view: [_verdict(view, work) for work in works])
        except NotFoundError:
            continue
        for work, verdict in zip(works, told, strict=True):
            answers[work].append(verdict)
    return answers


def _verdict(view: CircleView, work: WorkId) -> Json:
    verdict, edited = view.work_verdict(work), view.outlook(work).history.fields
    told: Json = {
        "circle": id_text(CIRCLE_PREFIX, view.charter.circle),
        "name": view.charter.name,
        "verdict": verdict.verdict,
        "approve": verdict.approve,
        "reject": verdict.reject,
        "proposal": id_text(QUESTION_PREFIX, verdict.question) if verdict.question else None,
    }
    return told | {"fields": to_json(edited)} if edited else told


def hit(work: Work, verdicts: list[Json], *, local: bool, providers: int | None = None) -> Json:
    """A work as `search` and `list` answer it (the public contract of the command line)."""
    answer: Json = {
        "work": id_text(WORK_PREFIX, work.id),
        "title": work.title,
        "cid": str(work.root),
        "kind": work.kind,
        "creators": creators(Manifest.of(work.manifest)),
        "licence": work.licence,
        "bytes": work.bytes,
        "files": work.files,
        "verdicts": verdicts,
        "local": local,
    }
    if providers is not None:
        answer["providers"] = providers
    return answer


def creators(manifest: Manifest) -> list[Json]:
    """Names, roles and keys as JSON; a key only where there is one."""
    return [
        {"name": c.name, "role": c.role} | ({"key": id_text(KEY_PREFIX, c.key)} if c.key is not None else {})
        for c in manifest.creators
    ]


def details(work: Work) -> Json:
    """The rest of a manifest, for `show`."""
    manifest = Manifest.of(work.manifest)
    return {
        "state": work.state,
        "private": work.private,
        "summary": manifest.summary,
        "language": manifest.language,
        "tags": list(manifest.tags),
        "identifiers": [{"scheme": i.scheme, "value": i.value} for i in manifest.identifiers],
        "sources": list(manifest.sources),
        "author": id_text(KEY_PREFIX, work.author),
        "signed_as": "profile" if work.circle == NO_CIRCLE else "pseudonym",
        "circle": None if work.circle == NO_CIRCLE else id_text(CIRCLE_PREFIX, work.circle),
        "published": work.manifest.created,
        "added": work.added,
    }
