"""Content identifiers as IPFS has them: version, codec, multihash; binary and text forms.

Source: the CID specification (multiformats/cid) and the multihash table. Only what a Python node can read is accepted:
CIDv0 and CIDv1; base58btc for v0, base32 and base58btc text for v1.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from p2pnode.errors import DecodeError

RAW = 0x55
DAG_PB = 0x70
SHA2_256 = 0x12
MAX_CID_BYTES = 160
"""Bytes of a binary CID that we read: room for an identity CID of 128 bytes and its head."""

_ONE_BYTE = [bytes([number]) for number in range(0x80)]
_HEADS = {RAW: b"\x01\x55", DAG_PB: b"\x01\x70"}
"""Version and codec of nearly every CID there is."""
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """One content identifier. Two CIDs are equal when version, codec and multihash are."""

    version: int
    codec: int
    multihash: bytes

    @classmethod
    def v1(cls, codec: int, digest: bytes) -> Cid:
        """CIDv1 of a 32-byte SHA-256 digest."""
        return cls(1, codec, bytes([SHA2_256, len(digest)]) + digest)

    @classmethod
    def of(cls, codec: int, block: bytes | bytearray | memoryview) -> Cid:
        """CIDv1, sha2-256, of a block's bytes."""
        return cls.v1(codec, hashlib.sha256(block).digest())

    @property
    def hash_code(self) -> int:
        """The multihash function's number."""
        return decode_varint(self.multihash, 0)[0]

    @property
    def digest(self) -> bytes:
        """The digest alone, without the multihash head."""
        _, at = decode_varint(self.multihash, 0)
        _, at = decode_varint(self.multihash, at)
        return self.multihash[at:]

    def to_bytes(self) -> bytes:
        """Binary form: the bare multihash for v0."""
        if self.version == 0:
            return self.multihash
        return (_HEADS.get(self.codec) or b"\x01" + encode_varint(self.codec)) + self.multihash

    def __str__(self) -> str:
        if self.version == 0:
            return base58_encode(self.multihash)
        return "b" + base64.b32encode(self.to_bytes()).decode().lower().rstrip("=")

    @classmethod
    def from_bytes(cls, data: bytes) -> Cid:
        """Read a binary CID that fills `data` exactly. DecodeError otherwise."""
        if len(data) > MAX_CID_BYTES:
            raise DecodeError(f"a CID of {len(data)} bytes is longer than {MAX_CID_BYTES}")
        if len(data) == 34 and data[:2] == b"\x12\x20":
            return cls(0, DAG_PB, data)
        version, at = decode_varint(data, 0)
        if version != 1:
            raise DecodeError(f"CID version {version} is unknown")
        codec, at = decode_varint(data, at)
        multihash = data[at:]
        _, at = decode_varint(multihash, 0)
        length, at = decode_varint(multihash, at)
        if len(multihash) - at != length:
            raise DecodeError("the digest's length does not match its head")
        return cls(1, codec, multihash)

    @classmethod
    def parse(cls, text: str) -> Cid:
        """Read a CID's text. DecodeError if it is not one."""
        if len(text) > 2 * MAX_CID_BYTES:
            raise DecodeError("too long for a CID")
        if len(text) == 46 and text.startswith("Qm"):
            return cls.from_bytes(base58_decode(text))
        if text.startswith("b"):
            try:
                data = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
            except ValueError as error:
                raise DecodeError(f"{text!r} is not base32") from error
            cid = cls.from_bytes(data)
            if cid.version != 1 or str(cid) != text:
                raise DecodeError(f"{text!r} is not the canonical text of a CID")
            return cid
        if text.startswith("z"):
            return cls.from_bytes(base58_decode(text[1:]))
        raise DecodeError(f"{text!r} is not a CID")


def read_cid(data: bytes, at: int) -> tuple[Cid, int]:
    """(CID, next position) of a binary CID that stands at `at` before other bytes. DecodeError if none does."""
    if data[at : at + 2] == b"\x12\x20":
        end = at + 34
    else:
        _, end = decode_varint(data, at)  # version
        _, end = decode_varint(data, end)  # codec
        _, end = decode_varint(data, end)  # hash function
        length, end = decode_varint(data, end)
        end += length
    if end > len(data):
        raise DecodeError("a CID is cut short")
    return Cid.from_bytes(data[at:end]), end


def encode_varint(number: int) -> bytes:
    """Unsigned LEB128, as multiformats and protobuf have it."""
    if number < 0x80:
        return _ONE_BYTE[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """(number, next position). DecodeError on a cut, overlong or too large varint (over 63 bits)."""
    number = shift = 0
    start = at
    while True:
        if at >= len(data):
            raise DecodeError("a number is cut short")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 62:
            raise DecodeError("a number is too large")
    if at - start > 1 and data[at - 1] == 0:
        raise DecodeError("a number is not in its shortest form")
    return number, at


def base58_encode(data: bytes) -> str:
    """Base58btc text."""
    number = int.from_bytes(data, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def base58_decode(text: str) -> bytes:
    """Bytes of base58btc text. DecodeError on a foreign character."""
    number = 0
    for character in text:
        digit = _BASE58.find(character)
        if digit < 0:
            raise DecodeError(f"{character!r} is not a base58 character")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
