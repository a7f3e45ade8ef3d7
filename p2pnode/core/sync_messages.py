"""The frames of one reconciliation: bytes <-> values, nothing else. Called by `core.reconcile`.

A frame is one byte (low four bits: kind; high bits: flags) and a body. The two sides take turns; a turn is up to
MAX_TURN_FRAMES frames, the last of which carries LAST.

    EMPTY          nothing: it only carries flags
    CONTROL, REST  ranges of the control records, of all others
    WANT           ids, 32 bytes each: send me these records
    RECORDS        signed records, each behind its length in two bytes
    BYE            one byte: 0 settled, 1 cut (a limit was reached; go on in another session)
    SALT           16 bytes, the initiator's first frame or none: the fingerprints of this session are salted with it

Ranges stand in ascending order and tile the space of keys from its beginning; what is not said is skipped. One range is: a byte
(high two bits: what it holds; low six: how many bytes its upper bound shares with the bound before, 63 = there is no bound), a byte
of length and that many bytes of the rest of the bound, then: SKIP nothing, PRINT 16 bytes, IDS a byte of count and the ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from p2pnode.core.ids import ID_BYTES, RecordId
from p2pnode.core.sync_index import FINGERPRINT_BYTES, KEY_BYTES
from p2pnode.core.sync_salted import SALT_BYTES
from p2pnode.errors import DecodeError
from p2pnode.limits import KIB

EMPTY, CONTROL, REST, WANT, RECORDS, BYE, SALT = range(7)
LAST, MORE, AGAIN, BARE = 0x80, 0x40, 0x20, 0x10
"""LAST: your turn. MORE: I have more to say, give me a turn even if you have nothing. AGAIN: ask about the rest once more.
BARE: of some records that you lack I hold the ids only."""

MAX_FRAME_BYTES = 32 * KIB
"""A charter of 24 KiB fits; small enough that a slow link is never blocked for long."""
MAX_TURN_FRAMES = 16
"""Frames in one turn: half a megabyte, then the other side is heard."""
MAX_FRAME_RANGES = 1024
"""Ranges in one frame: each may cost the reader a fingerprint (about 40 µs)."""
MAX_LIST_IDS = 32
"""Ids in one list: beyond that a split costs fewer bytes than the list."""
MAX_RECORD_BYTES = 24 * KIB + 64
"""The largest signed record, a charter."""
MAX_WANT_IDS = (MAX_FRAME_BYTES - 1) // ID_BYTES

_SKIP, _PRINT, _IDS = 0, 1, 2
_NO_BOUND = 63
_KINDS = 0x0F
_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True)
class KeyRange:
    """What one side says about [lower, upper): a fingerprint, or all its ids (at most 32). None as upper bound is the end."""

    lower: bytes
    upper: bytes | None
    said: bytes | tuple[RecordId, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, decoded. Which of the lists may be filled follows from `kind`."""

    kind: int
    flags: int = 0
    ranges: tuple[KeyRange, ...] = ()
    ids: tuple[RecordId, ...] = ()
    records: tuple[bytes, ...] = ()
    cut: bool = False
    salt: bytes = b""

    @property
    def last(self) -> bool:
        return bool(self.flags & LAST)


def encode_empty() -> bytes:
    return bytes([EMPTY])


def encode_bye(*, cut: bool) -> bytes:
    return bytes([BYE | LAST, int(cut)])


def encode_salt(salt: bytes) -> bytes:
    return bytes([SALT]) + salt


def with_flags(frame: bytes, flags: int) -> bytes:
    """The same frame carrying these flags too."""
    return bytes([frame[0] | flags]) + frame[1:]


def encode_ranges(kind: int, ranges: Sequence[KeyRange], limit: int = MAX_FRAME_BYTES) -> tuple[bytes, int]:
    """(frame, how many of the ranges it took), at least one where `limit` allows. They must be ascending and disjoint."""
    parts = bytearray([kind])
    at: bytes | None = b""
    taken = items = 0
    for entry in ranges:
        piece = bytearray()
        gap = entry.lower != at
        if gap:
            piece += _bound(_SKIP, at or b"", entry.lower)
        piece += _said(entry)
        if len(parts) + len(piece) > limit or items + 1 + gap > MAX_FRAME_RANGES:
            break
        parts += piece
        at = entry.upper
        taken += 1
        items += 1 + gap
    return bytes(parts), taken


def encode_want(ids: Iterable[RecordId]) -> bytes:
    return bytes([WANT]) + b"".join(ids)


def encode_records(records: Sequence[bytes], limit: int = MAX_FRAME_BYTES) -> tuple[bytes, int]:
    """(frame, how many of the records it took)."""
    parts = bytearray([RECORDS])
    taken = 0
    for record in records:
        if len(parts) + _LENGTH_BYTES + len(record) > limit:
            break
        parts += len(record).to_bytes(_LENGTH_BYTES, "big") + record
        taken += 1
    return bytes(parts), taken


