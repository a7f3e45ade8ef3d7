"""What a fork inherits: signed records of its parent, carried in records of its own kind and named by one digest in its charter.

A fork keeps the salt, so that everybody has the same name in both circles, and names its parent and a *cut*. The cut is the digest of an
index, the index lists the digests of parts, a part holds signed records as they were written in the parent. So whoever holds the fork's
records holds all that it inherits, by the same sync, even when the parent is gone; and no part can be forged or exchanged.

All or nothing: as long as a part is missing nothing is inherited, and a cut that holds what no cut may hold (records of another circle, a
bad signature, another salt) is void. What is inherited is read as if it had been written in the fork: a later vouch or ballot there
replaces it, a later one in the parent does not. Pure; called by `core.verdict`, `core.admission` and `services.forking`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from p2pnode.core import encoding
from p2pnode.core.charter import Charter
from p2pnode.core.fields import array, digest, octets
from p2pnode.core.ids import NO_CIRCLE, CircleId, RecordId
from p2pnode.core.keys import KeyPair
from p2pnode.core.proposals import WORK_CLASSES
from p2pnode.core.record import BALLOT, CHARTER, CUT, MANIFEST, PROPOSAL, VOUCH, Record
from p2pnode.core.records import MAX_SIGNED_BYTES, cut_digest, decode_signed, encode_signed, make
from p2pnode.errors import DecodeError, RefusedError

MAX_PART_BYTES = 24_000
"""Of an index or a part: with its fields it fits a record of 24 KiB, and that a sync frame."""
MAX_PARTS = 512
"""12 MB, some 45,000 vouches and ballots: a circle beyond a thousand members has better splits than this."""
MAX_PART_RECORDS = 512
"""Records in one part: none is as small as 47 bytes, so this refuses only what is malformed anyway."""
MAX_GENERATIONS = 16
"""Forks of forks that may hand records on."""
INHERITED_KINDS = frozenset({VOUCH, BALLOT, PROPOSAL, MANIFEST})

State = Literal["none", "whole", "missing", "void"]


@dataclass(frozen=True, slots=True)
class Cut:
    """An inheritance ready to be carried: `digest` for the charter, `pieces` for the records, the index first."""

    digest: bytes
    pieces: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a circle's records say that it inherits.

    `records` are read as the fork's own (their `circle` is the fork). `originals` are the same as they were signed, and the first charters
    of the fork's ancestors, whose ids are `line`. `carriers` are the held records of kind cut that the charter names. `missing` pieces
    are not held yet; `why` says what makes a cut void.
    """

    state: State
    records: tuple[Record, ...] = ()
    originals: tuple[Record, ...] = ()
    line: frozenset[CircleId] = frozenset()
    carriers: frozenset[RecordId] = frozenset()
    missing: int = 0
    why: str = ""


NOTHING: Final = Inheritance("none")


# ---------------------------------------------------------------- reading


def inherited(charter: Charter, records: Iterable[Record], *, known: Inheritance = NOTHING) -> Inheritance:
    """What a circle with that first charter inherits; `records` are the circle's, of any kinds and in any order.

    `known` may be what it said of that circle before: where it still holds it is not read again.
    """
    if charter.parent is None or charter.cut is None:
        return NOTHING
    pieces = _pieces(charter, records)
    carriers = carriers_of(charter, pieces.values())
    if known.state == "whole" and known.carriers == carriers:
        return known
    try:
        parts = _parts(charter.cut, pieces)
        missing = sum(part not in pieces for part in parts) if parts is not None else 1
        if parts is None or missing:
            return Inheritance("missing", carriers=carriers, missing=missing)
        found = [record for part in parts for record in _records_of(_data(pieces[part]))]
        line = _line(charter, {record.id: record for record in found if record.kind == CHARTER})
        own = _checked(line, charter.circle, found)
    except DecodeError as error:
        return Inheritance("void", carriers=carriers, why=error.message)
    return Inheritance("whole", own, tuple(found), frozenset(line), carriers)


def carriers_of(charter: Charter, records: Iterable[Record]) -> frozenset[RecordId]:
    """Which of these records carry a piece that the charter names; no other one of their kind means anything."""
    if charter.cut is None:
        return frozenset()
    pieces = _pieces(charter, records)
    try:
        named = {charter.cut, *(_parts(charter.cut, pieces) or ())}
    except DecodeError:
        named = {charter.cut}
    return frozenset(piece.id for piece in pieces.values() if piece.target in named)


def _pieces(charter: Charter, records: Iterable[Record]) -> dict[bytes, Record]:
    """By digest; of several records that carry the same piece the one with the smallest id."""
    held = (one for one in records if one.kind == CUT and one.circle == charter.circle and not one.is_stub)
    return {one.target: one for one in sorted(held, key=lambda one: one.id, reverse=True)}


