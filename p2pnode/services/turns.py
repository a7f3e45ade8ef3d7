"""Who is served next: the peer that got the fewest bytes, so that one greedy or slow peer takes nothing from others.

Deficit round robin with the smallest of quanta: everybody who waits is owed the same bytes, whatever the number of his streams and the
size of his batches, and who was away is owed nothing for that time. A turn is a place in memory for one batch, of which a peer holds a
few at most; what it cost is told when it is known. No I/O; called by services.serve_blocks.
"""

from __future__ import annotations

from collections import Counter, deque

import trio

from p2pnode.core.ids import PeerId

REMEMBERED_PEERS = 256
"""Peers whose bytes are remembered after they left; beyond that those who are owed most are forgotten."""


class Turns:
    """`places` turns at a time, at most `per_peer` of them one peer's."""

    def __init__(self, places: int, per_peer: int) -> None:
        self._free, self._per_peer = places, per_peer
        self._held: Counter[PeerId] = Counter()
        self._waiting: dict[PeerId, deque[trio.Event]] = {}
        self._got: dict[PeerId, int] = {}
        self._level = 0
        """What the last one served had got: who comes now begins there."""

    @property
    def free(self) -> int:
        """Turns that nobody has."""
        return self._free

    async def take(self, peer: PeerId) -> None:
        """Wait for a turn. Whoever took it gives it back."""
        granted = trio.Event()
        if peer not in self._waiting:
            self._waiting[peer] = deque()
            self._got[peer] = max(self._got.get(peer, 0), self._level)
        self._waiting[peer].append(granted)
        self._grant()
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():
                self.give_back(peer)
            else:
                self._waiting[peer].remove(granted)
                self._tidy(peer)
            raise

    def charge(self, peer: PeerId, cost: int) -> None:
        """The turn that this peer holds cost so many bytes."""
        if peer in self._got:
            self._got[peer] += cost

    def give_back(self, peer: PeerId) -> None:
        """The turn is over."""
        self._held[peer] -= 1
        self._free += 1
        self._tidy(peer)
        self._grant()

    def _grant(self) -> None:
        while self._free:
            able = [peer for peer in self._waiting if self._held[peer] < self._per_peer]
            if not able:
                return
            peer = min(able, key=self._got.__getitem__)  # of equals the one who came first
            self._level = max(self._level, self._got[peer])
            self._free -= 1
            self._held[peer] += 1
            self._waiting[peer].popleft().set()
            self._tidy(peer)

    def _tidy(self, peer: PeerId) -> None:
        if peer in self._waiting and not self._waiting[peer]:
            del self._waiting[peer]
        if not self._held[peer]:
            del self._held[peer]
        if len(self._got) > REMEMBERED_PEERS:
            gone = [peer for peer in self._got if peer not in self._waiting and peer not in self._held]
            for peer in sorted(gone, key=self._got.__getitem__)[: len(self._got) - REMEMBERED_PEERS]:
                del self._got[peer]
