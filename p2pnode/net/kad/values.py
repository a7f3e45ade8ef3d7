"""Values of the DHT: public keys under `/pk/` and the multihash of the peer that owns them, and nothing else.

Such a value proves itself, so nobody can put a false one, and two true ones of a key are equal. Any other namespace is refused: who
would decide there which of two values is right? Pure; the time is an argument. Used by `server` and `net.dht`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from libp2p.crypto.serialization import deserialize_public_key
from libp2p.peer.id import ID

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, UsageError
from p2pnode.net.addresses import is_peer_bytes, to_id

NAMESPACE = b"/pk/"
MAX_VALUE_BYTES = 1024
"""An RSA key of 4096 bits has 550."""
MAX_VALUES = 4096
"""Kept at once, 4 MiB at most."""
VALUES_PER_SENDER = 64
"""Kept of what one peer put: a node puts its own, and what it looked up."""
VALUE_S = 24 * 3600.0
"""Forgotten a day after it was put, as provider records are."""


def key_of_peer(peer: PeerId) -> bytes:
    """The key under which a peer's public key is put."""
    return NAMESPACE + bytes(to_id(peer).to_bytes())


def check_key(key: bytes) -> None:
    """UsageError if nothing can be put under this key."""
    if not key.startswith(NAMESPACE) or not is_peer_bytes(key[len(NAMESPACE) :]):
        raise UsageError("values are kept under /pk/ and a peer's multihash only")


def check_value(key: bytes, value: bytes) -> None:
    """DecodeError if `value` is not the public key (libp2p's protobuf, as it is hashed) of the peer that `key` names."""
    if len(value) > MAX_VALUE_BYTES:
        raise DecodeError(f"a value of {len(value)} bytes")
    try:
        owner = ID.from_pubkey(public := deserialize_public_key(value))
        canonical = public.serialize()
    except Exception as error:  # whatever the libraries make of bytes from outside
        raise DecodeError("a value that is no public key") from error
    if canonical != value or NAMESPACE + owner.to_bytes() != key:
        raise DecodeError("a public key of another peer")


@dataclass(frozen=True, slots=True)
class _Value:
    value: bytes
    sender: PeerId
    put_at: float


class Values:
    """What others put here. Who puts too much loses his own oldest; when all is full, the oldest goes."""

    def __init__(self) -> None:
        self._values: OrderedDict[bytes, _Value] = OrderedDict()
        self._of: Counter[PeerId] = Counter()

    def put(self, key: bytes, value: bytes, sender: PeerId, now: float) -> None:
        """Keep a value that was checked."""
        self._drop(key)
        if self._of[sender] >= VALUES_PER_SENDER:
            self._drop(next(other for other, held in self._values.items() if held.sender == sender))
        if len(self._values) >= MAX_VALUES:
            self._drop(next(iter(self._values)))
        self._values[key] = _Value(value, sender, now)
        self._of[sender] += 1

    def get(self, key: bytes, now: float) -> bytes | None:
        held = self._values.get(key)
        if held is not None and not 0 <= now - held.put_at < VALUE_S:
            self._drop(key)
            return None
        return None if held is None else held.value

    def __len__(self) -> int:
        return len(self._values)

    def _drop(self, key: bytes) -> None:
        held = self._values.pop(key, None)
        if held is not None:
            self._of[held.sender] -= 1
            if not self._of[held.sender]:
                del self._of[held.sender]
