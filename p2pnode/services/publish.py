"""The journey "publish": a path becomes content, a signed manifest and, in a circle, a proposal with one's own ballot.

The files stay where they are: they are read once, hashed in a worker thread, and the store learns where each leaf lies. Everything
that makes it a work (manifest, pin, what is to be told) is ONE transaction; the reply comes after it and before the network.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import CIRCLE_PREFIX, NO_CIRCLE, QUESTION_PREFIX, WORK_PREFIX, CircleId, id_text
from p2pnode.core.manifest import Creator, Identifier, describe, first
from p2pnode.core.record import Record, Value
from p2pnode.errors import RefusedError, UsageError
from p2pnode.local.licence import check_licence
from p2pnode.local.tree import Blocks, Event, File, Leaves, Scanned, Skipped, measure, scan
from p2pnode.ports import Json, Store, Tx, WallClock, Work
from p2pnode.services.admission import Admission
from p2pnode.services.ballots import list_in_circle
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.me import Me
from p2pnode.services.outbox import enqueue_work

BATCH_EVENTS = 1000
"""Events of a scan that are stored in one transaction: a commit costs as much as hashing a few MiB."""
PROGRESS_INTERVAL_S = 0.1
"""Progress is told at most ten times a second: more than an eye reads."""
MAX_SKIPPED_TOLD = 200
"""Skipped entries listed in the answer; the count is always whole."""
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Description:
    """What a person says of a work."""

    title: str
    kind: str = ""
    summary: str = ""
    licence: str = ""
    language: str = ""
    creators: Sequence[Creator] = ()
    tags: Sequence[str] = ()
    identifiers: Sequence[Identifier] = ()
    sources: Sequence[str] = ()


@dataclass(slots=True)
class _Scanning:
    """What one scan has come to."""

    content: int
    file: int = -1
    scanned: Scanned | None = None
    skipped: list[Skipped] = field(default_factory=list)


class Publish:
    """Publishing on one node; several may run at once."""

    def __init__(
        self, store: Store, me: Me, admission: Admission, clock: WallClock, wake_outbox: Callable[[], None]
    ) -> None:
        self._store, self._me, self._admission = store, me, admission
        self._clock, self._wake_outbox = clock, wake_outbox

    async def run(
        self,
        path: str,
        description: Description,
        *,
        circle: CircleId | None,
        private: bool,
        on_progress: Callable[[Json], None],
    ) -> Json:
        """Publish a file or folder in place. The answer of `p2pnode publish`."""
        if circle is not None and private:
            raise UsageError("a work cannot be private and in a circle", hint="leave out --private or --circle")
        licence = check_licence(description.licence) if description.licence else ""
        describe(
            title=description.title, root=Cid.of(RAW, b""), bytes=0, files=0
        )  # says what is wrong before the long read
        base = path.rstrip("/") or "/"
        scanning = _Scanning(
            await self._store.write(lambda tx: tx.begin_content(base, owned=False, public=not private), durable=False)
        )
        try:
            scanned = await self._scan(base, scanning, on_progress)
            work = self._describe(description, licence, scanned)
            return await self._commit(scanning, work, circle or NO_CIRCLE, private)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._store.write(lambda tx: tx.drop_building(scanning.content), durable=False)
            raise

    async def _scan(self, base: str, scanning: _Scanning, on_progress: Callable[[Json], None]) -> Scanned:
        total, _ = await trio.to_thread.run_sync(measure, base)
        told = 0.0

        def progress(read: int, files: int, name: str) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= PROGRESS_INTERVAL_S:
                told = now
                trio.from_thread.check_cancelled()
                trio.from_thread.run_sync(on_progress, {"bytes": read, "total": total, "files": files, "path": name})

        def work() -> None:
            batch: list[Event] = []
            for event in scan(base, progress):
                batch.append(event)
                if len(batch) >= BATCH_EVENTS:
                    trio.from_thread.run(self._keep, scanning, batch)
                    batch = []
            trio.from_thread.run(self._keep, scanning, batch)

        await trio.to_thread.run_sync(work)
        assert scanning.scanned is not None, "a scan ends with Scanned"
        return scanning.scanned

    async def _keep(self, scanning: _Scanning, batch: list[Event]) -> None:
        await self._store.write(lambda tx: _keep_batch(tx, scanning, batch), durable=False)

    def _describe(self, description: Description, licence: str, scanned: Scanned) -> dict[str, Value]:
        return describe(
            title=description.title,
            root=scanned.root,
            bytes=scanned.size,
            files=scanned.files,
            kind=description.kind,
            summary=description.summary,
            creators=description.creators,
            licence=licence,
            language=description.language,
            tags=description.tags,
            identifiers=description.identifiers,
            sources=description.sources,
        )

    async def _commit(self, scanning: _Scanning, work: dict[str, Value], circle: CircleId, private: bool) -> Json:
        scanned, now, nonce = scanning.scanned, self._clock(), secrets.token_bytes(NONCE_BYTES)
        assert scanned is not None

        def commit(tx: Tx) -> tuple[Work, bytes | None]:
            key = self._me.key(tx, circle)
            _refuse_repetition(tx, scanned.root, str(work["title"]), key.public, private=private)
            seq, created = tx.next_seq(key.public, now)
            record = first(key, work, circle=circle, nonce=nonce, seq=seq, created=created)
            tx.complete_content(scanning.content, scanned.root, size=scanned.size, files=scanned.files)
            if not private:
                tx.set_public(scanned.root, True)
            tx.pin(scanned.root)
            row = put_manifest(tx, record, state="own", private=private, added=now)
            assert row is not None, "a first manifest names its own work"
            question = self._tell(tx, record, circle, now)
            if not private:
                enqueue_work(tx, row, now)
            return row, question

        row, question = await self._store.write(commit)
        self._wake_outbox()
        if circle != NO_CIRCLE:
            self._admission.changed(circle)
        return self._answer(row, question, scanning)

    def _tell(self, tx: Tx, record: Record, circle: CircleId, now: float) -> bytes | None:
        """The circle's part: the manifest, the proposal to list it and one's own approval."""
        if circle == NO_CIRCLE:
            tx.put_record(record, own=True)
            return None
        self._admission.admit_own(tx, record, now)
        _, _, question = list_in_circle(tx, self._me, self._admission, circle, record, now)
        return question

    def _answer(self, row: Work, question: bytes | None, scanning: _Scanning) -> Json:
        answer: Json = {
            "work": id_text(WORK_PREFIX, row.id),
            "cid": str(row.root),
            "bytes": row.bytes,
            "files": row.files,
            "signed_as": "profile" if row.circle == NO_CIRCLE else "pseudonym in " + id_text(CIRCLE_PREFIX, row.circle),
            "skipped": [{"path": s.path, "reason": s.reason} for s in scanning.skipped[:MAX_SKIPPED_TOLD]],
            "skipped_count": len(scanning.skipped),
        }
        if question is not None:
            answer["proposal"] = id_text(QUESTION_PREFIX, question)
        return answer


def _keep_batch(tx: Tx, scanning: _Scanning, batch: list[Event]) -> None:
    for event in batch:
        if isinstance(event, File):
            scanning.file = tx.add_file(scanning.content, event.path, event.size, event.mtime_ns)
        elif isinstance(event, Leaves):
            tx.add_leaves(scanning.content, scanning.file, event.leaves)
        elif isinstance(event, Blocks):
            tx.add_blocks(scanning.content, event.blocks)
        elif isinstance(event, Skipped):
            scanning.skipped.append(event)
        else:
            scanning.scanned = event


def _refuse_repetition(tx: Tx, root: Cid, title: str, author: bytes, *, private: bool) -> None:
    for held in tx.works_with_root(root):
        if held.private and not private:
            continue  # made public now: a work of its own, since the private one's id was never to be told
        if held.author == author and held.title == title and held.state == "own":
            raise RefusedError(
                f"this very content is already published under that title, as {id_text(WORK_PREFIX, held.id)}",
                hint="nothing was changed; to describe it differently, give another --title",
            )
