"""The messages of Bitswap, by which all of IPFS asks for blocks: wants, blocks and "I have it" or "I do not", in protobuf.

Bytes in, values out, and back. It knows nothing of who wants what (core.bitswap_ledger) and of streams (services.bitswap_streams).
Reading stops at limits instead of refusing: who wants more than we keep is told the rest when it asks again. Source: the Bitswap
specification (specs.ipfs.tech/bitswap-protocol), versions 1.0.0, 1.1.0 and 1.2.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from blake3 import blake3

from p2pnode.core.cid import DAG_PB, MAX_CID_BYTES, SHA2_256, Cid, encode_varint
from p2pnode.core.dag import BLAKE3, SHA2_512
from p2pnode.errors import DecodeError
from p2pnode.limits import MAX_BLOCK_BYTES, MIB

PROTOCOL_120, PROTOCOL_110, PROTOCOL_100 = "/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0", "/ipfs/bitswap/1.0.0"
PROTOCOLS = (PROTOCOL_120, PROTOCOL_110, PROTOCOL_100)
"""Newest first."""
MAX_MESSAGE_BYTES = 4 * MIB
"""Bytes of a message: the specification's limit, and what go and JavaScript send at most."""
MAX_ENTRIES = 4096
"""Wants, blocks or presences read from one message, of each kind; the rest is passed over."""
MAX_FIELDS = 4 * MAX_ENTRIES
"""Fields of one message, known or not, before it counts as an attack on our time."""
MAX_PRIORITY = 2**31 - 1
"""The most urgent: priorities are 32-bit numbers."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Want(IntEnum):
    """What is wanted of a CID: the block, or only whether the other side has it."""

    BLOCK = 0
    HAVE = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a wantlist. `cancel`: no longer wanted. `send_dont_have`: the asker wants to hear of a lack at once.

    Priorities that come may be negative, those that we write may not.
    """

    cid: Cid
    priority: int = 1
    cancel: bool = False
    want: Want = Want.BLOCK
    send_dont_have: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """That the sender has a block, or has not."""

    cid: Cid
    have: bool


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A block as it came: what its CID begins with, and bytes. `block_cid` says which one it is."""

    version: int
    codec: int
    hash_code: int
    hash_bytes: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """Everything in one message. `full`: the entries replace the sender's wantlist. `pending_bytes`: what it still has to send us."""

    entries: tuple[Entry, ...] = ()
    full: bool = False
    blocks: tuple[RawBlock, ...] = ()
    presences: tuple[Presence, ...] = ()
    pending_bytes: int = 0


# ---------------------------------------------------------------- writing


def encode_wants(entries: Iterable[Entry], *, full: bool = False) -> bytes:
    """A message that holds wants only, without its length."""
    body = b"".join(_field(1, _encode_entry(entry)) for entry in entries)
    return _field(1, body + (_number(2, 1) if full else b""))


def encode_answer(
    blocks: Sequence[tuple[Cid, bytes]], presences: Sequence[Presence] = (), *, protocol: str = PROTOCOL_120
) -> bytes:
    """A message that answers wants, without its length. Presences are left out for those who speak a version that has none."""
    parts: list[bytes] = [] if blocks or presences else [_field(1, b"")]
    for cid, data in blocks:
        if protocol == PROTOCOL_100:
            parts += [_head(2, len(data)), data]
            continue
        prefix = _field(1, _prefix(cid))
        parts += [_head(3, len(prefix) + 1 + len(encode_varint(len(data))) + len(data)), prefix]
        parts += [_head(2, len(data)), data]
    if protocol == PROTOCOL_120:
        for presence in presences:
            parts.append(_field(4, _field(1, presence.cid.to_bytes()) + (b"" if presence.have else _number(2, 1))))
    return b"".join(parts)


def _encode_entry(entry: Entry) -> bytes:
    out = _field(1, entry.cid.to_bytes()) + _number(2, entry.priority)
    if entry.cancel:
        return out + _number(3, 1)
    if entry.want:
        out += _number(4, entry.want)
    return out + (_number(5, 1) if entry.send_dont_have else b"")


def _prefix(cid: Cid) -> bytes:
    numbers = (cid.version, cid.codec, cid.hash_code, len(cid.digest))
    return b"".join(encode_varint(number) for number in numbers)


def _head(number: int, length: int) -> bytes:
    return bytes([number << 3 | _BYTES]) + encode_varint(length)


def _field(number: int, value: bytes) -> bytes:
    return _head(number, len(value)) + value


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3 | _VARINT]) + encode_varint(value)


# ---------------------------------------------------------------- reading