def decode_frame(data: bytes) -> Frame:
    """DecodeError on anything malformed or beyond a limit of this module."""
    if not data or len(data) > MAX_FRAME_BYTES:
        raise DecodeError(f"a sync frame has 1 to {MAX_FRAME_BYTES} bytes, not {len(data)}")
    kind, flags, body = data[0] & _KINDS, data[0] & ~_KINDS, data[1:]
    if flags and not flags & LAST:
        raise DecodeError(f"a sync frame with unknown flags {flags:#x}")
    if kind in (CONTROL, REST):
        return Frame(kind, flags, ranges=_decode_ranges(body))
    if kind == WANT:
        return Frame(kind, flags, ids=_decode_ids(body, MAX_WANT_IDS))
    if kind == RECORDS:
        return Frame(kind, flags, records=_decode_records(body))
    if kind == EMPTY and not body:
        return Frame(kind, flags)
    if kind == BYE and flags & ~BARE == LAST and body in (b"\x00", b"\x01"):
        return Frame(kind, flags, cut=body == b"\x01")
    if kind == SALT and not flags and len(body) == SALT_BYTES:
        return Frame(kind, salt=body)
    raise DecodeError(f"a sync frame of kind {kind} with {len(body)} bytes makes no sense")


def _said(entry: KeyRange) -> bytes:
    if isinstance(entry.said, bytes):
        return _bound(_PRINT, entry.lower, entry.upper) + entry.said
    return _bound(_IDS, entry.lower, entry.upper) + bytes([len(entry.said)]) + b"".join(entry.said)


def _bound(holds: int, before: bytes, bound: bytes | None) -> bytes:
    if bound is None:
        return bytes([holds << 6 | _NO_BOUND])
    shared = 0
    while shared < min(len(before), len(bound)) and before[shared] == bound[shared]:
        shared += 1
    return bytes([holds << 6 | shared, len(bound) - shared]) + bound[shared:]


class _Cursor:
    """Reads a body from left to right; DecodeError where it ends too early."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def __bool__(self) -> bool:
        return self._at < len(self._body)

    def take(self, count: int) -> bytes:
        part = self._body[self._at : self._at + count]
        if len(part) != count:
            raise DecodeError("a sync frame ends in the middle of a field")
        self._at += count
        return part

    def byte(self) -> int:
        return self.take(1)[0]


def _decode_ranges(body: bytes) -> tuple[KeyRange, ...]:
    cursor = _Cursor(body)
    ranges: list[KeyRange] = []
    lower: bytes | None = b""
    items = 0
    while cursor:
        items += 1
        if lower is None or items > MAX_FRAME_RANGES:
            raise DecodeError("a sync frame has ranges behind the end, or too many")
        head = cursor.byte()
        holds, shared = head >> 6, head & _NO_BOUND
        upper = None if shared == _NO_BOUND else _decode_bound(cursor, lower, shared)
        if holds == _PRINT:
            ranges.append(KeyRange(lower, upper, cursor.take(FINGERPRINT_BYTES)))
        elif holds == _IDS:
            ranges.append(KeyRange(lower, upper, _decode_ids(cursor.take(cursor.byte() * ID_BYTES), MAX_LIST_IDS)))
        elif holds != _SKIP:
            raise DecodeError("a sync range holds something unknown")
        lower = upper
    if not ranges:
        raise DecodeError("a sync frame of ranges says nothing")
    return tuple(ranges)


def _decode_bound(cursor: _Cursor, lower: bytes, shared: int) -> bytes:
    length = cursor.byte()
    if shared > len(lower) or shared + length > KEY_BYTES:
        raise DecodeError("a sync bound is too long")
    upper = lower[:shared] + cursor.take(length)
    if upper <= lower:
        raise DecodeError("sync bounds do not ascend")
    return upper


def _decode_ids(body: bytes, limit: int) -> tuple[RecordId, ...]:
    if len(body) % ID_BYTES or len(body) > limit * ID_BYTES:
        raise DecodeError(f"{len(body)} bytes are not a list of at most {limit} ids")
    ids = tuple(RecordId(body[at : at + ID_BYTES]) for at in range(0, len(body), ID_BYTES))
    if len(set(ids)) != len(ids):
        raise DecodeError("a list names one id twice")
    return ids


def _decode_records(body: bytes) -> tuple[bytes, ...]:
    cursor = _Cursor(body)
    records: list[bytes] = []
    while cursor:
        length = int.from_bytes(cursor.take(_LENGTH_BYTES), "big")
        if not 0 < length <= MAX_RECORD_BYTES:
            raise DecodeError(f"a record of {length} bytes")
        records.append(cursor.take(length))
    if not records:
        raise DecodeError("a sync frame of records has none")
    return tuple(records)
