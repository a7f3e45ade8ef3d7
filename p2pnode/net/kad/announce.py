"""Telling many keys at once: one look-up serves all keys of a region, and a peer gets those that it shall hold on one stream.

A region is a part of the key space whose peers are all known: the nearest BUCKET_PEERS of one place, dead or alive, fill a ball around
it, and the largest subtree inside that ball has no other peers. With the ball of a place in the neighbouring half it is twice as large
and has enough peers, so that each of its keys goes to the very peers that a look-up for it would have found.

Knows no streams: `look` makes a look-up, `tell` one peer's batch. Used by `net.dht` only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest

import trio

from p2pnode.core.ids import PeerId
from p2pnode.core.keyspace import PLACE_BITS
from p2pnode.net.kad.table import BUCKET_PEERS, place_of, place_of_peer
from p2pnode.net.kad.wire import Contact

PEERS_AT_ONCE = 10
"""Peers that are told at the same time."""
BATCH_KEYS = 48
"""Keys of one request: half of a server's burst, about 5 KiB."""
REGION_S = 300.0
"""Who is in a region is looked up again after this long: peers come and go."""
MAX_GONE = 5
"""... or when this many of its peers did not answer."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What a look-up found: the nearest `peers` that answered, and how large a subtree around the key holds no others (its bits)."""

    peers: Sequence[Contact]
    bits: int


Look = Callable[[bytes], Awaitable[Neighbourhood]]
Tell = Callable[[Contact, Sequence[bytes]], Awaitable[bool | None]]
"""Tell one peer these keys. Whether it holds them now; None: it does not answer."""


@dataclass(slots=True)
class Region:
    """The subtree of `bits` bits around `place`, and its peers with some others."""

    place: int
    bits: int
    peers: dict[PeerId, Contact]
    looked_at: float
    gone: set[PeerId] = field(default_factory=set)

    def covers(self, place: int) -> bool:
        """Whether a place lies in it."""
        return (place ^ self.place) >> self.bits == 0

    def nearest(self, place: int) -> list[Contact]:
        """Who shall hold a key there."""
        found = nsmallest(BUCKET_PEERS, self.peers, key=lambda peer: place_of_peer(peer) ^ place)
        return [self.peers[peer] for peer in found]

    def is_fresh(self, now: float) -> bool:
        return now - self.looked_at < REGION_S and len(self.gone) < MAX_GONE


class Announcer:
    """Keeps the last region, since whoever goes through the key space in order needs it again."""

    def __init__(self, look: Look, tell: Tell) -> None:
        self._look, self._tell = look, tell
        self._region: Region | None = None

    async def tell_all(self, wires: Sequence[bytes]) -> dict[bytes, int]:
        """Tell the nearest peers of each key. By key: how many hold it now."""
        held: Counter[bytes] = Counter()
        places = sorted((place_of(wire), wire) for wire in set(wires))
        at = 0
        while at < len(places):
            region = await self._region_at(places, at)
            end = at + 1
            while end < len(places) and region.covers(places[end][0]):
                end += 1
            await self._tell_region(region, places[at:end], held)
            at = end
        return {wire: held[wire] for _, wire in places}

    async def _region_at(self, places: Sequence[tuple[int, bytes]], at: int) -> Region:
        place, wire = places[at]
        known, now = self._region, trio.current_time()
        if known is not None and known.peers and known.covers(place) and known.is_fresh(now):
            return known
        found = await self._look(wire)
        bits, peers = found.bits, {contact.peer: contact for contact in found.peers}
        neighbour = _within(places, place ^ 1 << bits, bits) if bits < PLACE_BITS else None
        if neighbour is not None:
            beside = await self._look(neighbour[1])
            peers |= {contact.peer: contact for contact in beside.peers}
            bits += beside.bits >= bits  # both halves are known
        self._region = Region(place, bits, peers, now)
        return self._region

    async def _tell_region(self, region: Region, places: Sequence[tuple[int, bytes]], held: Counter[bytes]) -> None:
        shares: dict[PeerId, list[bytes]] = defaultdict(list)
        for place, wire in places:
            for contact in region.nearest(place):
                shares[contact.peer].append(wire)
        limit = trio.CapacityLimiter(PEERS_AT_ONCE)

        async def share(contact: Contact, wires: list[bytes]) -> None:
            async with limit:
                for begin in range(0, len(wires), BATCH_KEYS):
                    batch = wires[begin : begin + BATCH_KEYS]
                    answer = await self._tell(contact, batch)
                    if answer is None:
                        region.gone.add(contact.peer)
                        region.peers.pop(contact.peer, None)
                        return
                    if answer:
                        held.update(batch)

        async with trio.open_nursery() as nursery:
            for peer, wires in shares.items():
                nursery.start_soon(share, region.peers[peer], wires)


def _within(places: Sequence[tuple[int, bytes]], place: int, bits: int) -> tuple[int, bytes] | None:
    """One of our keys in the subtree of so many bits around a place."""
    at = bisect_left(places, (place >> bits << bits, b""))
    return places[at] if at < len(places) and (places[at][0] ^ place) >> bits == 0 else None
