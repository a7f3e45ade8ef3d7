"""The ballots that stand in one circle on one day, by question: all at hand, or read from a store when a question is asked.

A circle of a million records has thousands of questions, and nobody asks all of them at once: so whoever makes a view may hand over,
instead of ballots, a way to read those on one question. They are sorted out by the same rules as ballots at hand, and the latest asked
are kept. A store moves on while the view of a moment ago is still compared with the next one: what came since is told to `remember`,
and the box goes on saying what it said before. Called by `core.standing`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from p2pnode.core.ids import CircleId, PublicKey, QuestionId, RecordId
from p2pnode.core.record import BALLOT, Record
from p2pnode.core.records import CHOICES
from p2pnode.core.registers import effective, register_of
from p2pnode.core.understanding import is_understood

VOID = "void"
"""In the place of a choice: the author signed two different ballots with one number, so neither counts."""
CLOCK_SKEW_DAYS = 1
"""Days that another's clock may run ahead of ours before its records wait."""
MAX_KEPT_BALLOTS = 50_000
"""Ballots kept of those that were read: some ten megabytes. Of more, the questions that were asked first are read again."""
MAX_REMEMBERED = 100_000
"""Records that came or went of which a box of a moment ago knows; of a greater flood of changes it tells what is there now."""

BallotsOf = Callable[[QuestionId], Iterable[Record]]
"""All ballot records that are held on a question now, stubs too, in any order. May be called in a worker thread only."""

_CHOICES = {choice: choice for choice in CHOICES}


@dataclass(frozen=True, slots=True)
class Ballot:
    """One key's ballot on one question. `choice` is approve, reject, abstain or VOID; `records` its record, or the void pair."""

    key: PublicKey
    choice: str
    records: tuple[RecordId, ...]


