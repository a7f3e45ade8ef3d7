"""The one door for records of a circle, foreign and our own: decode, verify, known author, register rule, caps, store, tell.

Gossip, sync and joining hand their bytes to `admit`; our own journeys call `admit_own` inside their transactions, so that our records
go through the same rules. Nothing else writes a circle's records. What changed is told after the commit, to whoever watches.
Records of circle zero (profiles, works outside of circles) are no circle's set and do not come here, except our own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from p2pnode.core.admission import DEFAULT_CAPS, Caps, belongs, is_early, is_genesis, may_introduce
from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, NO_CIRCLE, CircleId, PeerId, PublicKey, RecordId, id_text
from p2pnode.core.quarantine import QUARANTINE_BYTES, Quarantine
from p2pnode.core.record import CHARTER, Record
from p2pnode.core.records import decode_signed, encode_signed
from p2pnode.errors import DecodeError, NotFoundError, RefusedError
from p2pnode.ports import Store, Tx, WallClock
from p2pnode.services.admitting import Admitting, Batch, OnManifest
from p2pnode.services.circle_set import CircleSet, read_known

log = logging.getLogger("p2pnode.admission")

GOSSIP = "gossip"
"""The outbox kind of a record to be gossiped: payload = 32 bytes of circle, then the signed record."""
STRIPPED_AT_ONCE = 1000
"""Bodies dropped in one transaction: some tens of milliseconds, then others may write."""
VERIFY_BATCH = 64
"""Records verified before other tasks get a turn: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of a batch. `rejected` were malformed, badly signed or of another circle; `quarantined` wait for their author."""

    new: tuple[Record, ...] = ()
    rejected: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Records of a circle came, were replaced or went; `source` is the peer that brought them now, None = nobody (our own).

    Without records: a transaction of ours has ended whose records were told before, or we left the circle; whoever keeps something
    counted counts again.
    """

    circle: CircleId
    added: tuple[Record, ...]
    dropped: tuple[Record, ...]
    source: PeerId | None

    @property
    def has_records(self) -> bool:
        return bool(self.added or self.dropped)


Listener = Callable[[Change], None]


