"""The journey "publish": a path becomes content, a signed manifest and, in a circle, a proposal with one's own ballot.

The files stay where they are: they are read once, hashed in worker threads, and the store learns where each leaf lies. Everything
that makes it a work (manifest, pin, what is to be told) is ONE transaction; the reply comes after it and before the network. A
revision is the same with a manifest that follows the work's newest one. Called by services.publishing, which can pause.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import trio

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    NO_CIRCLE,
    QUESTION_PREFIX,
    WORK_PREFIX,
    CircleId,
    RecordId,
    WorkId,
    id_text,
)
from p2pnode.core.keys import KeyPair
from p2pnode.core.manifest import Creator, Identifier, Manifest, describe, first, revise
from p2pnode.core.record import Record, Value
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.local.events import Scanned
from p2pnode.local.licence import check_licence
from p2pnode.ports import Json, Store, Tx, WallClock, Work
from p2pnode.services.admission import Admission
from p2pnode.services.ballots import list_in_circle
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.me import Me
from p2pnode.services.outbox import enqueue_work
from p2pnode.services.publish_reading import Reading, read_into_store

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

    @classmethod
    def of(cls, manifest: Manifest) -> Description:
        """What a manifest says: a revision says the same unless told otherwise."""
        return cls(
            title=manifest.title,
            kind=manifest.kind,
            summary=manifest.summary,
            licence=manifest.licence,
            language=manifest.language,
            creators=manifest.creators,
            tags=manifest.tags,
            identifiers=manifest.identifiers,
            sources=manifest.sources,
        )

    def fields(self, root: Cid, size: int, files: int) -> dict[str, Value]:
        """The `work` map of a manifest. UsageError if something in it cannot be said; a licence that is no SPDX expression too."""
        return describe(
            title=self.title,
            root=root,
            bytes=size,
            files=files,
            kind=self.kind,
            summary=self.summary,
            creators=self.creators,
            licence=check_licence(self.licence) if self.licence else "",
            language=self.language,
            tags=self.tags,
            identifiers=self.identifiers,
            sources=self.sources,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be published, and how. `revises`: a new revision of that work of ours, in its circle, as private as it is."""

    path: str
    description: Description
    circle: CircleId | None = None
    private: bool = False
    revises: WorkId | None = None