class BallotBox:
    """`at_hand` are records of any kinds and circles; `more`, if given, reads what is not among them."""

    def __init__(self, at_hand: Iterable[Record], circle: CircleId, day: int, more: BallotsOf | None = None) -> None:
        self._circle, self._day, self._more = circle, day, more
        self._held: dict[QuestionId, list[Record]] = defaultdict(list)
        for record in at_hand:
            if self._stands(record):
                self._held[QuestionId(record.target)].append(record)
        self._counted: dict[QuestionId, tuple[Ballot, ...]] = {}
        self._kept = 0
        self._came: set[RecordId] = set()
        self._went: dict[QuestionId, dict[RecordId, Record]] = {}
        self._remembered = 0
        if more is None:  # each record is looked at once, and not kept
            self._counted = {id: _sorted_out(records) for id, records in self._held.items()}
            self._held = defaultdict(list)

    def of(self, id: QuestionId) -> tuple[Ballot, ...]:
        """The ballots that stand on a question, sorted by key; a question may be one that nobody has asked (yet)."""
        counted = self._counted.get(id)
        if counted is None:
            if self._more is None:
                return ()
            counted = _sorted_out([*self._held.get(id, ()), *self._read(id)])
            self._keep(id, counted)
        return counted

    def with_ballots(self, new: Sequence[Record], gone: Iterable[Record]) -> BallotBox | None:
        """The same after these records came into the circle's set and those went. None unless all of it is ballots that replace each
        other one for one: then everything is to be sorted out again. With ballots in a store only those of other kinds give None.
        """
        leaving = {record.id: register_of(record) for record in gone}
        coming = {register_of(record) for record in new}
        fit = all(self._counts_at_once(record) for record in new)
        one_for_one = fit and len(coming) == len(new) and set(leaving.values()) <= coming
        if not one_for_one and self._more is None:
            return None
        after = self._copied()
        for record in new if one_for_one else ():
            if not after._replace(record, leaving):
                if self._more is None:
                    return None  # it may not be the later one: only the whole register tells
                after.read_again((QuestionId(record.target),))
        if not one_for_one:
            after.read_again({QuestionId(register[3]) for register in (*coming, *leaving.values())})
        return after

    def to_read_again(self, questions: Iterable[QuestionId]) -> BallotBox | None:
        """The same, where of these questions nothing is known; None where nothing can be read."""
        if self._more is None:
            return None
        after = self._copied()
        after.read_again(questions)
        return after

    def read_again(self, questions: Iterable[QuestionId]) -> None:
        """Of these questions something changed that is not told: what was kept of them is forgotten."""
        for id in questions:
            self._kept -= len(self._counted.pop(id, ()))

    def remember(self, new: Iterable[Record], gone: Iterable[Record]) -> None:
        """These records came into the store and those went, and this box is of the time before."""
        if self._more is None:
            return
        for record in gone:
            if record.kind == BALLOT and record.id not in self._came and self._has_room():
                self._went.setdefault(QuestionId(record.target), {})[record.id] = record
        for record in new:
            if record.kind == BALLOT and self._has_room():
                self._came.add(record.id)

    def _has_room(self) -> bool:
        self._remembered += 1
        return self._remembered <= MAX_REMEMBERED

    def _read(self, id: QuestionId) -> list[Record]:
        assert self._more is not None
        went = self._went.get(id, {})
        there = [record for record in self._more(id) if record.id not in self._came and record.id not in went]
        return [record for record in (*there, *went.values()) if self._stands(record)]

    def _keep(self, id: QuestionId, counted: tuple[Ballot, ...]) -> None:
        self._counted[id] = counted
        self._kept += len(counted)
        while self._kept > MAX_KEPT_BALLOTS and len(self._counted) > 1:
            self._kept -= len(self._counted.pop(next(iter(self._counted))))

    def _copied(self) -> BallotBox:
        after = BallotBox((), self._circle, self._day, self._more)
        after._held, after._counted, after._kept = self._held, self._counted.copy(), self._kept
        return after

    def _replace(self, record: Record, leaving: Iterable[RecordId]) -> bool:
        """Put a ballot in the place of its author's last one. False if that is not among those that leave."""
        id = QuestionId(record.target)
        if id not in self._counted and self._more is not None:
            return True  # nothing is known of it yet
        ballots = self._counted.get(id, ())
        mine = [one for one in ballots if one.key == record.author]
        if any(one not in leaving for ballot in mine for one in ballot.records):
            return False
        fresh = _ballot([record])
        others = (one for one in ballots if one.key != record.author)
        self._counted[id] = tuple(sorted([*others, *([fresh] if fresh else [])], key=lambda ballot: ballot.key))
        self._kept += len(self._counted[id]) - len(ballots)
        return True

    def _stands(self, record: Record) -> bool:
        ours = record.kind == BALLOT and record.circle == self._circle
        return ours and record.day <= self._day + CLOCK_SKEW_DAYS

    def _counts_at_once(self, record: Record) -> bool:
        """Whether it is a ballot of that circle that stands today as soon as it is in its register."""
        return self._stands(record) and not record.is_stub and is_understood(record)


def _sorted_out(records: Iterable[Record]) -> tuple[Ballot, ...]:
    """Ballots on one question after the register rule."""
    registers: dict[PublicKey, dict[RecordId, Record]] = defaultdict(dict)
    for record in records:
        registers[record.author][record.id] = record
    ballots = (_ballot(list(register.values())) for register in registers.values())
    return tuple(sorted((ballot for ballot in ballots if ballot), key=lambda ballot: ballot.key))


def _ballot(register: list[Record]) -> Ballot | None:
    record = effective(register)
    if record is None:
        highest = max(one.seq for one in register)
        pair = sorted(one.id for one in register if one.seq == highest)[:2]
        return Ballot(register[0].author, VOID, tuple(pair))
    if not is_understood(record):
        return None
    return Ballot(record.author, _CHOICES[str(record.fields["choice"])], (record.id,))
