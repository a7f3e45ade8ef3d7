"""The messages of circuit relay v2, with a limit on everything that a peer may send. Pure.

`hop` is spoken between a relay and who asks it for something, `stop` between a relay and who is called. Vouchers are neither made nor
read: nothing in the specification asks for one yet. Used by `hop`, `stop` and `client`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb import circuit_pb2 as pb
from libp2p.utils import encode_varint_prefixed
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError
from p2pnode.net.addresses import is_circuit, is_peer_bytes, peer_id, usable_binary

HOP_PROTOCOL = "/libp2p/circuit/relay/0.2.0/hop"
STOP_PROTOCOL = "/libp2p/circuit/relay/0.2.0/stop"
MAX_MESSAGE_BYTES = 4096
"""As go-libp2p: eight addresses and a voucher are about 1 KiB."""

HopKind = Literal["RESERVE", "CONNECT", "STATUS"]
StopKind = Literal["CONNECT", "STATUS"]
_HOP_KINDS: tuple[HopKind, ...] = ("RESERVE", "CONNECT", "STATUS")
_STOP_KINDS: tuple[StopKind, ...] = ("CONNECT", "STATUS")
"""By their numbers on the wire."""


class Status(IntEnum):
    """What a relay, or who is called, answers."""

    OK = 100
    RESERVATION_REFUSED = 200
    RESOURCE_LIMIT_EXCEEDED = 201
    PERMISSION_DENIED = 202
    CONNECTION_FAILED = 203
    NO_RESERVATION = 204
    MALFORMED_MESSAGE = 400
    UNEXPECTED_MESSAGE = 401


WORDS = {
    Status.RESERVATION_REFUSED: "it takes no more reservations",
    Status.RESOURCE_LIMIT_EXCEEDED: "it relays as much as it may already",
    Status.PERMISSION_DENIED: "it does not allow that",
    Status.CONNECTION_FAILED: "it cannot reach the peer",
    Status.NO_RESERVATION: "the peer holds no place at it",
    Status.MALFORMED_MESSAGE: "it does not understand the request",
    Status.UNEXPECTED_MESSAGE: "it did not expect the request",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """Of one circuit: how long it lives, and how much flows in each direction. 0: no limit."""

    duration_s: int = 0
    data_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """`expires` in seconds since 1970; `addresses` are the relay's own, without /p2p."""

    expires: int
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HopMessage:
    """Between a relay and who asks it. `status` is None unless it is one that we know."""

    kind: HopKind
    peer: PeerId | None = None
    reservation: Reservation | None = None
    limit: Limit | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class StopMessage:
    """Between a relay and who is called."""

    kind: StopKind
    peer: PeerId | None = None
    limit: Limit | None = None
    status: Status | None = None


def encode_hop(message: HopMessage) -> bytes:
    """The message with its length before it."""
    out = pb.HopMessage()
    _fill(out, message, _HOP_KINDS.index(message.kind))
    if message.reservation is not None:
        out.reservation.expire = message.reservation.expires
        out.reservation.addrs.extend(Multiaddr(address).to_bytes() for address in message.reservation.addresses)
    return bytes(encode_varint_prefixed(out.SerializeToString()))


def encode_stop(message: StopMessage) -> bytes:
    """The message with its length before it."""
    out = pb.StopMessage()
    _fill(out, message, _STOP_KINDS.index(message.kind))
    return bytes(encode_varint_prefixed(out.SerializeToString()))


def decode_hop(data: bytes) -> HopMessage:
    """DecodeError for anything that is no hop message."""
    parsed = _parse(pb.HopMessage(), data, len(_HOP_KINDS))
    reservation = None
    if parsed.HasField("reservation"):
        addresses = [address for address in usable_binary(parsed.reservation.addrs) if not is_circuit(address)]
        reservation = Reservation(parsed.reservation.expire, tuple(addresses))
    return HopMessage(_HOP_KINDS[parsed.type], _peer(parsed), reservation, _limit(parsed), _status(parsed))


def decode_stop(data: bytes) -> StopMessage:
    """DecodeError for anything that is no stop message."""
    parsed = _parse(pb.StopMessage(), data, len(_STOP_KINDS))
    return StopMessage(_STOP_KINDS[parsed.type], _peer(parsed), _limit(parsed), _status(parsed))


def _fill(out: Any, message: HopMessage | StopMessage, kind: int) -> None:
    out.type = kind
    if message.peer is not None:
        out.peer.id = ID.from_base58(message.peer).to_bytes()
    if message.limit is not None:
        out.limit.duration = message.limit.duration_s
        out.limit.data = message.limit.data_bytes
    if message.status is not None:
        out.status = int(message.status)


def _parse(message: Any, data: bytes, kinds: int) -> Any:
    try:
        message.ParseFromString(data)
    except Exception as error:
        raise DecodeError("not a message of a relay") from error
    if not message.HasField("type") or not 0 <= message.type < kinds:
        raise DecodeError("a relay's message of no known kind")
    return message


def _peer(parsed: Any) -> PeerId | None:
    if not parsed.HasField("peer"):
        return None
    raw = bytes(parsed.peer.id)
    if not is_peer_bytes(raw):
        raise DecodeError("a relay's message about a peer that has no peer ID")
    return peer_id(ID(raw))


def _limit(parsed: Any) -> Limit | None:
    return Limit(parsed.limit.duration, parsed.limit.data) if parsed.HasField("limit") else None


def _status(parsed: Any) -> Status | None:
    try:
        return Status(parsed.status) if parsed.HasField("status") else None
    except ValueError:
        return None
