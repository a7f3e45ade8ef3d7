"""Putting a question to a circle: the one way in which every class of proposal is signed.

Refuses what would be said in vain (we are no member, it is decided already), returns a question that is open already instead of asking
it twice, and signs the proposal in one durable transaction, with what has to stand beside it (a charter that it puts forward). Called
by `services.ballots`, `work_questions` and `rule_questions`, which know what a class asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from p2pnode.core import proposals
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, QUESTION_PREFIX, CircleId, PublicKey, QuestionId, id_text
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import Value
from p2pnode.core.records import question_id
from p2pnode.core.verdict import CircleView
from p2pnode.errors import RefusedError
from p2pnode.ports import Json, Store, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.me import Me
from p2pnode.services.views import Views

Patch = Mapping[str, Value]
MakePatch = Callable[[Tx, KeyPair, float], Patch]
"""Makes the patch inside the transaction, with our key in the circle and the time."""


class Proposing:
    """Signing proposals, on one node."""

    def __init__(self, store: Store, admission: Admission, views: Views, me: Me, clock: WallClock) -> None:
        self._store, self._admission, self._views = store, admission, views
        self._me, self._clock = me, clock

    async def open(
        self, circle: CircleId, class_: str, subject: bytes, base: bytes, patch: Patch, reason: str, *, settled: str
    ) -> Json:
        """Propose, or find the same question open. `settled` says in words what an adopted one means. RefusedError, UsageError."""
        question = question_id(circle, class_, subject, base, patch)
        await self.refuse_settled(circle, question, settled)
        await self.refuse_strangers(circle, "your proposal would not be heard")
        if await self._views.ask(circle, lambda view: _is_open(view, question)):
            return {"proposal": id_text(QUESTION_PREFIX, question)}
        return await self.sign(circle, class_, subject, base, lambda tx, key, now: patch, reason)

    async def sign(
        self, circle: CircleId, class_: str, subject: bytes, base: bytes, make_patch: MakePatch, reason: str
    ) -> Json:
        """Sign a proposal whose patch is made in the same transaction."""
        now = self._clock()

        def write(tx: Tx) -> QuestionId:
            key = self._me.key(tx, circle)
            patch = make_patch(tx, key, now)
            seq, created = tx.next_seq(key.public, now)
            fields = {"class_": class_, "subject": subject, "base": base, "patch": patch, "reason": reason}
            record = proposals.propose(key, circle=circle, seq=seq, created=created, **fields)  # type: ignore[arg-type]
            self._admission.admit_own(tx, record, now)
            return QuestionId(record.target)

        question = await self._store.write(write)
        self._admission.changed(circle)
        return {"proposal": id_text(QUESTION_PREFIX, question)}

    async def refuse_settled(self, circle: CircleId, question: QuestionId, words: str) -> None:
        """RefusedError if the circle has adopted it already."""
        if await self._views.ask(circle, lambda view: _state(view, question) == "adopted"):
            raise RefusedError(words, hint=f"see: p2pnode explain {id_text(QUESTION_PREFIX, question)}")

    async def refuse_strangers(self, circle: CircleId, consequence: str) -> None:
        """RefusedError unless we are a member today."""
        key = await self._store.read(lambda tx: self._me.key(tx, circle).public)
        refuse_stranger(await self._views.of(circle), key, consequence)


def refuse_stranger(view: CircleView, key: PublicKey, consequence: str) -> None:
    """RefusedError, with what to do, unless `key` is a member today."""
    if view.is_member(key):
        return
    circle = id_text(CIRCLE_PREFIX, view.charter.circle)
    if key in view.rules.expelled:
        question = id_text(QUESTION_PREFIX, view.rules.expelled[key])
        raise RefusedError(
            f"{view.charter.name!r} has expelled you, so {consequence}",
            hint=f"why: p2pnode explain {question}; a member can propose your return:"
            f" p2pnode propose readmit {circle} {id_text(KEY_PREFIX, key)}",
        )
    raise RefusedError(
        f"nobody's vouch makes you a member of {view.charter.name!r} today, so {consequence}",
        hint=f"ask a member to run: p2pnode vouch {circle} {id_text(KEY_PREFIX, key)}",
    )


def _state(view: CircleView, question: QuestionId) -> str | None:
    return view.decide(question).state if view.question(question) else None


def _is_open(view: CircleView, question: QuestionId) -> bool:
    return _state(view, question) == "open"
