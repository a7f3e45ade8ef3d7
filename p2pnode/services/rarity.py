"""Which leaves of a content who has: our own map for others, and the maps of others for the choice of what to ask whom. No I/O.

Rarest first: a leaf that few have is asked for before one that many have, so that incomplete nodes soon have something for each other.
Called by services.fetch (our own) and services.swarm (the others').
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from p2pnode.core.cid import Cid
from p2pnode.core.have_messages import Extent, Holding, is_set
from p2pnode.core.ids import PeerId


class OwnMap:
    """What we have of a content's leaves. `leaves` are distinct, in file order."""

    def __init__(self, leaves: Sequence[Cid], held: Iterable[Cid]) -> None:
        self._index = {cid: at for at, cid in enumerate(leaves)}
        self._have = bytearray((len(leaves) + 7) // 8)
        self.add(held)

    def add(self, cids: Iterable[Cid]) -> None:
        """These can be served now."""
        self._set(self._have, cids)

    def maps(self, coming: Iterable[Cid]) -> tuple[bytes, bytes]:
        """(have, coming) as they are told."""
        others = bytearray(len(self._have))
        self._set(others, coming)
        return bytes(self._have), bytes(others)

    def _set(self, bits: bytearray, cids: Iterable[Cid]) -> None:
        for cid in cids:
            at = self._index.get(cid)
            if at is not None:
                bits[at >> 3] |= 0x80 >> (at & 7)


class Rarity:
    """What others have and will have soon. Peers that told nothing, or have the whole, count for no leaf."""

    def __init__(self, leaves: Sequence[Cid]) -> None:
        self._index = {cid: at for at, cid in enumerate(leaves)}
        self._counts = array("H", bytes(2 * len(leaves)))
        self._told: dict[PeerId, Holding] = {}

    def __bool__(self) -> bool:
        """Whether anybody is incomplete as we are: only then is there anything to choose."""
        return any(holding.extent is Extent.SOME for holding in self._told.values())

    def told(self, peer: PeerId, holding: Holding | None) -> None:
        """What this peer said last; None: it is gone."""
        before = self._told.pop(peer, None)
        if before is not None:
            self._count(before, -1)
        if holding is not None:
            self._told[peer] = holding
            self._count(holding, 1)

    def extent(self, peer: PeerId) -> Extent | None:
        """How much this peer has; None: it did not say."""
        holding = self._told.get(peer)
        return None if holding is None else holding.extent

    def has(self, peer: PeerId, cid: Cid) -> bool:
        """Whether a peer that has some of the leaves has this one."""
        at = self._index.get(cid)
        return at is not None and is_set(self._told[peer].have, at)

    def holders(self, cid: Cid) -> int:
        """Incomplete peers that have it, or will have it soon."""
        at = self._index.get(cid)
        return 0 if at is None else self._counts[at]

    def _count(self, holding: Holding, change: int) -> None:
        counts = self._counts
        for byte, (have, coming) in enumerate(zip(holding.have, holding.coming, strict=True)):
            bits = have | coming
            while bits:
                at = 8 * byte + 8 - bits.bit_length()
                bits &= ~(1 << (bits.bit_length() - 1))
                if at < len(counts):
                    counts[at] += change
