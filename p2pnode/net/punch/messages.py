"""The messages of DCUtR, with a limit on everything that a peer may send. Pure. Used by `punching`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from libp2p.relay.circuit_v2.pb.dcutr_pb2 import HolePunch as Wire
from libp2p.utils import encode_varint_prefixed
from multiaddr import Multiaddr

from p2pnode.errors import DecodeError
from p2pnode.net.addresses import usable_binary

PROTOCOL = "/libp2p/dcutr"
MAX_MESSAGE_BYTES = 4096
"""The specification's."""

Kind = Literal["CONNECT", "SYNC"]
_NUMBERS: dict[Kind, int] = {"CONNECT": 100, "SYNC": 300}


@dataclass(frozen=True, slots=True)
class HolePunch:
    """One message. `addresses` are TCP multiaddrs without /p2p, at most 8, as told: nobody has judged them."""

    kind: Kind
    addresses: tuple[str, ...] = ()


def encode(kind: Kind, addresses: Iterable[str] = ()) -> bytes:
    """The message with its length before it."""
    message = Wire(ObsAddrs=[Multiaddr(address).to_bytes() for address in addresses])
    message.type = Wire.Type.Value(kind)
    return bytes(encode_varint_prefixed(message.SerializeToString()))


def decode(data: bytes) -> HolePunch:
    """DecodeError for anything that is no such message."""
    message = Wire()
    try:
        message.ParseFromString(data)
    except Exception as error:
        raise DecodeError("not a message of hole punching") from error
    if not message.HasField("type"):
        raise DecodeError("a message of hole punching without a type")
    for kind, number in _NUMBERS.items():
        if message.type == number:
            return HolePunch(kind, tuple(usable_binary(message.ObsAddrs)))
    raise DecodeError("a message of hole punching of an unknown type")
