"""One circle on one day, ready to be asked: members, questions, decisions, verdicts on works, explanations.

A pure function of the first charter, the records and the day: two nodes with the same three say the same, byte for byte. Everything
is computed at the first call that needs it and kept. Called by `services` in a worker thread, one call at a time.
What charter is in force and who is expelled is `core.rules`' part, what became of a work `core.work_verdict`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

from p2pnode.core import explain, work_verdict
from p2pnode.core.ballot_box import BallotsOf
from p2pnode.core.charter import Charter
from p2pnode.core.cut import NOTHING, Inheritance, inherited
from p2pnode.core.decision import Decision, Decisions, Fate, Sealing, State
from p2pnode.core.electorate import Electorate
from p2pnode.core.ids import PublicKey, QuestionId, RecordId, WorkId
from p2pnode.core.lapse import lapse_day
from p2pnode.core.membership import Membership
from p2pnode.core.proposals import RULE_CLASSES, SEALED_CLASSES, Question
from p2pnode.core.record import BALLOT, Record
from p2pnode.core.rules import Rules, deciders, in_force
from p2pnode.core.standing import READ_AT_ONCE, Asked, Ballot, Standing
from p2pnode.core.tally import Tally
from p2pnode.core.work_verdict import Outlook, Verdict, WorkVerdict
from p2pnode.errors import NotFoundError

__all__ = ["CircleView", "Verdict", "WorkVerdict"]


class CircleView:
    """`records` are one circle's, in any order, repeated or not; `day` is the UTC day counted from 1970. Of a large circle they may be
    those of the kinds READ_AT_ONCE, and `ballots_of` reads the ballots on a question when it is asked.

    `genesis` is the circle's first charter; the one in force is `charter`. `previous` may be any earlier view of the same circle: where
    members, vouches and ballots are as they were, its tallies are taken over instead of counted again. It changes nothing but the time
    that takes, and is not kept.
    """

    def __init__(
        self,
        genesis: Charter,
        records: Iterable[Record],
        day: int,
        *,
        previous: CircleView | None = None,
        ballots_of: BallotsOf | None = None,
    ) -> None:
        self.genesis = genesis
        self.day = day
        held = tuple(records)
        before = previous.inheritance if previous is not None else NOTHING
        self.inheritance: Inheritance = inherited(genesis, held, known=before)
        self._standing = Standing.of((*held, *self.inheritance.records), genesis.circle, day, ballots_of=ballots_of)
        self._decisions = Decisions()
        self._outlooks: dict[WorkId, Outlook] = {}
        self._verdicts: dict[WorkId, WorkVerdict] = {}
        self._states: dict[QuestionId, State] = {}
        self._deciders: dict[QuestionId, Electorate] = {}  # of changes of rules that took effect, once somebody asks
        self._lineage = object()
        self._versions: dict[QuestionId, int] = {}
        known = [previous.rules.hearing, previous.rules.assembly] if previous is not None else []
        self.rules: Rules = in_force(genesis, self._standing, day, known)

    def with_news(self, new: Sequence[Record], gone: Sequence[Record], *, settled: bool = True) -> CircleView | None:
        """As `with_ballots`, for records of all kinds: also new questions about works are taken in, and what no tally reads.

        Not `settled`: what is told may still be on its way into the store, so that ballots in it are to be read when they are asked for.
        """
        if any(record.kind in READ_AT_ONCE for record in gone):
            return None
        asked = [record for record in new if record.kind in READ_AT_ONCE]
        standing = self._standing.with_proposals(asked, self.genesis.circle, self.day)
        if standing is None:
            return None
        view = self._after(standing, {QuestionId(record.target) for record in asked}) if asked else self
        added, dropped = ([one for one in part if one.kind == BALLOT] for part in (new, gone))
        if not added and not dropped:
            return view
        return view.with_ballots(added, dropped) if settled else view._to_read_again([*added, *dropped])

    def with_ballots(self, new: Sequence[Record], gone: Iterable[Record]) -> CircleView | None:
        """The view after these ballots came into the circle's set and those that they replaced went, at the cost of their questions alone.

        None where that does not do: other records, ballots on rules or persons, and registers of which not everything is known. It says
        the same as a view of all records.
        """
        gone = list(gone)
        touched = {QuestionId(ballot.target) for ballot in (*new, *gone)}
        ballots = self._standing.ballots.with_ballots(new, gone)
        if ballots is None or self._on_persons_or_rules(touched):
            return None
        return self._after(replace(self._standing, ballots=ballots), touched)

    def _to_read_again(self, touched: Iterable[Record]) -> CircleView | None:
        asked = {QuestionId(ballot.target) for ballot in touched}
        ballots = self._standing.ballots.to_read_again(asked)
        if ballots is None or self._on_persons_or_rules(asked):
            return None
        return self._after(replace(self._standing, ballots=ballots), asked)

    def _on_persons_or_rules(self, ids: Iterable[QuestionId]) -> bool:
        return any(one.class_ in SEALED_CLASSES for id in ids if (one := self.question(id)) is not None)

    def _after(self, standing: Standing, touched: Iterable[QuestionId]) -> CircleView:
        """A view of what stands now; only these questions may stand otherwise than before."""
        view = copy(self)
        view._standing = standing
        view.__dict__.pop("_questions_by_work", None)
        asked = [one for id in touched if (one := view.question(id)) is not None]
        works = {one.work for one in asked if one.work is not None}
        outdated = {id for work in works for id in view.work_questions(work)}
        # Copied at a stroke and then thinned: the view before may be asked in another thread at this moment.
        view._decisions, view._outlooks = self._decisions.copy(), self._outlooks.copy()
        view._verdicts, view._states = self._verdicts.copy(), self._states.copy()
        view._versions = self._versions.copy()
        for id in outdated:
            view._decisions.pop(id, None)
            view._states.pop(id, None)
            view._versions[id] = view._versions.get(id, 0) + 1
        for work in works:
            view._outlooks.pop(work, None)
            view._verdicts.pop(work, None)
        return view

    def changed_since(self, before: CircleView) -> frozenset[QuestionId] | None:
        """The questions that may stand otherwise than in `before`, an earlier view of the same circle; None: any of them may."""
        if self._lineage is not before._lineage:
            return None
        then, now = before._versions, self._versions
        return frozenset(id for id in now.keys() | then.keys() if now.get(id) != then.get(id))

    def remember(self, new: Iterable[Record], gone: Iterable[Record]) -> None:
        """These records came into the store and those went, and this view goes on to be of the time before."""
        self._standing.ballots.remember(new, gone)

    @property
    def charter(self) -> Charter:
        """The charter in force."""
        return self.rules.charter

    @cached_property
    def binding(self) -> frozenset[RecordId]:
        """Records on which rules and memberships rest: charters that were put in force, seals that settled something, and what a fork
        inherits.
        """
        charters = {step.charter.id for step in self.rules.steps}
        seals = {seal.id for seal in self._standing.seals if seal.target in self.rules.settled}
        return frozenset(charters | seals | self.inheritance.carriers)

    def charter_named(self, id: RecordId) -> Charter | None:
        """A charter of this circle, in force or not, if it is held and well formed."""
        if id == self.genesis.id:
            return self.genesis
        signed = self._standing.charters.get(id)
        return signed[1] if signed else None

    # ------------------------------------------------------------ members

    @property
    def membership(self) -> Membership:
        """The members as numbered keys, and the vouches between them."""
        return self.rules.assembly.membership

    @property
    def members(self) -> tuple[PublicKey, ...]:
        """The roll, sorted by key."""
        return self.membership.keys

    def is_member(self, key: PublicKey) -> bool:
        """Whether active vouches reach that key from a steward, and it is not expelled."""
        return key in self.membership.index

    def is_steward(self, key: PublicKey) -> bool:
        """Whether the charter in force names that key."""
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
        return self._standing.ballots.of(id)

    def decide(self, id: QuestionId) -> Decision:
        """How a question stands today. NotFoundError if no proposal of it is held."""
        known = self._decisions.get(id)
        if known is None:
            asked = self._standing.questions.get(id)
            if asked is None:
                raise NotFoundError("no proposal of this question is held in this circle")
            known = self._decisions[id] = self._decide(asked)
            self._states[id] = known.state
        return known

    def state(self, id: QuestionId) -> State:
        """As `decide(id).state`, which is remembered longer than the whole decision."""
        return self._states.get(id) or self.decide(id).state

    def _decide(self, asked: Asked) -> Decision:
        question, ballots = asked.question, self.ballots(asked.question.id)
        electorate = self.electorate(question)
        tally = electorate.tally(question, ballots)
        return Decision(
            asked, ballots, electorate.of_members(ballots), tally, self._fate(question, tally), self._sealing(question)
        )

    def _fate(self, question: Question, tally: Tally) -> Fate:
        if question.class_ in SEALED_CLASSES:
            if question.id in self.rules.settled:
                return "effective"
            if self.rules.is_overtaken(question):
                return "superseded" if question.id in self.rules.conflicts else "stale"
            return "idle" if tally.outcome == "adopted" else "open"
        return self.outlook(question.work).fate(question) if question.work is not None else "open"

    def _sealing(self, question: Question) -> Sealing | None:
        charter = self.electorate(question).charter
        rule = charter.classes.get(question.class_)
        if question.class_ not in SEALED_CLASSES or rule is None or not rule.sealed:
            return None
        by = tuple(sorted(self.rules.sealed_by(question)))
        return Sealing(by, len(charter.stewards) - charter.f)

    def count(self, id: QuestionId) -> None:
        """See to it that the state of a question, and the verdict on its work, are known."""
        work = self.state(id) and self._standing.questions[id].question.work
        if work is not None:
            self.work_verdict(work)

    def uncounted(self) -> list[QuestionId]:
        """The questions whose state, or the verdict on whose work, is not known yet: to tell takes a tally each. Newest first."""
        return [one.question.id for one in reversed(self.questions()) if not self._is_counted(one.question)]

    def _is_counted(self, question: Question) -> bool:
        return question.id in self._states and (question.work is None or question.work in self._verdicts)

    def electorate(self, question: Question) -> Electorate:
        """Who decides on a question, or decided, where it changed the rules."""
        if question.class_ not in RULE_CLASSES or question.id not in self.rules.settled:
            return self.rules.electorate(question.class_)
        if question.id not in self._deciders:
            self._deciders[question.id] = deciders(self.rules, question, self._standing, self.day)
        return self._deciders[question.id]

    def _is_carried(self, asked: Asked) -> bool:
        question = asked.question
        return self.electorate(question).tally(question, self.ballots(question.id)).outcome == "adopted"

    # ------------------------------------------------------------ works

    def works(self) -> list[WorkId]:
        """Works that some question is about, sorted."""
        return sorted(self._questions_by_work)

    def work_questions(self, work: WorkId) -> tuple[QuestionId, ...]:
        """The questions about a work, sorted by id."""
        return self._questions_by_work.get(work, ())

    def work_verdict(self, work: WorkId) -> WorkVerdict:
        """What this circle says about a work today; *new* for one it never heard of."""
        known = self._verdicts.get(work)
        if known is None:
            decisions = list(map(self.decide, self.work_questions(work)))
            known = self._verdicts[work] = work_verdict.judge(decisions, self.outlook(work))
        return known

    def outlook(self, work: WorkId) -> Outlook:
        """What became of the questions about a work: its listing, the edits of it, what was lifted."""
        if work not in self._outlooks:
            asked = (self._standing.questions[id] for id in self.work_questions(work))
            self._outlooks[work] = Outlook.of(one for one in asked if self._is_carried(one))
        return self._outlooks[work]

    # ------------------------------------------------------------ why

    def explain(self, id: QuestionId) -> dict[str, Any]:
        """The `verdict` part of an explanation: the same on every node with the same records and day. NotFoundError as `decide`."""
        decision = self.decide(id)
        told = explain.question(self.electorate(decision.question), self.day, decision)
        since = self.lapsed_since(id)
        return told if since is None else told | {"lapsed_since": explain.day_text(since)}

    def lapsed_since(self, id: QuestionId) -> int | None:
        """The UTC day on which a question that is not adopted lost its majority only because vouches ran out; None if it did not."""
        decision = self.decide(id)
        if decision.state != "open" or decision.tally.outcome == "pending":
            return None
        return lapse_day(self.electorate(decision.question), self._standing, decision.question, self.day)

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
