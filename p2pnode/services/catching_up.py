"""Who brings a circle's records right now, so that nobody else brings the same ones: what a returning node lacks, all its peers have.

Four peers that are compared with at once each send everything that is missing, and three of the four are in vain. So a session that we
begin waits while another one about its circle brings something, and whoever begins one while we catch up hears that we are busy (we come to
it afterwards). A peer that is slow, stalls or is no member keeps nobody waiting for longer than a moment. Called by `services.sync_peers`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from p2pnode.core.ids import CircleId, PeerId

HEAD_START_S = 1.0
"""For an introduction and the first records, over a line of 200 ms: then the next session begins beside a silent one."""
SERVED_WAIT_S = 2.0
"""A peer that began a session waits for others' sessions no longer: they may be strangers', one after the other."""
STALL_S = 2.0
"""Without anything new for as long: as good as ended."""
TURN_S = 60.0
"""The longest that one session keeps others waiting: as long as it may last."""
MANY_RECORDS = 64
"""More than this is catching up: as many as a gossip message holds are news, which nobody is refused for."""


class Turn:
    """One session: what it has brought so far, and until when others had better wait."""

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self._began_at = self._heard_at = trio.current_time()
        self._brought = 0
        self.is_trusted: Callable[[], bool] = lambda: False
        """Whether the peer proved to be a member, by the roll of now: in a circle just joined it comes with the first records."""

    def brought(self, new: int) -> None:
        """So many records came that we lacked."""
        if new:
            self._brought += new
            self._heard_at = trio.current_time()

    def brings_until(self) -> float:
        """On trio's clock: how long it is worth waiting for what it may still bring."""
        if not self._brought or not self.is_trusted():
            return 0.0
        return min(self._heard_at + STALL_S, self._began_at + TURN_S)

    def holds_until(self) -> float:
        """The same, with the moment before it can have brought anything."""
        return max(self._began_at + HEAD_START_S, self.brings_until())

    @property
    def brings_many(self) -> bool:
        """Whether we are catching up with the help of this one."""
        return self._brought > MANY_RECORDS and trio.current_time() < self.brings_until()


Turns = dict[CircleId, list[Turn]]


class CatchingUp:
    """The sessions that run, by circle: those that we began, and those that peers began."""

    def __init__(self, own: PeerId) -> None:
        self._own = own
        self._ours: dict[CircleId, list[Turn]] = {}
        self._theirs: dict[CircleId, list[Turn]] = {}
        self._ended = trio.Event()

    @asynccontextmanager
    async def begun(self, circle: CircleId, peer: PeerId) -> AsyncIterator[Turn]:
        """For a session that we begin: when no other one is worth waiting for."""
        await self._until(lambda: max(self._holds_until(self._ours, circle), self._brings_until(circle)))
        with self._running(self._ours, circle, peer) as turn:
            yield turn

    @asynccontextmanager
    async def served(self, circle: CircleId, peer: PeerId) -> AsyncIterator[Turn | None]:
        """For a session that a peer began: after a moment at most. None if it would bring the same records once more.

        Where both sides begin one at the same time, that of the smaller peer ID goes on: both sides know which that is.
        """
        is_twin = self._begun_with(circle, peer)
        if not is_twin:
            with trio.move_on_after(SERVED_WAIT_S):
                await self._until(lambda: max(self._holds_until(which, circle) for which in (self._ours, self._theirs)))
        if (is_twin and self._own < peer) or any(turn.brings_many for turn in self._all(circle)):
            yield None
            return
        with self._running(self._theirs, circle, peer) as turn:
            yield turn

    def _begun_with(self, circle: CircleId, peer: PeerId) -> bool:
        return any(turn.peer == peer for turn in self._ours.get(circle, ()))

    async def _until(self, until: Callable[[], float]) -> None:
        while (wait_s := until() - trio.current_time()) > 0:
            with trio.move_on_after(wait_s):
                await self._ended.wait()

    def _all(self, circle: CircleId) -> list[Turn]:
        return [*self._ours.get(circle, ()), *self._theirs.get(circle, ())]

    def _holds_until(self, which: Turns, circle: CircleId) -> float:
        return max((turn.holds_until() for turn in which.get(circle, ())), default=0.0)

    def _brings_until(self, circle: CircleId) -> float:
        return max((turn.brings_until() for turn in self._all(circle)), default=0.0)

    @contextmanager
    def _running(self, which: Turns, circle: CircleId, peer: PeerId) -> Iterator[Turn]:
        turn = Turn(peer)
        turns = which.setdefault(circle, [])
        turns.append(turn)
        try:
            yield turn
        finally:
            turns.remove(turn)
            if not turns:
                del which[circle]
            self._ended.set()
            self._ended = trio.Event()