def _data(piece: Record) -> bytes:
    return octets(piece.fields, "data")


def _parts(cut: bytes, pieces: Mapping[bytes, Record]) -> list[bytes] | None:
    """The digests that the index lists, or None if it is not held. DecodeError if it is malformed."""
    if cut not in pieces:
        return None
    fields = encoding.decode_map(_data(pieces[cut]), limit=MAX_PART_BYTES)
    parts = [digest({"part": part}, "part") for part in array(fields, "parts", most=MAX_PARTS)]
    if not parts or len(set(parts)) != len(parts):
        raise DecodeError("an index lists parts, and each of them once")
    return parts


@lru_cache(maxsize=MAX_PARTS)
def _records_of(data: bytes) -> tuple[Record, ...]:
    """The signed records of a part, verified; remembered, since every new view of the circle asks for the same. DecodeError."""
    fields = encoding.decode_map(data, limit=MAX_PART_BYTES)
    items = array(fields, "records", most=MAX_PART_RECORDS)
    return tuple(decode_signed(octets({"record": item}, "record", most=MAX_SIGNED_BYTES)) for item in items)


def _checked(line: set[CircleId], circle: CircleId, records: Sequence[Record]) -> tuple[Record, ...]:
    """What is inherited of these, as the tally of that circle reads it. DecodeError if one may not be in a cut."""
    if len({record.id for record in records}) != len(records):
        raise DecodeError("a cut holds a record twice")
    if any(record.kind == CHARTER and CircleId(record.id) not in line for record in records):
        raise DecodeError("a cut holds a charter that is none of the fork's ancestors'")
    kept = [record for record in records if record.kind != CHARTER]
    for record in kept:
        if record.kind not in INHERITED_KINDS:
            raise DecodeError(f"a {record.kind[:20]!r} record is not inherited")
        if record.circle not in line and not (record.kind == MANIFEST and record.circle == NO_CIRCLE):
            raise DecodeError("a cut holds a record of another circle")
        if record.kind == PROPOSAL and record.fields["class"] not in WORK_CLASSES:
            raise DecodeError("of decisions only those about works are inherited")
    return tuple(replace(one, fields={**one.fields, "circle": circle}) for one in kept)


def _line(charter: Charter, charters: Mapping[RecordId, Record]) -> set[CircleId]:
    """The parent, its parent ... as far as their first charters are in the cut; the parent's own must be. Each has the fork's salt."""
    line: set[CircleId] = set()
    above = charter.parent
    while above is not None and RecordId(above) in charters and len(line) < MAX_GENERATIONS:
        ancestor = Charter.of(charters[RecordId(above)])
        if ancestor.circle != above or ancestor.salt != charter.salt:
            raise DecodeError("an ancestor has another salt, so the same keys are other persons there")
        line.add(above)
        above = ancestor.parent
    if charter.parent not in line:
        raise DecodeError("the parent's first charter is not in the cut")
    return line


# ---------------------------------------------------------------- writing


def cut_of(records: Iterable[Record]) -> Cut:
    """Pack signed records, each once, in the order of their ids. RefusedError if they are too many."""
    parts: list[bytes] = []
    waiting: list[bytes] = []
    room = MAX_PART_BYTES - _FRAME_BYTES
    for record in sorted({one.id: one for one in records}.values(), key=lambda one: one.id):
        signed = encode_signed(record)
        size = len(signed) + _ITEM_BYTES
        if size > MAX_PART_BYTES - _FRAME_BYTES:
            raise RefusedError(f"a {record.kind[:20]} record of the parent is too large to be inherited")
        if size > room or len(waiting) == MAX_PART_RECORDS:
            parts.append(encoding.encode({"records": tuple(waiting)}))
            waiting, room = [], MAX_PART_BYTES - _FRAME_BYTES
        waiting.append(signed)
        room -= size
    parts.append(encoding.encode({"records": tuple(waiting)}))
    if len(parts) > MAX_PARTS:
        raise RefusedError(
            f"a fork inherits at most {MAX_PARTS * MAX_PART_BYTES // 1_000_000} MB of records, and this would be more",
            hint="fork without works: its members come along, and works are listed anew",
        )
    index = encoding.encode({"parts": tuple(cut_digest(part) for part in parts)})
    return Cut(cut_digest(index), (index, *parts))


_FRAME_BYTES, _ITEM_BYTES = 16, 3
"""Of a part around its records, and of one record in it: what msgpack adds."""


def carry(key: KeyPair, *, circle: CircleId, piece: bytes, seq: int, created: int) -> Record:
    """A record of the fork that carries one piece."""
    return make(key, CUT, circle=circle, target=cut_digest(piece), seq=seq, created=created, data=piece)
