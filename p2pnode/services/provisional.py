"""Whether what we say of a circle may still miss records of others: with which of its members we compared ours since the start.

Called by `services.sync`, which tells it of finished sessions; answers at once, from a roll that is read again when control records
changed. Kept in memory only: after a start everything is provisional until the first sessions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from p2pnode.core.charter import Charter
from p2pnode.core.ids import CircleId, PublicKey, RecordId
from p2pnode.core.independence import is_provisional
from p2pnode.core.record import CHARTER, VOUCH, Record
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.core.verdict import CircleView
from p2pnode.errors import DecodeError
from p2pnode.ports import Store, WallClock

Roll = Mapping[PublicKey, Sequence[PublicKey]]
"""Member -> members who vouch for it; a steward has itself among them."""

INLINE_VOUCHES = 300
"""Counted at once: some milliseconds. More of them are counted in a worker thread."""


class Provisional:
    """One node's rolls and finished sessions, by circle."""

    def __init__(self, store: Store, clock: WallClock) -> None:
        self._store, self._clock = store, clock
        self._rolls: dict[CircleId, Roll] = {}
        self._synced: dict[CircleId, dict[PublicKey, float]] = {}

    def is_provisional(self, circle: CircleId, me: PublicKey) -> bool:
        """True also while the roll is not known."""
        roll = self._rolls.get(circle)
        return roll is None or is_provisional(me, self._synced.get(circle, {}), roll)

    def last_sync(self, circle: CircleId) -> float | None:
        """Seconds since 1970 of the last session that settled everything, or None since the start."""
        return max(self._synced.get(circle, {}).values(), default=None)

    def synced(self, circle: CircleId, key: PublicKey) -> None:
        """A session with that pseudonym settled everything."""
        self._synced.setdefault(circle, {})[key] = self._clock()

    def is_member(self, circle: CircleId, key: PublicKey) -> bool:
        return key in self._rolls.get(circle, {})

    def forget(self, circle: CircleId) -> None:
        self._rolls.pop(circle, None)
        self._synced.pop(circle, None)

    async def read_roll(self, circle: CircleId) -> None:
        """Count the members again: control records changed, or the day did."""
        genesis = await self._store.read(lambda tx: tx.record(RecordId(circle)))
        vouches = await self._store.read(lambda tx: tx.records(circle, kinds=(VOUCH,)))
        day = int(self._clock()) // SECONDS_A_DAY
        if genesis is not None and genesis.kind == CHARTER:
            if len(vouches) <= INLINE_VOUCHES:
                self._rolls[circle] = _roll(genesis, vouches, day)
            else:
                self._rolls[circle] = await trio.to_thread.run_sync(_roll, genesis, vouches, day)


def _roll(genesis: Record, vouches: list[Record], day: int) -> Roll:
    try:
        view = CircleView(Charter.of(genesis), vouches, day)
    except DecodeError:
        return {}  # a charter of a later version: nobody here can tell its members
    return {key: (*((key,) if view.is_steward(key) else ()), *view.vouchers(key)) for key in view.members}