class RepeatedError(RefusedError):
    """Exactly this is published already: there is nothing to keep for another try."""


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
        """Publish a file or folder in place, at one go: what fails or is cancelled leaves nothing."""
        order = await self.checked(Order(path, description, circle, private))
        content = await self._store.write(lambda tx: self.begin(tx, order), durable=False)
        reading = Reading(order.path, content)
        try:
            await read_into_store(self._store, reading, on_progress)
            return await self.commit(order, reading)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._store.write(lambda tx: tx.drop_building(content), durable=False)
            raise

    async def checked(self, order: Order) -> Order:
        """The order as it is remembered. What is wrong is said before the long read: UsageError, RefusedError or NotFoundError."""
        if order.circle is not None and order.private:
            raise UsageError("a work cannot be private and in a circle", hint="leave out --private or --circle")
        order.description.fields(Cid.of(RAW, b""), 0, 0)
        path, private, said = order.path.rstrip("/") or "/", order.private, order.description
        said = replace(
            said,
            creators=tuple(said.creators),
            tags=tuple(said.tags),
            identifiers=tuple(said.identifiers),
            sources=tuple(said.sources),
        )
        if order.revises is not None:
            work = order.revises
            held, _ = await self._store.read(lambda tx: self._revised(tx, work))
            private = held.private
        return Order(path, said, order.circle, private, order.revises)

    def begin(self, tx: Tx, order: Order) -> int:
        """A new content, for what is read."""
        return tx.begin_content(order.path, owned=False, public=not order.private)

    async def commit(self, order: Order, reading: Reading, also: Callable[[Tx], None] = lambda tx: None) -> Json:
        """The ONE transaction, `also` in it, after everything was read. The answer of `p2pnode publish`."""
        scanned = reading.scanned
        assert scanned is not None
        work = order.description.fields(scanned.root, scanned.size, scanned.files)

        def commit(tx: Tx) -> tuple[Work, bytes | None]:
            write = self._first if order.revises is None else self._revise
            done = write(tx, order, work, reading, scanned)
            also(tx)
            return done

        row, question = await self._store.write(commit)
        self._wake_outbox()
        if row.circle != NO_CIRCLE:
            self._admission.changed(row.circle)
        return _answer(row, question, reading, revision=order.revises is not None)

    def _first(
        self, tx: Tx, order: Order, work: dict[str, Value], reading: Reading, scanned: Scanned
    ) -> tuple[Work, bytes | None]:
        circle, now = order.circle or NO_CIRCLE, self._clock()
        key = self._me.key(tx, circle)
        _refuse_repetition(tx, scanned.root, str(work["title"]), key.public, private=order.private)
        seq, created = tx.next_seq(key.public, now)
        nonce = secrets.token_bytes(NONCE_BYTES)
        record = first(key, work, circle=circle, nonce=nonce, seq=seq, created=created)
        row = self._keep(tx, order, record, reading, scanned)
        if circle == NO_CIRCLE:
            tx.put_record(record, own=True)
            return row, None
        self._admission.admit_own(tx, record, now)
        _, _, question = list_in_circle(tx, self._me, self._admission, circle, record, now)
        return row, question

    def _revise(
        self, tx: Tx, order: Order, work: dict[str, Value], reading: Reading, scanned: Scanned
    ) -> tuple[Work, bytes | None]:
        assert order.revises is not None
        now = self._clock()
        held, key = self._revised(tx, order.revises)
        follows = Manifest.of(held.manifest)
        if Description.of(follows).fields(held.root, held.bytes, held.files) == work:
            raise RepeatedError("nothing has changed since the newest revision", hint="nothing was published")
        seq, created = tx.next_seq(key.public, now)
        created = max(created, follows.created + 1)  # of two in one second the later one must win
        if created // SECONDS_A_DAY != seq >> 16:
            raise RefusedError(
                "the newest revision is dated in the future", hint="see whether the clock is right; try again then"
            )
        record = revise(key, work, follows=follows, seq=seq, created=created)
        row = self._keep(tx, order, record, reading, scanned)
        self._admission.admit_own(tx, record, now)
        if held.root != scanned.root:
            _leave_behind(tx, held.root, order.path)
        return row, None

    def _revised(self, tx: Tx, work: WorkId) -> tuple[Work, KeyPair]:
        held = tx.work(work)
        if held is None:
            raise NotFoundError(f"no work {id_text(WORK_PREFIX, work)} is known here")
        if held.state != "own" or (key := self._me.key(tx, held.circle)).public != held.author:
            raise RefusedError(
                "only the author of a work writes its revisions",
                hint="publish yours as a work of its own, or propose an edit",
            )
        return held, key

    def _keep(self, tx: Tx, order: Order, record: Record, reading: Reading, scanned: Scanned) -> Work:
        now = self._clock()
        tx.complete_content(reading.content, scanned.root, size=scanned.size, files=scanned.files)
        if not order.private:
            tx.set_public(scanned.root, True)
        tx.pin(scanned.root)
        row = put_manifest(tx, record, state="own", private=order.private, added=now)
        assert row is not None, "a first manifest names its own work, and a revised work is held"
        if not order.private:
            enqueue_work(tx, row, now)
        return row


def _leave_behind(tx: Tx, root: Cid, path: str) -> None:
    """The content of the revision before: its manifest stays as history, its files are no longer what it says."""
    if tx.works_with_root(root):
        return
    tx.forget_place(root, path)
    tx.unpin(root)


def _answer(row: Work, question: bytes | None, reading: Reading, *, revision: bool) -> Json:
    answer: Json = {
        "work": id_text(WORK_PREFIX, row.id),
        "cid": str(row.root),
        "bytes": row.bytes,
        "files": row.files,
        "signed_as": "profile" if row.circle == NO_CIRCLE else "pseudonym in " + id_text(CIRCLE_PREFIX, row.circle),
        "skipped": [{"path": s.path, "reason": s.reason} for s in reading.skipped],
        "skipped_count": reading.skipped_count,
    }
    if reading.scanned is not None and reading.scanned.known:
        answer["known_bytes"] = reading.scanned.known
    if revision:
        answer["revision"] = id_text("r", RecordId(row.manifest.id))
    if question is not None:
        answer["proposal"] = id_text(QUESTION_PREFIX, question)
    return answer


def _refuse_repetition(tx: Tx, root: Cid, title: str, author: bytes, *, private: bool) -> None:
    for held in tx.works_with_root(root):
        if held.private and not private:
            continue  # made public now: a work of its own, since the private one's id was never to be told
        if held.author == author and held.title == title and held.state == "own":
            raise RepeatedError(
                f"this very content is already published under that title, as {id_text(WORK_PREFIX, held.id)}",
                hint="nothing was changed; to describe it differently, give another --title",
            )
