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
from p2pnode.core.proposals import SEALED_CLASSES
from p2pnode.core.record import BALLOT, CHARTER, CONTROL_KINDS, CUT, PROPOSAL, Record
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.core.verdict import CircleView
from p2pnode.errors import DecodeError
from p2pnode.ports import Store, Tx, WallClock

Roll = Mapping[PublicKey, Sequence[PublicKey]]
"""Member -> members who vouch for it; a steward has itself among them."""

REMEMBERED_KEYS = 4096
"""Pseudonyms of one circle with which a session settled: strangers go first, the longest unheard before others."""
INLINE_RECORDS = 300
"""Counted at once: some milliseconds. More of them, and all that a fork inherits, are counted in a worker thread."""


class Provisional:
    """One node's rolls and finished sessions, by circle."""

    def __init__(self, store: Store, clock: WallClock) -> None:
        self._store, self._clock = store, clock
        self._rolls: dict[CircleId, Roll] = {}
        self._days: dict[CircleId, int] = {}
        self._asked: dict[CircleId, frozenset[bytes]] = {}
        self._synced: dict[CircleId, dict[PublicKey, float]] = {}

    def is_provisional(self, circle: CircleId, me: PublicKey) -> bool:
        """True also while the roll is not known."""
        roll = self._rolls.get(circle)
        return roll is None or is_provisional(me, self._synced.get(circle, {}), roll)

    def last_sync(self, circle: CircleId) -> float | None:
        """Seconds since 1970 of the last session that settled everything, or None since the start."""
        return max(self._synced.get(circle, {}).values(), default=None)

    def synced(self, circle: CircleId, key: PublicKey) -> None:
        """A session with that pseudonym settled everything. It may be a stranger's, of which one peer can make any number."""
        synced, roll = self._synced.setdefault(circle, {}), self._rolls.get(circle, {})
        synced.pop(key, None)
        synced[key] = self._clock()
        if len(synced) > REMEMBERED_KEYS:
            del synced[next((one for one in synced if one not in roll), next(iter(synced)))]

    def is_member(self, circle: CircleId, key: PublicKey) -> bool:
        return key in self._rolls.get(circle, {})

    def forget(self, circle: CircleId) -> None:
        self._rolls.pop(circle, None)
        self._days.pop(circle, None)
        self._asked.pop(circle, None)
        self._synced.pop(circle, None)

    def is_of_another_day(self, circle: CircleId) -> bool:
        """Whether the roll was counted on another day than today: vouches run out with the days."""
        return self._days.get(circle) != int(self._clock()) // SECONDS_A_DAY

    def may_change(self, circle: CircleId, record: Record) -> bool:
        """Whether the roll is to be counted again for that record's sake: it says who belongs, or decides on rules or persons."""
        return record.kind in CONTROL_KINDS or (
            record.kind in (PROPOSAL, BALLOT)
            and (_is_on_members(record) or record.target in self._asked.get(circle, ()))
        )

    async def read_roll(self, circle: CircleId) -> None:
        """Count the members again, by the charter that is in force and without those who are expelled."""
        day = int(self._clock()) // SECONDS_A_DAY
        genesis = await self._store.read(lambda tx: tx.record(RecordId(circle)))
        records = await self._store.read(lambda tx: _that_tell_members(tx, circle))
        if genesis is None or genesis.kind != CHARTER:
            return
        self._days[circle] = day
        self._asked[circle] = frozenset(record.target for record in records if record.kind == PROPOSAL)
        if len(records) <= INLINE_RECORDS and not any(record.kind == CUT for record in records):
            self._rolls[circle] = _roll(genesis, records, day)
        else:
            self._rolls[circle] = await trio.to_thread.run_sync(_roll, genesis, records, day)


def _that_tell_members(tx: Tx, circle: CircleId) -> list[Record]:
    """Control records, and what was asked about rules and persons with the ballots on it."""
    proposals = [one for one in tx.records(circle, kinds=(PROPOSAL,)) if _is_on_members(one)]
    targets = sorted({one.target for one in proposals})
    ballots = [one for target in targets for one in tx.records(circle, kinds=(BALLOT,), target=target, stubs=True)]
    return [*tx.records(circle, kinds=sorted(CONTROL_KINDS), stubs=True), *proposals, *ballots]


def _is_on_members(record: Record) -> bool:
    return record.kind == PROPOSAL and record.fields.get("class") in SEALED_CLASSES


def _roll(genesis: Record, records: list[Record], day: int) -> Roll:
    try:
        view = CircleView(Charter.of(genesis), records, day)
    except DecodeError:
        return {}  # a charter of a later version: nobody here can tell its members
    return {key: (*((key,) if view.is_steward(key) else ()), *view.vouchers(key)) for key in view.members}
