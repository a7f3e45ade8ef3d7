"""CAR, the archive format of IPFS: its header and the heads of its sections, as bytes in and values out.

An archive is a header (a DAG-CBOR map of version and root CIDs) and then sections: length, CID, block. Version 1 is written; version
2 wraps one of version 1 and is read. Only the small part of DAG-CBOR that a header may use is understood. It never hashes and never
reads a file: local.car_file does. Source: the CARv1 and CARv2 specifications (ipld.io/specs/transport/car).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2pnode.core.cid import MAX_CID_BYTES, Cid, decode_varint, encode_varint, read_cid
from p2pnode.errors import DecodeError
from p2pnode.limits import KIB, MAX_BLOCK_BYTES

MAX_ROOTS = 256
"""Roots of one archive: others write one, a collection some dozens."""
MAX_HEADER_BYTES = 64 * KIB
"""Bytes of a header: that many roots with the longest CID that we read, and room."""
MAX_SECTION_BYTES = MAX_CID_BYTES + MAX_BLOCK_BYTES
"""Bytes of a section behind its length: a CID and a block as large as we take."""
MAX_SECTION_HEAD_BYTES = 9 + MAX_CID_BYTES
"""Bytes of a length (63 bits) and a CID: what is read to know what a section is."""

PRAGMA_V2 = bytes.fromhex("0aa16776657273696f6e02")
"""The first bytes of version 2: the header of an archive that says {version: 2} and names no roots."""
HEADER_V2_BYTES = 40
"""Behind the pragma: 16 bytes of characteristics, then offset and size of the archive inside and offset of an index."""

_UINT, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = 0, 2, 3, 4, 5, 6
_CID_TAG = 42


@dataclass(frozen=True, slots=True)
class CarHeader:
    """The header of version 1."""

    roots: tuple[Cid, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The head of a section: its CID, where its block begins (counted from the section's first byte), and the block's length."""

    cid: Cid
    start: int
    length: int

    @property
    def end(self) -> int:
        """Where the next section begins, counted alike."""
        return self.start + self.length


def encode_header(roots: Sequence[Cid]) -> bytes:
    """A header of version 1 with its length in front. Keys stand in DAG-CBOR's order: shorter first."""
    cids = b"".join(_cbor_head(_TAG, _CID_TAG) + _cbor_bytes(b"\0" + root.to_bytes()) for root in roots)
    body = _cbor_head(_MAP, 2) + _cbor_text("roots") + _cbor_head(_ARRAY, len(roots)) + cids
    body += _cbor_text("version") + _cbor_head(_UINT, 1)
    return encode_varint(len(body)) + body


def encode_section(cid: Cid, block: bytes) -> bytes:
    """A whole section."""
    head = cid.to_bytes()
    return encode_varint(len(head) + len(block)) + head + block


def decode_header(data: bytes) -> tuple[CarHeader, int]:
    """(header, its length) from the first bytes of an archive of version 1. DecodeError if it is none."""
    length, at = decode_varint(data, 0)
    if not 0 < length <= MAX_HEADER_BYTES:
        raise DecodeError(f"a CAR header of {length} bytes is over the limit of {MAX_HEADER_BYTES}")
    if len(data) < at + length:
        raise DecodeError("the CAR header is cut short")
    reader = _Cbor(data[at : at + length])
    fields = reader.header()
    if fields.get("version") != 1:
        raise DecodeError(f"CAR version {fields.get('version')} is unknown")
    roots = fields.get("roots")
    if not isinstance(roots, tuple) or len(fields) != 2:
        raise DecodeError("a CAR header has a version and roots, and nothing else")
    return CarHeader(roots), at + length


def decode_header_v2(data: bytes) -> tuple[int, int]:
    """(offset, size) of the archive inside one of version 2, from the bytes behind its pragma. DecodeError if they cannot be."""
    if len(data) < HEADER_V2_BYTES:
        raise DecodeError("the header of a CAR of version 2 is cut short")
    offset = int.from_bytes(data[16:24], "little")
    size = int.from_bytes(data[24:32], "little")
    if offset < len(PRAGMA_V2) + HEADER_V2_BYTES or not size:
        raise DecodeError("a CAR of version 2 says that its data lie where they cannot")
    return offset, size


def decode_section(data: bytes) -> Section:
    """The head of the section that begins `data`; the block itself may lie beyond. DecodeError if it is none or too large."""
    length, at = decode_varint(data, 0)
    if not 0 < length <= MAX_SECTION_BYTES:
        raise DecodeError(f"a section of {length} bytes, where 1 to {MAX_SECTION_BYTES} are possible")
    cid, start = read_cid(data[: at + length], at)
    if at + length - start > MAX_BLOCK_BYTES:
        raise DecodeError(f"a block of {at + length - start} bytes is over the limit of {MAX_BLOCK_BYTES}")
    return Section(cid, start, at + length - start)


class _Cbor:
    """Reads the few things that a header is made of: one map, texts, an integer, an array of CIDs."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def header(self) -> dict[str, int | tuple[Cid, ...]]:
        fields: dict[str, int | tuple[Cid, ...]] = {}
        for _ in range(self._head(_MAP, most=8)):
            name = self._take(self._head(_TEXT, most=64)).decode("utf-8", "replace")
            if name in fields:
                raise DecodeError(f"the CAR header names {name[:20]!r} twice")
            fields[name] = self._roots() if self._peek() == _ARRAY else self._head(_UINT)
        if self._at != len(self._data):
            raise DecodeError("something stands behind the CAR header")
        return fields

    def _roots(self) -> tuple[Cid, ...]:
        return tuple(self._cid() for _ in range(self._head(_ARRAY, most=MAX_ROOTS)))

    def _cid(self) -> Cid:
        if self._head(_TAG) != _CID_TAG:
            raise DecodeError("a root of the CAR header is no CID")
        data = self._take(self._head(_BYTES, most=MAX_CID_BYTES + 1))
        if data[:1] != b"\0":
            raise DecodeError("a root of the CAR header is no binary CID")
        return Cid.from_bytes(data[1:])

    def _peek(self) -> int:
        return self._take(1, keep=True)[0] >> 5

    def _head(self, kind: int, *, most: int | None = None) -> int:
        """The number behind a type's first three bits, in its shortest form."""
        first = self._take(1)[0]
        if first >> 5 != kind:
            raise DecodeError(f"type {first >> 5} stands in the CAR header where type {kind} should")
        number = first & 31
        if number > 27:
            raise DecodeError("the CAR header holds something of no definite length")
        if number >= 24:
            size = 1 << (number - 24)
            number = int.from_bytes(self._take(size), "big")
            if number < (24 if size == 1 else 1 << (4 * size)):
                raise DecodeError("a number of the CAR header is not in its shortest form")
        if most is not None and number > most:
            raise DecodeError(f"the CAR header holds {number} of what may be {most}")
        return number

    def _take(self, count: int, *, keep: bool = False) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise DecodeError("the CAR header is cut short")
        self._at += 0 if keep else count
        return part


def _cbor_head(kind: int, number: int) -> bytes:
    for size, first in ((0, 24), (1, 1 << 8), (2, 1 << 16), (4, 1 << 32)):
        if number < first:
            low = number if size == 0 else 24 + size.bit_length() - 1
            return bytes([kind << 5 | low]) + (number.to_bytes(size, "big") if size else b"")
    raise DecodeError(f"{number} is more than a CAR header holds")


def _cbor_bytes(data: bytes) -> bytes:
    return _cbor_head(_BYTES, len(data)) + data


def _cbor_text(text: str) -> bytes:
    return _cbor_head(_TEXT, len(text)) + text.encode()
