"""The rule of registers: which record of one (circle, author, kind, target) stands, whatever order they arrived in.

The highest `seq` wins. Two different bodies with one `seq` are an equivocation: the two smallest ids stay as its proof and the
register is void until a higher `seq` comes. What is kept is a function of the *set* of records ever merged, so all nodes end
alike. There is no chain per person: a restored backup costs at most one void ballot, never the identity. Only vouch,
ballot and profile are registers; every other kind is permanent and never comes here. Called inside the transaction that admits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from p2pnode.core.ids import CircleId, PublicKey
from p2pnode.core.record import REGISTER_KINDS, Record

PROOF_RECORDS = 2
"""Records of one `seq` that are kept: two prove the equivocation, more prove nothing more."""

Register = tuple[CircleId, PublicKey, str, bytes]
"""(circle, author, kind, target)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a register becomes: `keep` is the whole of it afterwards, `drop` what was held and goes; `void` counts as nothing."""

    keep: tuple[Record, ...]
    drop: tuple[Record, ...]
    void: bool


def is_register(record: Record) -> bool:
    """Whether newer records of its author about the same target replace it."""
    return record.kind in REGISTER_KINDS


def register_of(record: Record) -> Register:
    """The register this record belongs to."""
    return record.circle, record.author, record.kind, record.target


def merge(held: Sequence[Record], new: Record) -> Change:
    """What one register holds after `new` came; `held` are its records so far (none, one, or a void pair)."""
    known = {record.id: record for record in held}
    known.setdefault(new.id, new)
    assert len({register_of(record) for record in known.values()}) == 1, "records of different registers"
    keep = _survivors(known.values())
    kept = {record.id for record in keep}
    return Change(keep, tuple(record for record in held if record.id not in kept), len(keep) > 1)


def effective(records: Iterable[Record]) -> Record | None:
    """The one that stands among a register's records, or None: there is none, or the register is void."""
    keep = _survivors(records)
    return keep[0] if len(keep) == 1 else None


def _survivors(records: Iterable[Record]) -> tuple[Record, ...]:
    distinct = {record.id: record for record in records}
    if len(distinct) < PROOF_RECORDS:  # nearly every register: nothing to compare
        return tuple(distinct.values())
    highest = max(record.seq for record in distinct.values())
    top = sorted((record for record in distinct.values() if record.seq == highest), key=lambda record: record.id)
    return tuple(top[:PROOF_RECORDS])