def decode_message(data: bytes) -> Message:
    """Read a message of any version. DecodeError if it is none, or over the limits of bytes and fields."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise DecodeError(f"a Bitswap message of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    entries: list[Entry] = []
    blocks: list[RawBlock] = []
    presences: list[Presence] = []
    full, pending = False, 0
    for count, (number, value) in enumerate(_fields(memoryview(data))):
        if count >= MAX_FIELDS:
            raise DecodeError(f"a Bitswap message of more than {MAX_FIELDS} fields")
        if number == 1:
            full = _decode_wantlist(_as_view(value), entries) or full
        elif number == 2 and len(blocks) < MAX_ENTRIES:
            blocks.append(RawBlock(0, DAG_PB, SHA2_256, 32, _block_bytes(value)))
        elif number == 3 and len(blocks) < MAX_ENTRIES:
            blocks.append(_decode_block(_as_view(value)))
        elif number == 4 and len(presences) < MAX_ENTRIES:
            presences += _decode_presence(_as_view(value))
        elif number == 5:
            pending = max(0, _signed(_as_int(value)))
    return Message(tuple(entries), full, tuple(blocks), tuple(presences), pending)


def block_cid(block: RawBlock) -> Cid:
    """The CID that these bytes really have. DecodeError if it is of a kind that we never ask for, a truncated digest among them."""
    data = block.data
    if block.version > 1:
        raise DecodeError(f"CID version {block.version} is unknown")
    if block.hash_code == SHA2_256:
        digest = hashlib.sha256(data).digest()
    elif block.hash_code == SHA2_512:
        digest = hashlib.sha512(data).digest()
    elif block.hash_code == BLAKE3:
        digest = blake3(data).digest()
    else:
        raise DecodeError(f"hash function {block.hash_code:#x} cannot be checked here")
    if block.hash_bytes != len(digest):
        raise DecodeError(f"a digest of {block.hash_bytes} bytes where the hash has {len(digest)}")
    if block.version == 0 and (block.codec, block.hash_code) != (DAG_PB, SHA2_256):
        raise DecodeError("a CIDv0 is dag-pb and sha2-256, always")
    multihash = encode_varint(block.hash_code) + encode_varint(len(digest)) + digest
    return Cid(block.version, block.codec, multihash)


def _decode_wantlist(data: memoryview, entries: list[Entry]) -> bool:
    """Append what can be read; whether the list is a full one. An entry whose CID we cannot read is passed over: we cannot have it."""
    full = False
    for count, (number, value) in enumerate(_fields(data)):
        if count >= MAX_FIELDS:
            break
        if number == 1 and len(entries) < MAX_ENTRIES:
            entries += _decode_entry(_as_view(value))
        elif number == 2:
            full = bool(_as_int(value))
    return full


def _decode_entry(data: memoryview) -> list[Entry]:
    fields = _single(data)
    cid = _readable(fields.get(1))
    if cid is None:
        return []
    want = Want.HAVE if _as_int(fields.get(4, 0)) == Want.HAVE else Want.BLOCK
    priority = _signed(_as_int(fields.get(2, 1)))
    return [Entry(cid, priority, bool(_as_int(fields.get(3, 0))), want, bool(_as_int(fields.get(5, 0))))]


def _decode_presence(data: memoryview) -> list[Presence]:
    fields = _single(data)
    cid = _readable(fields.get(1))
    return [] if cid is None else [Presence(cid, _as_int(fields.get(2, 0)) == 0)]


def _decode_block(data: memoryview) -> RawBlock:
    fields = _single(data)
    prefix = _as_view(fields.get(1, memoryview(b"")))
    numbers, at = [], 0
    for _ in range(4):
        number, at = _varint(prefix, at)
        numbers.append(number)
    if at != len(prefix):
        raise DecodeError("a block's prefix is four numbers")
    return RawBlock(numbers[0], numbers[1], numbers[2], numbers[3], _block_bytes(fields.get(2, memoryview(b""))))


def _readable(value: int | memoryview | None) -> Cid | None:
    data = b"" if value is None else bytes(_as_view(value)[: MAX_CID_BYTES + 1])
    try:
        return Cid.from_bytes(data)
    except DecodeError:
        return None


def _block_bytes(value: int | memoryview) -> bytes:
    data = _as_view(value)
    if len(data) > MAX_BLOCK_BYTES:
        raise DecodeError(f"a block of {len(data)} bytes is over the limit of {MAX_BLOCK_BYTES}")
    return bytes(data)


def _single(data: memoryview) -> dict[int, int | memoryview]:
    """Fields of which the last one counts, as protobuf has it."""
    found: dict[int, int | memoryview] = {}
    for count, (number, value) in enumerate(_fields(data)):
        if count >= 16:
            raise DecodeError("a part of a Bitswap message has too many fields")
        found[number] = value
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value): a number, or a view of bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise DecodeError("a protobuf field of number zero")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise DecodeError(f"protobuf wire type {wire} is unknown")
        if length > len(data) - at:
            raise DecodeError("a protobuf field is cut short")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """As protobuf has numbers: up to ten bytes (negative ones are that long), not always in their shortest form."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise DecodeError("a number is cut short")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (2**64 - 1), at
    raise DecodeError("a number never ends")


def _signed(number: int) -> int:
    """An int32 out of the 64 bits in which protobuf writes it."""
    number &= 2**32 - 1
    return number - 2**32 if number >= 2**31 else number


def _as_view(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise DecodeError("a number where bytes should stand")
    return value


def _as_int(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise DecodeError("bytes where a number should stand")
    return value