class Admission:
    """The door of one node. `on_manifest` runs inside the transaction for new manifests of a circle."""

    def __init__(
        self,
        store: Store,
        clock: WallClock,
        *,
        on_manifest: OnManifest,
        caps: Caps = DEFAULT_CAPS,
        quarantine_bytes: int = QUARANTINE_BYTES,
    ) -> None:
        self._store, self._clock, self._caps = store, clock, caps
        self._on_manifest = on_manifest
        self._quarantine = Quarantine(quarantine_bytes)
        self._sets: dict[CircleId, CircleSet] = {}
        self._own: dict[CircleId, list[Batch]] = {}  # written in transactions of ours, not yet followed in memory
        self._untold: dict[CircleId, list[Batch]] = {}  # the same, not yet told
        self._lock = trio.Lock()
        self._noting = threading.Lock()  # own batches are noted on the store's thread and taken on trio's
        self._listeners: list[Listener] = []

    def watch(self, listener: Listener) -> None:
        """Call `listener` after every commit that changed a circle's records; it must not block."""
        self._listeners.append(listener)

    async def circle_set(self, circle: CircleId) -> CircleSet:
        """The circle as it is now, own records included. NotFoundError if we are not in it."""
        async with self._lock:
            held = await self._settled(circle)
            batch = await self._commit(held, [])  # own vouches may have introduced somebody who waits
        self._tell_if_changed(_change(batch, None))
        return held

    def held_set(self, circle: CircleId) -> CircleSet | None:
        """The same without waiting, possibly a commit behind, or None if it was never read: for gossip's validator."""
        return self._sets.get(circle)

    async def admit(self, records: Sequence[bytes], circle: CircleId, source: PeerId) -> Admitted:
        """Let in what the rules allow. NotFoundError if we are not in that circle; StoreError; never because of the bytes."""
        decoded: list[Record] = []
        for number, data in enumerate(records):
            record = _decode(data, circle)
            if record is not None:
                decoded.append(record)
            if number % VERIFY_BATCH == VERIFY_BATCH - 1:
                await trio.lowlevel.checkpoint()
        rejected = len(records) - len(decoded)
        async with self._lock:
            held = await self._settled(circle)
            batch = await self._commit(held, decoded)
        self._tell_if_changed(_change(batch, source))
        return Admitted(tuple(batch.added.values()), rejected, len(batch.waiting))

    def admit_own(self, tx: Tx, record: Record, now: float) -> None:
        """One of our own records, inside the caller's transaction; gossip is put into the outbox with it.

        RefusedError if the rules do not let it in: nobody has vouched for us yet, or the caps are reached. After the commit the caller
        says `changed(circle)`.
        """
        circle = CircleId(record.id) if record.kind == CHARTER and record.circle == NO_CIRCLE else record.circle
        if circle == NO_CIRCLE:
            tx.put_record(record, own=True)
            return
        held = self._sets.get(circle)
        known = held.known if held and record.author in held.known else read_known(tx, circle)
        admitting = Admitting(tx, circle, known, now, caps=self._caps, own=True)
        batch = admitting.admit([record], Quarantine(0), self._on_manifest)
        if is_early(record, now):
            raise RefusedError(
                "you signed records of a later day here: the clock ran ahead then, or is behind now",
                hint="see whether the clock is right; if it is, sign again when that day has come",
            )
        if record.id in batch.waiting:
            raise RefusedError(
                "nobody in this circle has vouched for you yet, so your records would not be taken",
                hint="ask a member to be online for your invite, or to run:"
                f" p2pnode vouch {id_text(CIRCLE_PREFIX, circle)} {id_text(KEY_PREFIX, record.author)}",
            )
        if record.id not in batch.added and tx.record(record.id) is None:
            raise RefusedError("this circle keeps no more records of one author, or a newer one of yours replaced it")
        tx.enqueue(GOSSIP, circle + encode_signed(record), now)
        with self._noting:  # on the store's thread
            for pending in (self._own, self._untold):
                pending.setdefault(circle, []).append(batch)

    def admit_own_together(self, tx: Tx, circle: CircleId, records: Sequence[Record], now: float) -> None:
        """Many of our own records, as `admit_own`, in a circle that nobody else is in yet: not gossiped, since sync brings them."""
        admitting = Admitting(tx, circle, read_known(tx, circle), now, caps=self._caps, own=True)
        batch = admitting.admit(records, Quarantine(0), self._on_manifest)
        if any(record.id not in batch.added for record in records):
            raise RefusedError("this circle keeps no more records of one author")
        with self._noting:
            for pending in (self._own, self._untold):
                pending.setdefault(circle, []).append(batch)

    def changed(self, circle: CircleId) -> None:
        """Own records were committed: tell those who watch. Memory follows at the next use.

        Another transaction of ours may tell ours before we committed, so the circle is said to have changed in any case.
        """
        with self._noting:
            batches = self._untold.pop(circle, [])
        for batch in batches:
            self._tell(_change(batch, None))
        if not batches:
            self._tell(Change(circle, (), (), None))

    async def strip(self, circle: CircleId, ids: Sequence[RecordId]) -> int:
        """Drop the bodies of these records, in steps, and keep their ids; own records stay whole. How many went. StoreError."""
        before = (await self.circle_set(circle)).stubs
        for start in range(0, len(ids), STRIPPED_AT_ONCE):
            part = ids[start : start + STRIPPED_AT_ONCE]

            def work(tx: Tx, part: Sequence[RecordId] = part) -> int:
                tx.strip_records(part)
                return tx.count_stubs(circle)

            async with self._lock:
                held = await self._settled(circle)
                held.stubs = await self._store.write(work, durable=False)
        self._tell(Change(circle, (), (), None))  # what was counted is to be counted again
        return held.stubs - before if ids else 0

    def forget(self, circle: CircleId) -> None:
        """We left that circle, or its records changed behind our back: read them again at the next use. Listeners hear of it at once."""
        self._sets.pop(circle, None)
        self._tell(Change(circle, (), (), None))

    async def _settled(self, circle: CircleId) -> CircleSet:
        if circle not in self._sets:
            self._sets[circle] = await self._store.read(lambda tx: _load(tx, circle))
        if circle in self._own:
            await self._follow_own(self._sets[circle])
        return self._sets[circle]

    async def _follow_own(self, held: CircleSet) -> None:
        """Own transactions may have been rolled back: look which of their records are there. A write waits for those under way."""
        with self._noting:
            batches = self._own.pop(held.circle)
        touched = {id: record for batch in batches for id, record in (batch.added | batch.dropped).items()}

        def look(tx: Tx) -> tuple[set[RecordId], frozenset[PublicKey]]:
            there = {id for id in touched if tx.record(id) is not None}
            return there, read_known(tx, held.circle) if any(map(may_introduce, touched.values())) else held.known

        there, known = await self._store.write(look, durable=False)
        added = [record for id, record in touched.items() if id in there]
        dropped = [record for id, record in touched.items() if id not in there]
        held.changed(added, dropped, known)

    async def _commit(self, held: CircleSet, decoded: list[Record]) -> Batch:
        now = self._clock()
        # Early records of known authors wait too: their day may have come. Others wait for an introduction.
        waited = [record for record in self._quarantine.of(held.circle, held.known) if not is_early(record, now)]
        pool = decoded + waited

        def work(tx: Tx) -> Batch:
            _check_held(tx, held.circle)  # it may have been left a moment ago
            with self._noting:  # what we just wrote ourselves is not in memory yet
                in_step = held.circle not in self._own
            written = held.written if in_step else {}
            admitting = Admitting(tx, held.circle, held.known, now, caps=self._caps, own=False, written=written)
            batch = admitting.admit(pool, self._quarantine, self._on_manifest)
            if not in_step:
                batch.counted.clear()
            return batch

        if any(record.author in held.known or is_genesis(record, held.circle) for record in pool):
            batch = await self._store.write(work, durable=False)  # what a crash loses, sync brings again
        else:  # strangers only: a flood of them costs no transaction
            batch = Batch(held.circle, held.known, waiting={record.id: record for record in pool})
        held.changed(batch.added.values(), batch.dropped.values(), batch.known)
        held.written |= batch.counted
        self._quarantine.remove(batch.examined)
        for record in batch.waiting.values():
            self._quarantine.put(held.circle, record)
        return batch

    def _tell_if_changed(self, change: Change) -> None:
        if change.added or change.dropped:
            self._tell(change)

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)


def _change(batch: Batch, source: PeerId | None) -> Change:
    return Change(batch.circle, tuple(batch.added.values()), tuple(batch.dropped.values()), source)


def _decode(data: bytes, circle: CircleId) -> Record | None:
    try:
        record = decode_signed(data)
    except DecodeError as error:
        log.debug("a record was refused: %s", error.message)
        return None
    return record if belongs(record, circle) else None


def _load(tx: Tx, circle: CircleId) -> CircleSet:
    _check_held(tx, circle)
    return CircleSet.load(tx, circle)


def _check_held(tx: Tx, circle: CircleId) -> None:
    if circle not in tx.circles():
        raise NotFoundError("this node is not in that circle", hint="see: p2pnode circle list")
