"""The DHT's messages, as the libp2p Kademlia specification has them, with a limit on everything that a peer may send."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.utils import encode_varint_prefixed

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError
from p2pnode.net.addresses import is_peer_bytes, usable_binary
from p2pnode.net.binary import binary_of, bytes_of, peer_of

MAX_MESSAGE_BYTES = 64 << 10
"""Twenty peers with eight addresses each are about 8 KiB."""
MAX_PEERS = 20
"""Peers or providers read from one message: Kademlia's k."""
MAX_KEY_BYTES = 80
"""The specification's limit; ours are 34."""

Kind = Literal["PUT_VALUE", "GET_VALUE", "ADD_PROVIDER", "GET_PROVIDERS", "FIND_NODE", "PING"]
_KINDS: tuple[Kind, ...] = ("PUT_VALUE", "GET_VALUE", "ADD_PROVIDER", "GET_PROVIDERS", "FIND_NODE", "PING")
"""By their numbers on the wire."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A peer and where it is said to be (addresses without /p2p)."""

    peer: PeerId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KadMessage:
    """A request or an answer: both have one form. `value` is that of the record under `key`, unchecked."""

    kind: Kind
    key: bytes = b""
    closer: tuple[Contact, ...] = ()
    providers: tuple[Contact, ...] = ()
    value: bytes | None = None


def encode(message: KadMessage) -> bytes:
    """The message with its length before it."""
    out = Message(type=message.kind, key=message.key)
    _add(out.closerPeers, message.closer)
    _add(out.providerPeers, message.providers)
    if message.value is not None:
        out.record.key, out.record.value = message.key, message.value
    return bytes(encode_varint_prefixed(out.SerializeToString()))


def decode(data: bytes) -> KadMessage:
    """DecodeError for anything that is no message of Kademlia. The key may be missing: not every implementation's answers have it."""
    parsed = Message()
    try:
        parsed.ParseFromString(data)
    except Exception as error:
        raise DecodeError("not a Kademlia message") from error
    if not 0 <= parsed.type < len(_KINDS):
        raise DecodeError("a Kademlia message of no known kind")
    if len(parsed.key) > MAX_KEY_BYTES:
        raise DecodeError(f"a Kademlia key of {len(parsed.key)} bytes")
    return KadMessage(
        _KINDS[parsed.type],
        bytes(parsed.key),
        _contacts(parsed.closerPeers),
        _contacts(parsed.providerPeers),
        _value(parsed),
    )


def _value(parsed: Any) -> bytes | None:
    """The record's, None if there is none or it is about another key than the message."""
    if not parsed.HasField("record") or parsed.key not in (b"", parsed.record.key):
        return None
    return bytes(parsed.record.value)


def _add(field: object, contacts: Sequence[Contact]) -> None:
    for contact in contacts:
        entry = field.add()  # type: ignore[attr-defined]
        entry.id = bytes_of(contact.peer)
        entry.addrs.extend(binary_of(address) for address in contact.addresses)


def _contacts(field: Iterable[object]) -> tuple[Contact, ...]:
    found: dict[PeerId, Contact] = {}
    for _, entry in zip(range(MAX_PEERS), field, strict=False):
        raw = bytes(entry.id)  # type: ignore[attr-defined]
        if is_peer_bytes(raw):
            peer = peer_of(raw)
            found[peer] = Contact(peer, tuple(usable_binary(entry.addrs)))  # type: ignore[attr-defined]
    return tuple(found.values())
