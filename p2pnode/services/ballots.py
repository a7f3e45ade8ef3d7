"""The journey "vote": proposing that a work be listed, complaining about one, casting a ballot, taking a proposal back.

Each is one durable transaction: the signed record goes through the door (`Admission.admit_own`), which puts its gossip into the
outbox with it; the reply comes after the commit and before any network. A ballot that would not count is refused, with the
reason and the way out, rather than signed in vain.
"""

from __future__ import annotations

from p2pnode.core import proposals
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    KEY_PREFIX,
    QUESTION_PREFIX,
    RECORD_PREFIX,
    CircleId,
    PublicKey,
    QuestionId,
    RecordId,
    WorkId,
    id_text,
)
from p2pnode.core.keys import KeyPair
from p2pnode.core.manifest import Manifest
from p2pnode.core.proposals import COMPLAINTS, FLAG, LIST
from p2pnode.core.record import BALLOT, PROPOSAL, Record, Value
from p2pnode.core.records import APPROVE, CHOICES, question_id
from p2pnode.core.registers import effective
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.ports import Json, Store, Tx, WallClock, Work
from p2pnode.services.admission import Admission
from p2pnode.services.me import Me
from p2pnode.services.questions import circle_of_question
from p2pnode.services.views import Views


class Ballots:
    """Deciding in circles, on one node."""

    def __init__(self, store: Store, admission: Admission, views: Views, me: Me, clock: WallClock) -> None:
        self._store, self._admission, self._views = store, admission, views
        self._me, self._clock = me, clock

    async def propose_listing(self, circle: CircleId, work: WorkId, reason: str) -> Json:
        """Ask the circle to list the revision of a work that we hold. The answer of `propose list`.

        A question that is open already is returned as it is: the same question has one tally. RefusedError for a private work, one
        that is listed, or when we are no member; NotFoundError if the work's manifest is not here.
        """
        row = await self._store.read(lambda tx: _public_work(tx, work))
        question = question_id(circle, LIST, work, row.manifest.id, {})
        await self._refuse_settled(circle, question, "this revision of the work is listed there already")
        return await self._propose(circle, LIST, work, row.manifest.id, {}, reason)

    async def complain(self, circle: CircleId, work: WorkId, complaint: str, reason: str) -> Json:
        """Raise a complaint of one of the classes in COMPLAINTS; errors as `propose_listing`, and UsageError without a reason."""
        if complaint not in COMPLAINTS:
            raise UsageError(f"{complaint!r} is no class of complaint", hint=f"one of: {', '.join(COMPLAINTS)}")
        if not reason.strip():
            raise UsageError("a complaint needs a reason", hint="say in a sentence what is wrong, with --reason")
        row = await self._store.read(lambda tx: _public_work(tx, work))
        listed = await self._views.ask(circle, lambda view: view.work_verdict(work).manifest)
        base, patch = listed or row.manifest.id, _flag_patch(complaint)
        question = question_id(circle, FLAG, work, base, patch)
        await self._refuse_settled(circle, question, "the circle has agreed with this complaint already")
        return await self._propose(circle, FLAG, work, base, patch, reason)

    async def cast(self, question: QuestionId, choice: str, reason: str) -> Json:
        """Cast a ballot, or replace one's own. The answer of `vote`. NotFoundError, RefusedError, UsageError as above."""
        if choice not in CHOICES:
            raise UsageError(f"{choice!r} is no choice", hint=f"one of: {', '.join(CHOICES)}")
        circle = await self._store.read(lambda tx: circle_of_question(tx, question))
        await self._refuse_strangers(circle, "your ballot would not count")
        state = await self._views.ask(circle, lambda view: view.decide(question).state)
        if state == "withdrawn":
            raise RefusedError("whoever proposed this took it back, so there is nothing to decide")
        now = self._clock()
        ballot = await self._store.write(
            lambda tx: cast_own(tx, self._me, self._admission, circle, question, choice, reason, now)
        )
        self._admission.changed(circle)
        return {
            "ballot": id_text(RECORD_PREFIX, ballot.id),
            "proposal": id_text(QUESTION_PREFIX, question),
            "choice": choice,
            "signed_as": "pseudonym in " + id_text(CIRCLE_PREFIX, circle),
        }

    async def withdraw(self, question: QuestionId) -> Json:
        """Take back one's own proposals of a question; it stays open if somebody else proposed it too."""
        circle = await self._store.read(lambda tx: circle_of_question(tx, question))
        await self._refuse_settled(circle, question, "it is adopted: what is decided can no longer be taken back")
        taken_back = await self._views.ask(circle, lambda view: view.decide(question).asked.withdrawn)
        now = self._clock()

        def write(tx: Tx) -> None:
            key = self._me.key(tx, circle)
            mine = tx.records(circle, kinds=[PROPOSAL], author=key.public, target=question)
            standing = [proposal for proposal in mine if proposal.id not in taken_back]
            if not standing:
                raise NotFoundError("you have no proposal of this question that stands")
            for proposal in standing:
                seq, created = tx.next_seq(key.public, now)
                record = proposals.withdraw(key, circle=circle, proposal=proposal.id, seq=seq, created=created)
                self._admission.admit_own(tx, record, now)

        await self._store.write(write)
        self._admission.changed(circle)
        return {"proposal": id_text(QUESTION_PREFIX, question)}

    async def _propose(
        self, circle: CircleId, class_: str, work: WorkId, base: RecordId, patch: dict[str, Value], reason: str
    ) -> Json:
        await self._refuse_strangers(circle, "your proposal would not be heard")
        question, now = question_id(circle, class_, work, base, patch), self._clock()
        is_open = await self._views.ask(circle, lambda view: _is_open(view, question))

        def write(tx: Tx) -> None:
            key = self._me.key(tx, circle)
            seq, created = tx.next_seq(key.public, now)
            fields = {"class_": class_, "subject": work, "base": base, "patch": patch, "reason": reason}
            record = proposals.propose(key, circle=circle, seq=seq, created=created, **fields)  # type: ignore[arg-type]
            self._admission.admit_own(tx, record, now)

        if not is_open:
            await self._store.write(write)
            self._admission.changed(circle)
        return {"proposal": id_text(QUESTION_PREFIX, question)}

    async def _refuse_settled(self, circle: CircleId, question: QuestionId, words: str) -> None:
        if await self._views.ask(circle, lambda view: _state(view, question) == "adopted"):
            raise RefusedError(words, hint=f"see: p2pnode explain {id_text(QUESTION_PREFIX, question)}")

    async def _refuse_strangers(self, circle: CircleId, consequence: str) -> None:
        key = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        refuse_stranger(await self._views.of(circle), key, consequence)


