"""Which records of a circle stand on a given day: vouches and ballots after the register rule, questions with their proposals.

A record of a day after tomorrow waits: clocks may be a day apart, no more. The register rule comes first and looks at every record
of the register, also at versions we do not understand, so that a node which pruned what lost says the same as one that kept
it; what stands but is not understood then counts as nothing. Order and repetition of the records never matter. Ballots are in a box of
their own (`core.ballot_box`), since they may be a million. Called by `core.verdict` only; knows neither members nor flows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from p2pnode.core.ballot_box import CLOCK_SKEW_DAYS, VOID, Ballot, BallotBox, BallotsOf
from p2pnode.core.charter import Charter
from p2pnode.core.ids import CircleId, PublicKey, QuestionId, RecordId
from p2pnode.core.proposals import WORK_CLASSES, Question
from p2pnode.core.record import BALLOT, CHARTER, CUT, PROPOSAL, SEAL, VOUCH, WITHDRAW, Record
from p2pnode.core.registers import effective, register_of
from p2pnode.core.understanding import is_understood

__all__ = ["READ_AT_ONCE", "VOID", "Asked", "Ballot", "Standing"]

READ_AT_ONCE = (CHARTER, VOUCH, SEAL, CUT, PROPOSAL, WITHDRAW)
"""Kinds of which every record is read before anything is said; ballots may come later, and no tally reads others."""


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
    """What stands in one circle on one day.

    `charters` are the later ones that are well formed, in force or not, with who signed each; `seals` come unjudged. `taken_back` are
    author and proposal of every withdrawal, also where the proposal is not held (yet).
    """

    vouches: tuple[Record, ...]
    ballots: BallotBox
    questions: Mapping[QuestionId, Asked]
    charters: Mapping[RecordId, tuple[PublicKey, Charter]]
    seals: tuple[Record, ...]
    taken_back: frozenset[tuple[PublicKey, bytes]]

    @classmethod
    def of(
        cls, records: Iterable[Record], circle: CircleId, day: int, *, ballots_of: BallotsOf | None = None
    ) -> Standing:
        """Sort out a circle's records; those of other circles are ignored. `day` is the UTC day counted from 1970. With `ballots_of`
        ballots beside those in `records` are read when they are asked for.
        """
        kinds: dict[str, dict[RecordId, Record]] = defaultdict(dict)
        for record in records:
            if record.circle == circle and record.day <= day + CLOCK_SKEW_DAYS:
                kinds[record.kind][record.id] = record
        taken_back = frozenset((one.author, one.target) for one in kinds[WITHDRAW].values() if is_understood(one))
        return cls(
            vouches=tuple(_vouches(kinds[VOUCH].values())),
            ballots=BallotBox(kinds[BALLOT].values(), circle, day, ballots_of),
            questions=_questions(kinds[PROPOSAL].values(), taken_back),
            charters={one.id: (one.author, Charter.of(one)) for one in kinds[CHARTER].values() if is_understood(one)},
            seals=tuple(one for one in kinds[SEAL].values() if is_understood(one)),
            taken_back=taken_back,
        )

    def with_proposals(self, new: Iterable[Record], circle: CircleId, day: int) -> Standing | None:
        """The same after these records came into the circle's set. None unless they are proposals about works, of today or before."""
        questions = dict(self.questions)
        for record in new:
            ours = record.kind == PROPOSAL and record.circle == circle and record.day <= day + CLOCK_SKEW_DAYS
            if not ours or not is_understood(record) or record.fields["class"] not in WORK_CLASSES:
                return None
            asked = questions.get(QuestionId(record.target))
            askers = {one.id: one for one in (*(asked.proposals if asked else ()), record)}
            questions |= _questions(askers.values(), self.taken_back)
        return replace(self, questions=questions)


def _by_register(records: Iterable[Record]) -> Iterable[list[Record]]:
    groups: dict[object, list[Record]] = defaultdict(list)
    for record in records:
        groups[register_of(record)].append(record)
    return groups.values()


def _vouches(records: Iterable[Record]) -> Iterable[Record]:
    """What stands in every vouch register, sorted by id; revocations too."""
    standing = (effective(group) for group in _by_register(records))
    return sorted((vouch for vouch in standing if vouch and is_understood(vouch)), key=lambda vouch: vouch.id)


def _questions(proposals: Iterable[Record], taken_back: Collection[tuple[PublicKey, bytes]]) -> dict[QuestionId, Asked]:
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
