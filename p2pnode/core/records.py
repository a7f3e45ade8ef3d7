"""The one codec of records: bytes from anywhere in, verified `Record` out; and the writer's way back.

Every record is a canonical msgpack map with the seven common fields, then what its kind asks for; the wire form is 64 bytes of
signature, then the body (protocol, "Records"). `decode_signed` raises DecodeError and nothing else on any bytes.
What is well signed but of an unknown kind, version, proposal class or with unknown keys is a record too: it is kept
and synced, and `core.understanding` tells the tally to leave it alone. Whether an author may be admitted is not asked here.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from p2pnode.core import encoding
from p2pnode.core.cid import RAW, SHA2_256, Cid
from p2pnode.core.fields import Fields, digest, integer, mapping, octets, text
from p2pnode.core.ids import ID_BYTES, NO_CIRCLE, CircleId, QuestionId, RecordId
from p2pnode.core.keys import SIGNATURE_BYTES, KeyPair, verify
from p2pnode.core.record import (
    BALLOT,
    CHARTER,
    CUT,
    FORK,
    MANIFEST,
    PROFILE,
    PROPOSAL,
    SEAL,
    VOUCH,
    WITHDRAW,
    Record,
    Value,
)
from p2pnode.errors import DecodeError, UsageError

VERSION = 1
RECORD_DOMAIN = b"p2pnode/rec/1"
SIGNATURE_DOMAIN = b"p2pnode/sig/1"
QUESTION_DOMAIN = b"p2pnode/q/1"
NEW_WORK_DOMAIN = b"p2pnode/new/1"
CUT_DOMAIN = b"p2pnode/cut/1"

KIB = 1 << 10
MAX_BODY_BYTES = 2 * KIB
"""Bytes of a body of any kind that is not named below, unknown kinds too: a million of them must fit a disk."""
MAX_BODY_BYTES_BY_KIND: Final = {PROPOSAL: 16 * KIB, MANIFEST: 16 * KIB, CHARTER: 24 * KIB, CUT: 24 * KIB}
"""Kinds that carry descriptions or lists; a charter must still fit a sync frame of 32 KiB."""
MAX_SIGNED_BYTES = SIGNATURE_BYTES + max(MAX_BODY_BYTES_BY_KIND.values())
NONCE_BYTES = 16
MAX_KIND_CHARACTERS = 32
SECONDS_A_DAY = 86_400
COUNTER_BITS = 16

APPROVE, REJECT, ABSTAIN = "approve", "reject", "abstain"
CHOICES = (APPROVE, REJECT, ABSTAIN)
PROPOSAL_CLASSES = ("list", "edit", "flag", "takedown", "appeal", "expel", "readmit", "stewards", "charter")
"""What version 1 decides on. A proposal of another class is kept, and no tally of ours counts it."""


# ---------------------------------------------------------------- reading


def decode_signed(data: bytes) -> Record:
    """A record from its wire form: canonical, of the right shape and rightly signed. DecodeError otherwise."""
    if len(data) > MAX_SIGNED_BYTES:
        raise DecodeError(f"a record of {len(data)} bytes is over the limit of {MAX_SIGNED_BYTES}")
    if len(data) <= SIGNATURE_BYTES:
        raise DecodeError("too short for a signature and a body")
    sig, body = bytes(data[:SIGNATURE_BYTES]), bytes(data[SIGNATURE_BYTES:])
    fields = decode_body(body)
    author = fields["author"]
    assert isinstance(author, bytes)
    if not verify(author, SIGNATURE_DOMAIN + body, sig):
        raise DecodeError("the signature does not verify")
    return Record(record_id(body), body, sig, fields)


def decode_body(body: bytes) -> Mapping[str, Value]:
    """The fields of a body whose shape is right; its signature is not looked at. DecodeError otherwise."""
    fields = encoding.decode_map(body, limit=max(MAX_BODY_BYTES_BY_KIND.values()))
    _check(fields, len(body))
    return fields


def encode_signed(record: Record) -> bytes:
    """The wire form: signature, then body."""
    return record.sig + record.body


def record_id(body: bytes) -> RecordId:
    """SHA-256 of the domain-separated body."""
    return RecordId(hashlib.sha256(RECORD_DOMAIN + body).digest())


def record_cid(id: RecordId) -> Cid:
    """The record's CID (v1, raw, sha2-256): its block is RECORD_DOMAIN followed by the body."""
    return Cid(1, RAW, bytes([SHA2_256, ID_BYTES]) + id)


def smaller_signature(one: bytes, other: bytes) -> bytes:
    """Which of two valid signatures over one body is kept, so that every node keeps the same."""
    return min(one, other)


def question_id(circle: bytes, class_: str, subject: bytes, base: bytes, patch: Mapping[str, Value]) -> QuestionId:
    """What is decided on. The same question has the same id, whoever proposes it."""
    packed = encoding.encode((circle, class_, subject, base, patch))
    return QuestionId(hashlib.sha256(QUESTION_DOMAIN + packed).digest())


def new_work_target(nonce: bytes) -> bytes:
    """The target of a work's first manifest, from 16 random bytes."""
    return hashlib.sha256(NEW_WORK_DOMAIN + nonce).digest()


def cut_digest(data: bytes) -> bytes:
    """The target of a record that carries this piece of a fork's inheritance."""
    return hashlib.sha256(CUT_DOMAIN + data).digest()


def seq_of(created: int, counter: int) -> int:
    """UTC day x 2^16 + counter (0..65535)."""
    return created // SECONDS_A_DAY << COUNTER_BITS | counter


