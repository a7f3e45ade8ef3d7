"""The messages of PCP (RFC 6887) that map a port or open one in a firewall: 60 bytes each. Pure. Used by `pcp_gateway`."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from p2pnode.errors import DecodeError

PORT = 5351
"""UDP, at the gateway; NAT-PMP's too, which is version 0 of the same."""
VERSION, _MAP, _ANSWER, _TCP = 2, 1, 0x80, 6
NONCE_BYTES = 12
_BYTES = 60
RESULTS = {
    1: "it speaks another version",
    2: "it does not allow that",
    4: "it does not know that question",
    7: "it has no network outside",
    8: "it has no room for more",
    10: "our address is not the one that it sees",
    11: "it cannot map that port",
}

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Mapped:
    """Answer: TCP `outside` of `address` leads to `inside` here for `life_s` seconds; 0: no more."""

    nonce: bytes
    inside: int
    outside: int
    address: Ip
    life_s: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Answer: why not, in words. Of a gateway that speaks NAT-PMP only, too."""

    why: str


def encode_map(own: Ip, nonce: bytes, inside: int, outside: int, life_s: int) -> bytes:
    """Lead TCP `outside` (a wish; 0: any) to `inside` of `own`, which is who asks; `life_s` 0: do not any more. The same nonce renews."""
    any_address = ipaddress.IPv4Address(0) if own.version == 4 else ipaddress.IPv6Address(0)
    head = struct.pack("!BBHI", VERSION, _MAP, 0, life_s) + _packed(own)
    return head + nonce + struct.pack("!BxxxHH", _TCP, inside, outside) + _packed(any_address)


def decode(data: bytes) -> Mapped | Refused:
    """DecodeError for anything that is no answer of a gateway to this request."""
    if len(data) >= 4 and data[0] != VERSION and data[1] & _ANSWER:
        return Refused(RESULTS[1])
    if len(data) < 24 or data[0] != VERSION or data[1] != _ANSWER | _MAP:
        raise DecodeError("not an answer of PCP")
    if data[3]:
        return Refused(RESULTS.get(data[3], f"it refuses ({data[3]})"))
    if len(data) < _BYTES or data[36] != _TCP:
        raise DecodeError("an answer of PCP that says nothing of a port")
    inside, outside = struct.unpack("!HH", data[40:44])
    (life_s,) = struct.unpack("!I", data[4:8])
    address = ipaddress.IPv6Address(data[44:60])
    return Mapped(data[24:36], inside, outside, address.ipv4_mapped or address, life_s)


def _packed(address: Ip) -> bytes:
    """16 bytes; IPv4 as IPv6 that stands for it."""
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
