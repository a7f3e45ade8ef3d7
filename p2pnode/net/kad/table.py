"""The routing table: which DHT servers we know, by distance. Pure; knows no network and no clock.

Distances are XORs of SHA-256 hashes, as in the libp2p Kademlia specification.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache

from p2pnode.core.ids import PeerId
from p2pnode.net.binary import bytes_of
from p2pnode.net.kad.wire import Contact

BUCKET_PEERS = 20
"""Kademlia's k: peers kept per distance, and holders of one key."""

PLACES_KEPT = 4096
"""Places of peers remembered, about 1 MB: a lookup needs each several times, and base58 costs more than the hash."""


def place_of(data: bytes) -> int:
    """Where a key, or the bytes of a peer ID, lies in the key space."""
    return int.from_bytes(hashlib.sha256(data).digest(), "big")


@lru_cache(PLACES_KEPT)
def place_of_peer(peer: PeerId) -> int:
    return place_of(bytes_of(peer))


class RoutingTable:
    """At most BUCKET_PEERS peers per distance (bit length of the XOR to us), the longest known first."""

    def __init__(self, own: PeerId) -> None:
        self._own = own
        self._place = place_of_peer(own)
        self._buckets: dict[int, dict[PeerId, Contact]] = {}
        self._places: dict[PeerId, int] = {}

    def add(self, contact: Contact, is_alive: Callable[[PeerId], bool]) -> bool:
        """Add or refresh. A full bucket gives up its longest known peer that is not `is_alive`, or refuses the newcomer."""
        if contact.peer == self._own:
            return False
        place = self._places.get(contact.peer) or place_of_peer(contact.peer)
        bucket = self._buckets.setdefault((place ^ self._place).bit_length(), {})
        if contact.peer not in bucket and len(bucket) >= BUCKET_PEERS:
            stale = next((peer for peer in bucket if not is_alive(peer)), None)
            if stale is None:
                return False
            self.remove(stale)
        known = bucket.pop(contact.peer, None)
        bucket[contact.peer] = contact if contact.addresses or known is None else known
        self._places[contact.peer] = place
        return True

    def remove(self, peer: PeerId) -> None:
        place = self._places.pop(peer, None)
        if place is not None:
            self._buckets[(place ^ self._place).bit_length()].pop(peer, None)

    def closest(self, place: int, count: int = BUCKET_PEERS, without: Iterable[PeerId] = ()) -> list[Contact]:
        """The nearest known peers to a place, nearest first."""
        excluded = set(without)
        peers = sorted(
            (peer for peer in self._places if peer not in excluded), key=lambda peer: self._places[peer] ^ place
        )
        return [self._contact(peer) for peer in peers[:count]]

    def get(self, peer: PeerId) -> Contact | None:
        return self._contact(peer) if peer in self._places else None

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._places

    def _contact(self, peer: PeerId) -> Contact:
        return self._buckets[(self._places[peer] ^ self._place).bit_length()][peer]
