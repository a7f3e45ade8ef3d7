"""The one door from inside: a batch of verified records meets a circle's set in one transaction.

Takes what the rules of `core.admission` and `core.registers` let in, in an order that does not matter, and says what changed. It
touches the transaction and its own counts, never the memory of the node: a transaction may still fail. Called by
`services.admission` only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from p2pnode.core.admission import Caps, adopted_among, beyond_caps, is_early, is_genesis, may_introduce
from p2pnode.core.charter import Charter
from p2pnode.core.cut import carriers_of, inherited
from p2pnode.core.ids import CircleId, PublicKey, QuestionId, RecordId
from p2pnode.core.quarantine import Quarantine
from p2pnode.core.record import BALLOT, CHARTER, CUT, MANIFEST, Record
from p2pnode.core.records import SECONDS_A_DAY
from p2pnode.core.registers import is_register, merge
from p2pnode.core.standing import READ_AT_ONCE
from p2pnode.core.verdict import CircleView
from p2pnode.ports import Tx
from p2pnode.services.circle_set import Written, introduced, read_known

OnManifest = Callable[[Tx, Record], None]
"""Called inside the transaction for every new manifest of a circle: the catalogue follows the records."""


@dataclass(slots=True)
class Batch:
    """What a transaction did to one circle; `known` are its known authors afterwards."""

    circle: CircleId
    known: frozenset[PublicKey]
    added: dict[RecordId, Record] = field(default_factory=dict)
    dropped: dict[RecordId, Record] = field(default_factory=dict)
    stale: int = 0
    waiting: dict[RecordId, Record] = field(default_factory=dict)
    counted: dict[PublicKey, Written] = field(default_factory=dict)
    """How much authors have written, of those who were counted for the caps."""
    examined: set[RecordId] = field(default_factory=set)
    """Records that the rules were applied to, whatever came of it: they need not wait any more."""


class Admitting:
    """One batch in one transaction."""

    def __init__(
        self,
        tx: Tx,
        circle: CircleId,
        known: frozenset[PublicKey],
        now: float,
        *,
        caps: Caps,
        own: bool,
        written: Mapping[PublicKey, Written] | None = None,
    ) -> None:
        """`written`: what is known of how much authors wrote before; whoever is not in it is counted."""
        self._tx, self._now, self._caps, self._own = tx, now, caps, own
        self._written = written or {}
        self.batch = Batch(circle, known)

    def admit(self, records: Iterable[Record], quarantine: Quarantine, on_manifest: OnManifest) -> Batch:
        """Take in what may come in, and what waited in the quarantine for exactly this."""
        batch = self.batch
        pool = {record.id: record for record in records}
        while ready := [record for record in pool.values() if self._may_enter(record)]:
            for record in ready:
                del pool[record.id]
                batch.examined.add(record.id)
                self._keep(record)
            newly_known = introduced(ready) - batch.known
            if any(record.kind == CUT for record in ready):  # its last piece introduces everybody at once
                newly_known = read_known(self._tx, batch.circle) - batch.known
            batch.known |= newly_known
            for record in quarantine.of(batch.circle, newly_known):
                pool.setdefault(record.id, record)
        batch.waiting = pool
        self._apply_caps()
        for record in (*batch.added.values(), *self._newly_inherited()):
            if record.kind == MANIFEST:
                on_manifest(self._tx, record)
        return batch

    def _newly_inherited(self) -> Sequence[Record]:
        """What a fork inherits, as it was signed, when a piece of it came."""
        if not any(record.kind == CUT for record in self.batch.added.values()):
            return ()
        genesis = self._genesis()
        return inherited(genesis, self._tx.records(self.batch.circle, kinds=(CUT,))).originals if genesis else ()

    def _genesis(self) -> Charter | None:
        record = self._tx.record(RecordId(self.batch.circle))
        return Charter.of(record) if record is not None and record.kind == CHARTER else None

    def _may_enter(self, record: Record) -> bool:
        known = record.author in self.batch.known or is_genesis(record, self.batch.circle)
        return known and not is_early(record, self._now)

    def _keep(self, record: Record) -> None:
        tx, batch = self._tx, self.batch
        if is_register(record):
            held = tx.records(
                batch.circle, kinds=(record.kind,), author=record.author, target=record.target, stubs=True
            )
            change = merge(held, record)
            if record not in change.keep:
                batch.stale += 1
                return
            for old in change.drop:
                self._drop(old)
        if not tx.put_record(record, own=self._own):  # held: the smaller of two valid signatures stays
            return
        batch.added[record.id] = record
        batch.dropped.pop(record.id, None)

    def _drop(self, record: Record) -> None:
        self._tx.drop_record(record.id)
        if self.batch.added.pop(record.id, None) is None:
            self.batch.dropped[record.id] = record

    def _apply_caps(self) -> None:
        """Authors who wrote too much lose the same records everywhere; whom only those introduced is unknown again."""
        introductions_lost = False
        for author, come in Counter(record.author for record in self.batch.added.values()).items():
            for record in self._beyond_caps(author) if self._may_be_beyond(author, come) else ():
                self._drop(record)
                introductions_lost |= may_introduce(record)
                if author in self.batch.counted:
                    self.batch.counted[author] = self.batch.counted[author].plus(record, -1)
        if introductions_lost:
            self._forget_unknown()
            self.batch.counted.clear()

    def _may_be_beyond(self, author: PublicKey, come: int) -> bool:
        """Whether it is worth reading everything of an author: only of those who wrote about as much as is kept."""
        before = self._written.get(author)
        if before is None:
            before = self.batch.counted[author] = Written(*self._tx.count_records(self.batch.circle, author))
            come = 0
        return before.registers + come > self._caps.registers or before.permanents + come > self._caps.permanents

    def _beyond_caps(self, author: PublicKey) -> list[Record]:
        held = self._tx.records(self.batch.circle, author=author, stubs=True)
        carriers = self._carriers(held)
        dropped = beyond_caps(held, self.batch.circle, adopted=carriers, caps=self._caps)
        if not any(not is_register(record) for record in dropped):
            return dropped
        adopted = self._adopted(held)  # a whole tally: only for those who wrote more than the cap
        return beyond_caps(held, self.batch.circle, adopted=adopted, caps=self._caps)

    def _carriers(self, records: Sequence[Record]) -> Collection[RecordId]:
        """Which of these carry what the circle inherits."""
        genesis = self._genesis() if any(record.kind == CUT for record in records) else None
        return carriers_of(genesis, self._tx.records(self.batch.circle, kinds=(CUT,))) if genesis else ()

    def _adopted(self, records: Sequence[Record]) -> Collection[RecordId]:
        genesis = self._genesis()
        if genesis is None:
            return ()
        day = int(self._now) // SECONDS_A_DAY
        tx, circle = self._tx, self.batch.circle

        def ballots_of(question: QuestionId) -> list[Record]:
            return tx.records(circle, kinds=(BALLOT,), target=question, stubs=True)

        view = CircleView(genesis, tx.records(circle, kinds=READ_AT_ONCE, stubs=True), day, ballots_of=ballots_of)
        return adopted_among(records, view)

    def _forget_unknown(self) -> None:
        circle = self.batch.circle
        while True:
            known = read_known(self._tx, circle)
            strangers = [record for record in self._tx.records(circle, stubs=True) if record.author not in known]
            for record in strangers:
                self._drop(record)
                if not record.is_stub:
                    self.batch.waiting[record.id] = record
            if not any(may_introduce(record) for record in strangers):
                break
        self.batch.known = known
