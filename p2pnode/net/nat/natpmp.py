"""The messages of NAT-PMP (RFC 6886): 2 to 16 bytes each. Pure. Used by `natpmp_gateway`."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from p2pnode.errors import DecodeError

PORT = 5351
"""UDP, at the gateway."""
_ANSWER = 128
_ADDRESS, _MAP_TCP = 0, 2
RESULTS = {
    1: "it speaks another version",
    2: "it does not allow that",
    3: "it has no address outside",
    4: "it has no room for more",
    5: "it does not know that question",
}


@dataclass(frozen=True, slots=True)
class Outside:
    """Answer: the gateway's address outside. `epoch_s`: seconds since it began to keep mappings."""

    epoch_s: int
    address: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """Answer: TCP `outside` of the gateway leads to `inside` here for `life_s` seconds; 0: no more."""

    epoch_s: int
    inside: int
    outside: int
    life_s: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer: why not, in words."""

    epoch_s: int
    why: str


def encode_address_request() -> bytes:
    """What is your address outside?"""
    return bytes((0, _ADDRESS))


def encode_map_request(inside: int, outside: int, life_s: int) -> bytes:
    """Lead TCP `outside` (a wish) to `inside` here; `life_s` 0: do not any more, and then the wish is 0 too."""
    return struct.pack("!BBHHHI", 0, _MAP_TCP, 0, inside, outside, life_s)


def decode(data: bytes) -> Outside | Mapped | Refused:
    """DecodeError for anything that is no answer of a gateway to one of these two requests."""
    if len(data) < 8 or data[0] != 0 or data[1] not in (_ANSWER + _ADDRESS, _ANSWER + _MAP_TCP):
        raise DecodeError("not an answer of NAT-PMP")
    result, epoch_s = struct.unpack("!HI", data[2:8])
    if result:
        return Refused(epoch_s, RESULTS.get(result, f"it refuses ({result})"))
    if data[1] == _ANSWER + _ADDRESS and len(data) == 12:
        return Outside(epoch_s, str(ipaddress.IPv4Address(data[8:12])))
    if data[1] == _ANSWER + _MAP_TCP and len(data) == 16:
        inside, outside, life_s = struct.unpack("!HHI", data[8:16])
        return Mapped(epoch_s, inside, outside, life_s)
    raise DecodeError("an answer of NAT-PMP of the wrong length")


def has_restarted(before_s: int, now_s: int, elapsed_s: float) -> bool:
    """Whether the gateway lost its mappings between two epochs that were told `elapsed_s` apart (RFC 6886, section 3.6)."""
    return now_s + 2 < before_s + elapsed_s * 7 / 8