# ---------------------------------------------------------------- writing


def make(key: KeyPair, kind: str, *, circle: bytes, target: bytes, seq: int, created: int, **fields: Value) -> Record:
    """A new signed record; text is normalised to NFC here and nowhere else. UsageError when it would not decode.

    `class` being a keyword, a proposal's class is passed as **{"class": ...}.
    """
    raw: dict[str, Value] = {
        **fields,
        "v": VERSION,
        "kind": kind,
        "circle": circle,
        "author": key.public,
        "seq": seq,
        "target": target,
        "created": created,
    }
    try:
        body = encoding.encode({name: normalised(value) for name, value in raw.items()})
        decoded = decode_body(body)
    except DecodeError as error:
        raise UsageError(f"this {kind} cannot be written: {error.message}") from error
    return Record(record_id(body), body, key.sign(SIGNATURE_DOMAIN + body), decoded)


def normalised(value: Value) -> Value:
    """The same value with every text in NFC, as a writer stores it."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, tuple | list):
        return tuple(normalised(item) for item in value)
    if isinstance(value, Mapping):
        return {name: normalised(item) for name, item in value.items()}
    return value


# ---------------------------------------------------------------- shapes


def _check(fields: Fields, size: int) -> None:
    """The common fields of every version, then what version 1 asks of the kinds it knows."""
    kind = text(fields, "kind")
    if not 0 < len(kind) <= MAX_KIND_CHARACTERS:
        raise DecodeError("the kind has no name of 1 to 32 characters")
    limit = MAX_BODY_BYTES_BY_KIND.get(kind, MAX_BODY_BYTES)
    if size > limit:
        raise DecodeError(f"a {kind[:20]!r} record of {size} bytes is over the limit of {limit}")
    version, seq, created = integer(fields, "v"), integer(fields, "seq"), integer(fields, "created")
    if version == 0:
        raise DecodeError("version 0 does not exist")
    if seq >> COUNTER_BITS != created // SECONDS_A_DAY:
        raise DecodeError("seq and created name different days")
    for name in ("circle", "author", "target"):
        digest(fields, name)
    if version == VERSION and kind in _SHAPES:
        _SHAPES[kind](fields)


def _profile(fields: Fields) -> None:
    if fields["circle"] != NO_CIRCLE or fields["target"] != fields["author"]:
        raise DecodeError("a profile belongs to no circle and targets its author")
    text(fields, "name")
    text(fields, "about")


def _manifest(fields: Fields) -> None:
    mapping(fields, "work")
    if "nonce" in fields and "base" in fields:
        raise DecodeError("a manifest is either the first (nonce) or a revision (base)")
    if "base" in fields:
        digest(fields, "base")
    elif len(octets(fields, "nonce")) != NONCE_BYTES:
        raise DecodeError(f"a nonce has {NONCE_BYTES} bytes")
    elif fields["target"] != new_work_target(octets(fields, "nonce")):
        raise DecodeError("the target does not follow from the nonce")


def _charter(fields: Fields) -> None:
    digest(fields, "salt")
    mapping(fields, "charter")
    if fields["circle"] != fields["target"]:
        raise DecodeError("a charter's target is its circle")
    if fields["circle"] != NO_CIRCLE:
        digest(fields, "base")
    elif "base" in fields:
        raise DecodeError("a first charter has no base")


def _vouch(fields: Fields) -> None:
    _in_circle(fields)
    if integer(fields, "choice") > 1:
        raise DecodeError("a vouch is 1, or 0 to revoke")


def _proposal(fields: Fields) -> None:
    circle = _in_circle(fields)
    class_, subject, base, patch = (
        text(fields, "class"),
        digest(fields, "subject"),
        octets(fields, "base"),
        mapping(fields, "patch"),
    )
    text(fields, "reason")
    if len(base) not in (0, ID_BYTES):
        raise DecodeError("a base is empty or a record id")
    if fields["target"] != question_id(circle, class_, subject, base, patch):
        raise DecodeError("the target is not the id of this question")


def _ballot(fields: Fields) -> None:
    _in_circle(fields)
    if text(fields, "choice") not in CHOICES:
        raise DecodeError("a ballot approves, rejects or abstains")
    text(fields, "reason")


def _seal(fields: Fields) -> None:
    _in_circle(fields)
    digest(fields, "base")


def _cut(fields: Fields) -> None:
    _in_circle(fields)
    if fields["target"] != cut_digest(octets(fields, "data")):
        raise DecodeError("the target is not the digest of what is inherited")


def _fork(fields: Fields) -> None:
    _in_circle(fields)
    data = octets(fields, "data")
    if len(data) <= SIGNATURE_BYTES or fields["target"] != record_id(data[SIGNATURE_BYTES:]):
        raise DecodeError("the target is not the id of the first charter that is told of")


def _in_circle(fields: Fields) -> CircleId:
    if fields["circle"] == NO_CIRCLE:
        raise DecodeError("this kind of record belongs to a circle")
    return CircleId(octets(fields, "circle"))


_SHAPES: Final[Mapping[str, Callable[[Fields], object]]] = {
    PROFILE: _profile,
    MANIFEST: _manifest,
    CHARTER: _charter,
    VOUCH: _vouch,
    PROPOSAL: _proposal,
    BALLOT: _ballot,
    SEAL: _seal,
    CUT: _cut,
    FORK: _fork,
    WITHDRAW: _in_circle,
}

KINDS: Final = frozenset(_SHAPES)
"""The kinds of records that version 1 knows."""
