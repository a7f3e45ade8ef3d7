"""The messages of AutoNAT 1, with a limit on everything that a peer may send. Pure. Used by `dialback` and `asking`.

<https://github.com/libp2p/specs/blob/master/autonat/autonat-v1.md>
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from libp2p.host.autonat.pb.autonat_pb2 import Message as Wire
from libp2p.utils import encode_varint_prefixed
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError
from p2pnode.net.addresses import usable_binary
from p2pnode.net.binary import bytes_of, peer_of

PROTOCOL = "/libp2p/autonat/1.0.0"
MAX_MESSAGE_BYTES = 4096
"""A peer ID and addresses; go-libp2p's limit."""


class Status(IntEnum):
    """How a dial-back went. What is none of these is taken for an error inside the other node."""

    OK = 0
    DIAL_ERROR = 100
    DIAL_REFUSED = 101
    BAD_REQUEST = 200
    INTERNAL_ERROR = 300


_STATUS = {
    Status.OK: Wire.OK,
    Status.DIAL_ERROR: Wire.E_DIAL_ERROR,
    Status.DIAL_REFUSED: Wire.E_DIAL_REFUSED,
    Status.BAD_REQUEST: Wire.E_BAD_REQUEST,
    Status.INTERNAL_ERROR: Wire.E_INTERNAL_ERROR,
}


@dataclass(frozen=True, slots=True)
class DialBack:
    """Please dial `peer` (who asks) at one of `addresses`: TCP multiaddrs without /p2p, at most 8, as told."""

    peer: PeerId | None
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dialled:
    """The answer: `address` is where it worked, "" if the answer does not say."""

    status: Status
    address: str = ""


def encode_request(peer: PeerId, addresses: Iterable[str]) -> bytes:
    """The message with its length before it."""
    message = Wire()
    message.type = Wire.DIAL
    message.dial.peer.id = bytes_of(peer)
    message.dial.peer.addrs.extend(Multiaddr(address).to_bytes() for address in addresses)
    return bytes(encode_varint_prefixed(message.SerializeToString()))


def encode_answer(answer: Dialled, words: str = "") -> bytes:
    """The message with its length before it."""
    message = Wire()
    message.type = Wire.DIAL_RESPONSE
    message.dialResponse.status = _STATUS[answer.status]
    if words:
        message.dialResponse.statusText = words
    if answer.address:
        message.dialResponse.addr = Multiaddr(answer.address).to_bytes()
    return bytes(encode_varint_prefixed(message.SerializeToString()))


def decode_request(data: bytes) -> DialBack:
    """DecodeError for anything that is no request."""
    message = _parse(data)
    if message.type != Wire.DIAL or not message.HasField("dial") or not message.dial.HasField("peer"):
        raise DecodeError("not a request to dial back")
    said = message.dial.peer
    peer = peer_of(said.id) if said.HasField("id") and len(said.id) <= 64 else None
    return DialBack(peer, tuple(usable_binary(said.addrs)))


def decode_answer(data: bytes) -> Dialled:
    """DecodeError for anything that is no answer."""
    message = _parse(data)
    if message.type != Wire.DIAL_RESPONSE or not message.HasField("dialResponse"):
        raise DecodeError("not an answer about dialling back")
    said = message.dialResponse
    # a number that nobody knows reads like none at all, and none like the first of them, which is OK
    status = Status(said.status) if said.HasField("status") else Status.INTERNAL_ERROR
    return Dialled(status, "".join(usable_binary([said.addr])))


def _parse(data: bytes) -> Wire:
    message = Wire()
    try:
        message.ParseFromString(data)
    except Exception as error:
        raise DecodeError("not a message of AutoNAT") from error
    return message
