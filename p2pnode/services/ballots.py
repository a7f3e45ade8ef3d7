"""The journey "vote": casting a ballot, taking a proposal back, and what a publisher signs together with his work.

Each is one durable transaction: the signed record goes through the door (`Admission.admit_own`), which puts its gossip into the
outbox with it; the reply comes after the commit and before any network. A ballot that would not count is refused, with the
reason and the way out, rather than signed in vain.
"""

from __future__ import annotations

from p2pnode.core import proposals
from p2pnode.core.decision import State
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    QUESTION_PREFIX,
    RECORD_PREFIX,
    CircleId,
    QuestionId,
    id_text,
)
from p2pnode.core.keys import KeyPair
from p2pnode.core.manifest import Manifest
from p2pnode.core.proposals import LIST
from p2pnode.core.record import BALLOT, PROPOSAL, Record
from p2pnode.core.records import APPROVE, CHOICES
from p2pnode.core.registers import effective
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.ports import Json, Store, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.inherited import records_of
from p2pnode.services.me import Me
from p2pnode.services.proposing import Proposing
from p2pnode.services.questions import circle_of_question
from p2pnode.services.turnout import standing
from p2pnode.services.views import Views


class Ballots:
    """Deciding in circles, on one node."""

    def __init__(
        self, store: Store, admission: Admission, views: Views, me: Me, clock: WallClock, proposing: Proposing
    ) -> None:
        self._store, self._admission, self._views = store, admission, views
        self._me, self._clock, self._proposing = me, clock, proposing

    async def cast(self, question: QuestionId, choice: str, reason: str) -> Json:
        """Cast a ballot, or replace one's own. The answer of `vote`, with `standing` as it was before.

        NotFoundError, RefusedError, UsageError as above.
        """
        if choice not in CHOICES:
            raise UsageError(f"{choice!r} is no choice", hint=f"one of: {', '.join(CHOICES)}")
        circle = await self._store.read(lambda tx: circle_of_question(tx, question))
        await self._proposing.refuse_strangers(circle, "your ballot would not count")
        state, before = await self._views.ask(circle, lambda view: _as_it_stands(view, question))
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
            "standing": before,
        }

    async def withdraw(self, question: QuestionId) -> Json:
        """Take back one's own proposals of a question; it stays open if somebody else proposed it too."""
        circle = await self._store.read(lambda tx: circle_of_question(tx, question))
        await self._proposing.refuse_settled(
            circle, question, "it is adopted: what is decided can no longer be taken back"
        )
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


def _as_it_stands(view: CircleView, question: QuestionId) -> tuple[State, Json]:
    """Its state and, for whoever votes without having looked, turnout and what its lead withstands, before this ballot."""
    decision = view.decide(question)
    return decision.state, standing(view, decision)


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
    standing = effective(records_of(tx, circle, BALLOT, author=key.public, target=question))
    ballot = _sign(tx, key, circle, question, choice, reason, now)
    if standing and all(standing.fields[name] == ballot.fields[name] for name in ("choice", "reason")):
        return standing
    admission.admit_own(tx, ballot, now)
    return ballot


def _sign(tx: Tx, key: KeyPair, circle: CircleId, question: QuestionId, choice: str, reason: str, now: float) -> Record:
    seq, created = tx.next_seq(key.public, now)
    return proposals.cast(key, circle=circle, question=question, choice=choice, reason=reason, seq=seq, created=created)
