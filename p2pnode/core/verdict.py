"""One circle on one day, ready to be asked: members, questions, decisions, verdicts on works, explanations.

A pure function of the charter, the records and the day: two nodes with the same three say the same, byte for byte. Everything
is computed at the first call that needs it and kept. Called by `services` in a worker thread, one call at a time.

The verdict on a work, first match wins: *taken_down* if a takedown of it is adopted; *disputed* if a complaint (flag) is; *listed* if
a list question is; *rejected* if list questions were asked, at least one is rejected and none is still undecided; else *new*. Of
several questions that decide alike the one with the smallest id is named. A list question names in `base` the manifest that
was approved, so that a later revision is not listed by the ballots on an earlier one.

Not in this version: later charters, expulsions and recalls are tallied and shown, but take effect only with seals, which are not
applied yet: the genesis charter is in force. Edits and appeals are tallied, and change no verdict yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from p2pnode.core import explain
from p2pnode.core.charter import Charter
from p2pnode.core.decision import Decision
from p2pnode.core.ids import PublicKey, QuestionId, RecordId, WorkId
from p2pnode.core.membership import Membership, active_vouches
from p2pnode.core.proposals import COMPLAINTS, Question
from p2pnode.core.record import Record
from p2pnode.core.standing import Asked, Ballot, Standing
from p2pnode.core.tally import Counter
from p2pnode.errors import NotFoundError

Verdict = Literal["new", "listed", "rejected", "disputed", "taken_down"]
UNKNOWN_COMPLAINT = "unknown"
LIST_CLASS, FLAG_CLASS, TAKEDOWN_CLASS = "list", "flag", "takedown"


@dataclass(frozen=True, slots=True)
class WorkVerdict:
    """What a circle says about a work. `question` decided it, or (new) is open; None: nobody asked. `approve` and `reject` are that
    question's ballots that count. `manifest` is the record that was listed; `complaints` the complaint classes of adopted flags, sorted.
    """

    verdict: Verdict
    approve: int
    reject: int
    question: QuestionId | None
    manifest: RecordId | None = None
    complaints: tuple[str, ...] = ()


class CircleView:
    """`records` are one circle's, in any order, repeated or not; `day` is the UTC day counted from 1970.

    `previous` may be any earlier view of the same circle: where members, vouches and ballots are as they were, its tallies are taken
    over instead of counted again. It changes nothing but the time that takes, and is not kept.
    """

    def __init__(
        self, charter: Charter, records: Iterable[Record], day: int, *, previous: CircleView | None = None
    ) -> None:
        self.charter = charter
        self.day = day
        self._standing = Standing.of(records, charter.circle, day)
        self._decisions: dict[QuestionId, Decision] = {}
        self._known: dict[QuestionId, Decision] = {}
        if previous is not None and previous.charter == charter and previous.membership == self.membership:
            self.membership = previous.membership
            self.counter = previous.counter
            self._known = {**previous._known, **previous._decisions}

    # ------------------------------------------------------------ members

    @cached_property
    def membership(self) -> Membership:
        """The members as numbered keys, and the vouches between them."""
        vouches = active_vouches(self._standing.vouches, vouch_days=self.charter.vouch_days, day=self.day)
        return Membership.of(self.charter.stewards, vouches)

    @property
    def members(self) -> tuple[PublicKey, ...]:
        """The roll, sorted by key."""
        return self.membership.keys

    def is_member(self, key: PublicKey) -> bool:
        """Whether active vouches reach that key from a steward."""
        return key in self.membership.index

    def is_steward(self, key: PublicKey) -> bool:
        """Whether the charter names that key."""
        return key in self.charter.stewards

    def hops(self, key: PublicKey) -> int | None:
        """Vouches between a steward and that key, 0 for a steward; None for no member."""
        number = self.membership.index.get(key)
        return None if number is None else self.membership.hops[number]

    def vouchers(self, key: PublicKey) -> tuple[PublicKey, ...]:
        """Members whose active vouch names that key, sorted."""
        number = self.membership.index.get(key)
        return () if number is None else tuple(self.members[voucher] for voucher in self.membership.vouchers[number])

    # ------------------------------------------------------------ questions

    def questions(self) -> list[Asked]:
        """Every question that was asked, oldest proposal first."""
        return sorted(
            self._standing.questions.values(), key=lambda asked: (asked.proposals[0].created, asked.question.id)
        )

    def question(self, id: QuestionId) -> Question | None:
        """What was asked, or None if no proposal of it is held."""
        asked = self._standing.questions.get(id)
        return asked.question if asked else None

    def ballots(self, id: QuestionId) -> tuple[Ballot, ...]:
        """The ballots that stand on a question, members' or not, sorted by key."""
        return self._standing.ballots.get(id, ())

    def decide(self, id: QuestionId) -> Decision:
        """How a question stands today. NotFoundError if no proposal of it is held."""
        if id not in self._decisions:
            asked = self._standing.questions.get(id)
            if asked is None:
                raise NotFoundError("no proposal of this question is held in this circle")
            ballots = self.ballots(id)
            of_members = tuple(ballot for ballot in ballots if self.is_member(ballot.key))
            known = self._known.pop(id, None)
            same = known is not None and known.of_members == of_members
            tally = known.tally if known and same else self.counter.count(asked.question, of_members)
            self._decisions[id] = Decision(asked, ballots, of_members, tally)
        return self._decisions[id]

    @cached_property
    def counter(self) -> Counter:
        """What counts ballots on this day's graph of vouches."""
        return Counter(self.charter, self.membership)

    # ------------------------------------------------------------ works

    def works(self) -> list[WorkId]:
        """Works that some question is about, sorted."""
        return sorted(self._questions_by_work)

    def work_questions(self, work: WorkId) -> tuple[QuestionId, ...]:
        """The questions about a work, sorted by id."""
        return self._questions_by_work.get(work, ())

    def work_verdict(self, work: WorkId) -> WorkVerdict:
        """What this circle says about a work today; *new* for one it never heard of."""
        decisions = [self.decide(id) for id in self.work_questions(work)]
        complaints = tuple(sorted({_complaint(one.question) for one in _adopted(decisions, FLAG_CLASS)}))
        settled: tuple[tuple[Verdict, list[Decision]], ...] = (
            ("taken_down", _adopted(decisions, TAKEDOWN_CLASS)),
            ("disputed", _adopted(decisions, FLAG_CLASS)),
            ("listed", _adopted(decisions, LIST_CLASS)),
        )
        for verdict, deciding in settled:
            if deciding:
                return _work_verdict(verdict, deciding[0], decisions, complaints)
        asked = [one for one in decisions if one.question.class_ == LIST_CLASS and one.state == "open"]
        refused = [one for one in asked if one.tally.outcome == "rejected"]
        if refused and len(refused) == len(asked):
            return _work_verdict("rejected", refused[0], decisions, complaints)
        undecided = [one for one in asked if one not in refused]
        return _work_verdict("new", undecided[0] if undecided else None, decisions, complaints)

    # ------------------------------------------------------------ why

    def explain(self, id: QuestionId) -> dict[str, Any]:
        """The `verdict` part of an explanation: the same on every node with the same records and day. NotFoundError as `decide`."""
        return explain.question(self.charter, self.membership, self.day, self.decide(id), self.counter)

    def explain_work(self, work: WorkId) -> dict[str, Any]:
        """As `explain`, for a work: its verdict, its questions, and the whole explanation of the one that decided."""
        verdict = self.work_verdict(work)
        result: dict[str, Any] = explain.head(self.charter, self.day)
        result |= explain.work(work, verdict.verdict, verdict.complaints, map(self.decide, self.work_questions(work)))
        if verdict.question is not None:
            result["decided_by"] = self.explain(verdict.question)
        return result

    @cached_property
    def _questions_by_work(self) -> dict[WorkId, tuple[QuestionId, ...]]:
        found: dict[WorkId, list[QuestionId]] = defaultdict(list)
        for id, asked in self._standing.questions.items():
            if asked.question.work is not None:
                found[asked.question.work].append(id)
        return {work: tuple(sorted(ids)) for work, ids in found.items()}


def _complaint(question: Question) -> str:
    """The complaint class of a flag; its text is a stranger's, so what we do not know goes no further."""
    complaint = question.complaint
    return complaint if complaint is not None and complaint in COMPLAINTS else UNKNOWN_COMPLAINT


def _adopted(decisions: Iterable[Decision], class_: str) -> list[Decision]:
    return [one for one in decisions if one.question.class_ == class_ and one.state == "adopted"]


def _work_verdict(
    verdict: Verdict, by: Decision | None, decisions: list[Decision], complaints: tuple[str, ...]
) -> WorkVerdict:
    listed = _adopted(decisions, LIST_CLASS)
    manifest = RecordId(listed[0].question.base) if listed and listed[0].question.base else None
    if by is None:
        return WorkVerdict(verdict, 0, 0, None, manifest, complaints)
    return WorkVerdict(verdict, by.approve, by.reject, by.question.id, manifest, complaints)
