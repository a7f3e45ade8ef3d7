"""What a fork of a circle takes along: who is a member today, and what is decided about works.

Left behind are expelled keys, revoked and expired vouches, open questions, and everything about persons and rules: a fork begins with a
charter of its own. Pure; called by `services.forking` once for each fork.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p2pnode.core.ids import CircleId, QuestionId, RecordId
from p2pnode.core.proposals import LIST, WORK_CLASSES
from p2pnode.core.record import BALLOT, CHARTER, MANIFEST, PROPOSAL, VOUCH, Record
from p2pnode.core.registers import effective
from p2pnode.core.standing import VOID
from p2pnode.core.verdict import CircleView


@dataclass(frozen=True, slots=True)
class Heritage:
    """`records` as they were signed; how many of them are vouches, and how many works have a decision among them."""

    records: tuple[Record, ...]
    vouches: int
    works: int


def heritage(view: CircleView, records: Iterable[Record], *, works: bool) -> Heritage:
    """What counts in `view` of the records that are held of a circle, as they were signed; of works only if asked for.

    What the circle inherited itself is handed on. Manifests that are of no circle come in `records`, too: `named` says which.
    """
    whole = {record.id: record for record in (*records, *view.inheritance.originals) if not record.is_stub}
    line = {view.genesis.circle, *view.inheritance.line}
    charters = [one for one in whole.values() if one.kind == CHARTER and CircleId(one.id) in line]
    vouches = _vouches(view, whole.values())
    decided = _decided(view) if works else {}
    about = _about(view, whole.values(), decided)
    return Heritage((*charters, *vouches, *about), len(vouches), len(set(decided.values())))


def named(view: CircleView) -> set[RecordId]:
    """The manifests that are listed, and those that name the works that something is decided about."""
    decided = _decided(view)
    listed = {view.decide(id).question.base for id in decided if view.decide(id).question.class_ == LIST}
    return {RecordId(id) for id in listed | set(decided.values()) if id}


def _vouches(view: CircleView, records: Iterable[Record]) -> list[Record]:
    members = view.membership
    active = {
        (key, bytes(members.keys[target]))
        for key, targets in zip(members.keys, members.vouches, strict=True)
        for target in targets
    }
    registers: dict[tuple[bytes, bytes], list[Record]] = defaultdict(list)
    for record in records:
        if record.kind == VOUCH and (record.author, record.target) in active:
            registers[record.author, record.target].append(record)
    return [one for group in registers.values() if (one := effective(group)) is not None]


def _decided(view: CircleView) -> dict[QuestionId, bytes]:
    """Adopted questions about works, with the work."""
    asked = (one.question for one in view.questions() if one.question.class_ in WORK_CLASSES)
    return {one.id: one.subject for one in asked if view.decide(one.id).is_adopted}


def _about(view: CircleView, records: Iterable[Record], decided: Mapping[QuestionId, bytes]) -> list[Record]:
    """Proposals of what is decided, members' ballots on it that are not void, and manifests."""
    ballots = {
        ballot.records[0]
        for question in decided
        for ballot in view.decide(question).of_members
        if ballot.choice != VOID
    }
    manifests = named(view) if decided else set()
    return [
        one
        for one in records
        if (one.kind == PROPOSAL and one.target in decided)
        or (one.kind == BALLOT and one.id in ballots)
        or (one.kind == MANIFEST and one.id in manifests)
    ]
