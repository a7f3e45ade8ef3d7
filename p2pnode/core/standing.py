"""Which records of a circle stand on a given day: vouches and ballots after the register rule, questions with their proposals.

A record of a day after tomorrow waits: clocks may be a day apart, no more. The register rule comes first and looks at every record
of the register, also at versions we do not understand, so that a node which pruned what lost says the same as one that kept
it; what stands but is not understood then counts as nothing. Order and repetition of the records never matter.
Called by `core.verdict` only; knows neither members nor flows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from p2pnode.core.charter import Charter
from p2pnode.core.ids import CircleId, PublicKey, QuestionId, RecordId
from p2pnode.core.proposals import Question
from p2pnode.core.record import BALLOT, CHARTER, PROPOSAL, SEAL, VOUCH, WITHDRAW, Record
from p2pnode.core.registers import effective, register_of
from p2pnode.core.understanding import is_understood

VOID = "void"
"""In the place of a choice: the author signed two different ballots with one number, so neither counts."""
CLOCK_SKEW_DAYS = 1
"""Days that another's clock may run ahead of ours before its records wait."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One key's ballot on one question. `choice` is approve, reject, abstain or VOID; `records` its record, or the void pair."""

    key: PublicKey
    choice: str
    records: tuple[RecordId, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and who asked it. `proposals` sorted by (created, id); `withdrawn` are those their own authors took back."""

    question: Question
    proposals: tuple[Record, ...]
    withdrawn: frozenset[RecordId]

    @property
    def is_withdrawn(self) -> bool:
        """Whether everybody who asked took it back."""
        return all(proposal.id in self.withdrawn for proposal in self.proposals)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in one circle on one day. Ballots are sorted by key; a ballot may be on a question nobody has asked (yet).

    `charters` are the later ones that are well formed, in force or not, with who signed each; `seals` come unjudged.
    """

    vouches: tuple[Record, ...]
    ballots: Mapping[QuestionId, tuple[Ballot, ...]]
    questions: Mapping[QuestionId, Asked]
    charters: Mapping[RecordId, tuple[PublicKey, Charter]]
    seals: tuple[Record, ...]

    @classmethod
    def of(cls, records: Iterable[Record], circle: CircleId, day: int) -> Standing:
        """Sort out a circle's records; those of other circles are ignored. `day` is the UTC day counted from 1970."""
        kinds: dict[str, dict[RecordId, Record]] = defaultdict(dict)
        for record in records:
            if record.circle == circle and record.day <= day + CLOCK_SKEW_DAYS:
                kinds[record.kind][record.id] = record
        return cls(
            vouches=tuple(_vouches(kinds[VOUCH].values())),
            ballots=_ballots(kinds[BALLOT].values()),
            questions=_questions(kinds[PROPOSAL].values(), kinds[WITHDRAW].values()),
            charters={one.id: (one.author, Charter.of(one)) for one in kinds[CHARTER].values() if is_understood(one)},
            seals=tuple(one for one in kinds[SEAL].values() if is_understood(one)),
        )

    def with_ballots(
        self, new: Sequence[Record], gone: Iterable[Record], circle: CircleId, day: int
    ) -> Standing | None:
        """The same after these records came into the circle's set and those went. None unless all of it is ballots that replace each
        other one for one: then everything is to be sorted out again.
        """
        leaving = {record.id: register_of(record) for record in gone}
        coming = {register_of(record) for record in new}
        fit = all(_counts_at_once(record, circle, day) for record in new)
        if not fit or len(coming) != len(new) or not set(leaving.values()) <= coming:
            return None
        ballots = dict(self.ballots)
        for record in new:
            question = QuestionId(record.target)
            others = [one for one in ballots.get(question, ()) if one.key != record.author]
            mine = [one for one in ballots.get(question, ()) if one.key == record.author]
            if any(id not in leaving for one in mine for id in one.records):
                return None  # it may not be the later one: only the whole register tells
            fresh = Ballot(record.author, str(record.fields["choice"]), (record.id,))
            ballots[question] = tuple(sorted([*others, fresh], key=lambda ballot: ballot.key))
        return replace(self, ballots=ballots)


def _counts_at_once(record: Record, circle: CircleId, day: int) -> bool:
    """Whether it is a ballot of that circle that stands today as soon as it is in its register."""
    ours = record.kind == BALLOT and record.circle == circle and not record.is_stub
    return ours and record.day <= day + CLOCK_SKEW_DAYS and is_understood(record)


def _by_register(records: Iterable[Record]) -> Iterable[list[Record]]:
    groups: dict[object, list[Record]] = defaultdict(list)
    for record in records:
        groups[register_of(record)].append(record)
    return groups.values()


def _vouches(records: Iterable[Record]) -> Iterable[Record]:
    """What stands in every vouch register, sorted by id; revocations too."""
    standing = (effective(group) for group in _by_register(records))
    return sorted((vouch for vouch in standing if vouch and is_understood(vouch)), key=lambda vouch: vouch.id)


def _ballots(records: Iterable[Record]) -> dict[QuestionId, tuple[Ballot, ...]]:
    found: dict[QuestionId, list[Ballot]] = defaultdict(list)
    for group in _by_register(records):
        ballot = _ballot(group)
        if ballot:
            found[QuestionId(group[0].target)].append(ballot)
    return {question: tuple(sorted(ballots, key=lambda ballot: ballot.key)) for question, ballots in found.items()}


def _ballot(register: list[Record]) -> Ballot | None:
    record = effective(register)
    if record is None:
        highest = max(one.seq for one in register)
        pair = sorted(one.id for one in register if one.seq == highest)[:2]
        return Ballot(register[0].author, VOID, tuple(pair))
    if not is_understood(record):
        return None
    return Ballot(record.author, str(record.fields["choice"]), (record.id,))


def _questions(proposals: Iterable[Record], withdrawals: Iterable[Record]) -> dict[QuestionId, Asked]:
    taken_back = {(one.author, one.target) for one in withdrawals if is_understood(one)}
    asked: dict[QuestionId, list[Record]] = defaultdict(list)
    for proposal in proposals:
        if is_understood(proposal):
            asked[QuestionId(proposal.target)].append(proposal)
    return {
        id: Asked(
            question=Question.of(askers[0]),
            proposals=tuple(sorted(askers, key=lambda proposal: (proposal.created, proposal.id))),
            withdrawn=frozenset(one.id for one in askers if (one.author, one.id) in taken_back),
        )
        for id, askers in asked.items()
    }
