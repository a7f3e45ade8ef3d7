"""Who may write into a circle's set of records, and how much: pure rules that all nodes apply alike (design 4.5).

An author is *known* if a steward of any held charter, or the target of any held vouch of a known author, whatever that vouch says and
however old it is. Expulsion and expiry never make an author unknown: membership decides the tally, not the stored set. What is kept
of one author is a function of all his records ever seen: kept(A + B) = kept(kept(A) + kept(B)), so stores converge whatever the
order. Called by `services.admission`, inside its transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from p2pnode.core.charter import Charter
from p2pnode.core.cut import inherited
from p2pnode.core.ids import NO_CIRCLE, CircleId, PublicKey, RecordId
from p2pnode.core.record import CHARTER, CUT, VOUCH, Record
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.core.registers import is_register
from p2pnode.core.verdict import CircleView
from p2pnode.errors import DecodeError

MAX_REGISTERS = 500
"""Registers (vouches and ballots) that are kept of one author in one circle: an active voter's years, a flood's small part."""
MAX_PERMANENTS = 64
"""Permanent records kept of one author in one circle, beyond what the tally adopted."""
DAYS_AHEAD = 1
"""Clocks differ: a record of tomorrow is admitted, a later one waits."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much is kept of one author; an argument only so that tests reach it."""

    registers: int = MAX_REGISTERS
    permanents: int = MAX_PERMANENTS


DEFAULT_CAPS = Caps()
INTRODUCING = (CHARTER, VOUCH, CUT)
"""Kinds of records that make authors known."""


def belongs(record: Record, circle: CircleId) -> bool:
    """Whether a record is one of this circle's: it names it, or it is the genesis charter whose id the circle bears."""
    return circle != NO_CIRCLE and (record.circle == circle or is_genesis(record, circle))


def is_genesis(record: Record, circle: CircleId) -> bool:
    return bytes(record.id) == circle and record.kind == CHARTER and record.circle == NO_CIRCLE


def is_early(record: Record, now: float) -> bool:
    """Whether it is of a day after tomorrow (UTC): it waits."""
    return record.day > int(now) // SECONDS_A_DAY + DAYS_AHEAD


def introduces(record: Record) -> tuple[PublicKey, ...]:
    """The authors who are known because this record is held."""
    if record.kind == VOUCH:
        return (PublicKey(record.target),)
    if record.kind == CHARTER:
        try:
            return Charter.of(record).stewards
        except DecodeError:
            return ()  # of a later version: kept, and understood by nobody here
    return ()


def may_introduce(record: Record) -> bool:
    """Whether who is known may be another matter with this record than without it."""
    return record.kind in INTRODUCING


def known_authors(controls: Iterable[Record], circle: CircleId) -> frozenset[PublicKey]:
    """The closure: from the genesis charter along held charters and vouches of those who are known, inherited vouches among them."""
    by_author: dict[PublicKey, list[Record]] = {}
    known: set[PublicKey] = set()
    waiting: list[PublicKey] = []
    held = list(controls)
    for record in [*held, *_inherited(held, circle)]:
        if is_genesis(record, circle):
            waiting.extend(introduces(record))
        elif record.kind in (VOUCH, CHARTER):
            by_author.setdefault(record.author, []).append(record)
    while waiting:
        author = waiting.pop()
        if author not in known:
            known.add(author)
            for record in by_author.get(author, ()):
                waiting.extend(introduces(record))
    return frozenset(known)


def _inherited(held: Sequence[Record], circle: CircleId) -> Sequence[Record]:
    """What a fork's cut brings, once all of it is held."""
    genesis = next((record for record in held if is_genesis(record, circle)), None)
    if genesis is None or not any(record.kind == CUT for record in held):
        return ()
    try:
        return inherited(Charter.of(genesis), held).records
    except DecodeError:
        return ()  # a charter of a later version


def beyond_caps(
    records: Sequence[Record], circle: CircleId, *, adopted: Collection[RecordId] = (), caps: Caps = DEFAULT_CAPS
) -> list[Record]:
    """Which of one author's records in a circle are not kept; they went through the register rule before.

    Registers stay by the smallest SHA-256(author || kind || target), permanent records by age, then id. The genesis charter and what
    the tally adopted always stay.
    """
    registers = sorted({_place(record) for record in records if is_register(record)})
    dropped_places = set(registers[caps.registers :])
    permanents = [
        record
        for record in records
        if not is_register(record) and not is_genesis(record, circle) and record.id not in adopted
    ]
    permanents.sort(key=lambda record: (record.created, record.id))
    dropped = [record for record in records if is_register(record) and _place(record) in dropped_places]
    return dropped + permanents[caps.permanents :]


def adopted_among(records: Sequence[Record], view: CircleView) -> frozenset[RecordId]:
    """Which of these a tally adopted: proposals of adopted questions, the manifests that those list, charters and seals that bind."""
    ids = {record.id for record in records}
    adopted: set[RecordId] = ids & view.binding
    for asked in view.questions():
        part = {proposal.id for proposal in asked.proposals} | {RecordId(asked.question.base)}
        if part & ids and view.decide(asked.question.id).is_adopted:
            adopted |= part & ids
    return frozenset(adopted)


def _place(record: Record) -> bytes:
    return hashlib.sha256(record.author + record.kind.encode() + record.target).digest()