def refuse_stranger(view: CircleView, key: PublicKey, consequence: str) -> None:
    """RefusedError, with what to do, unless `key` is a member today."""
    if not view.is_member(key):
        raise RefusedError(
            f"nobody's vouch makes you a member of {view.charter.name!r} today, so {consequence}",
            hint=f"ask a member to run: p2pnode vouch {id_text(CIRCLE_PREFIX, view.charter.circle)} {id_text(KEY_PREFIX, key)}",
        )


def list_in_circle(
    tx: Tx, me: Me, admission: Admission, circle: CircleId, manifest: Record, now: float
) -> tuple[Record, Record, QuestionId]:
    """Inside the transaction that publishes: the proposal to list that manifest, and one's own approval of it.

    The caller admitted the manifest before and says `admission.changed(circle)` after the commit. RefusedError as `admit_own`.
    """
    key, work = me.key(tx, circle), Manifest.of(manifest).work
    seq, created = tx.next_seq(key.public, now)
    asked = proposals.propose(
        key, circle=circle, class_=LIST, subject=work, base=manifest.id, patch={}, reason="", seq=seq, created=created
    )
    admission.admit_own(tx, asked, now)
    question = QuestionId(asked.target)
    return asked, cast_own(tx, me, admission, circle, question, APPROVE, "", now), question


def cast_own(
    tx: Tx, me: Me, admission: Admission, circle: CircleId, question: QuestionId, choice: str, reason: str, now: float
) -> Record:
    """One's own ballot inside a transaction; saying the same again signs nothing new."""
    key = me.key(tx, circle)
    standing = effective(tx.records(circle, kinds=[BALLOT], author=key.public, target=question))
    ballot = _sign(tx, key, circle, question, choice, reason, now)
    if standing and all(standing.fields[name] == ballot.fields[name] for name in ("choice", "reason")):
        return standing
    admission.admit_own(tx, ballot, now)
    return ballot


def _sign(tx: Tx, key: KeyPair, circle: CircleId, question: QuestionId, choice: str, reason: str, now: float) -> Record:
    seq, created = tx.next_seq(key.public, now)
    return proposals.cast(key, circle=circle, question=question, choice=choice, reason=reason, seq=seq, created=created)


def _flag_patch(complaint: str) -> dict[str, Value]:
    return {"complaint": complaint}


def _public_work(tx: Tx, work: WorkId) -> Work:
    row = tx.work(work)
    if row is None:
        raise NotFoundError("this work's description is not here", hint="search for it or fetch it first")
    if row.private:
        raise RefusedError("this work is private: others could not fetch it", hint="publish it without --private first")
    return row


def _state(view: CircleView, question: QuestionId) -> str | None:
    return view.decide(question).state if view.question(question) else None


def _is_open(view: CircleView, question: QuestionId) -> bool:
    return _state(view, question) == "open"
