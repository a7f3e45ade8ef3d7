"""What this node keeps in memory of one circle's set of records: who is known, and the two indexes that sync compares.

Always derived from the store, changed only after a commit. `services.admission` owns these; sync and gossip read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2pnode.core.admission import INTRODUCING, introduces, is_genesis, known_authors
from p2pnode.core.ids import CircleId, PublicKey, RecordId
from p2pnode.core.record import CONTROL_KINDS, Record
from p2pnode.core.registers import is_register
from p2pnode.core.sync_index import SyncIndex, sync_key
from p2pnode.ports import Tx


@dataclass(frozen=True, slots=True)
class Written:
    """How many records of one author a circle holds: for the caps."""

    registers: int
    permanents: int

    def plus(self, record: Record, count: int) -> Written:
        """The same with `count` (1 or -1) more records like this one."""
        if is_register(record):
            return Written(self.registers + count, self.permanents)
        return Written(self.registers, self.permanents + count)


class CircleSet:
    """One circle as the store has it."""

    def __init__(
        self, circle: CircleId, known: frozenset[PublicKey], control: SyncIndex, rest: SyncIndex, *, stubs: int = 0
    ) -> None:
        self.circle = circle
        self.known = known
        self.control = control
        self.rest = rest
        self.stubs = stubs
        """How many of the records are kept without their bodies."""
        self.written: dict[PublicKey, Written] = {}
        """Of authors who wrote since the start; others are counted when they do."""

    @classmethod
    def load(cls, tx: Tx, circle: CircleId) -> CircleSet:
        """Read it whole: once per circle and run of the node."""
        control = SyncIndex(tx.record_keys(circle, control=True), in_order=True)
        rest = SyncIndex(tx.record_keys(circle, control=False), in_order=True)
        genesis = tx.record(RecordId(circle))
        if genesis is not None and is_genesis(genesis, circle):
            control.add(genesis.created, genesis.id)  # it names no circle, being what names this one
        return cls(circle, read_known(tx, circle), control, rest, stubs=tx.count_stubs(circle))

    def __len__(self) -> int:
        return len(self.control) + len(self.rest)

    def holds(self, record: Record) -> bool:
        return sync_key(record.created, record.id) in self._index(record)

    @property
    def whole(self) -> int:
        """How many of the records are kept with their bodies."""
        return len(self) - self.stubs

    def changed(self, added: Iterable[Record], dropped: Iterable[Record], known: frozenset[PublicKey]) -> None:
        """Follow a transaction that was committed."""
        for record in added:
            if self._index(record).add(record.created, record.id):
                self._count(record, 1)
        for record in dropped:
            if self._index(record).discard(record.created, record.id):
                self._count(record, -1)
                self.stubs -= record.is_stub
        self.known = known

    def _count(self, record: Record, count: int) -> None:
        written = self.written.get(record.author)
        if written is not None:
            self.written[record.author] = written.plus(record, count)

    def _index(self, record: Record) -> SyncIndex:
        return self.control if record.kind in CONTROL_KINDS else self.rest


def read_known(tx: Tx, circle: CircleId) -> frozenset[PublicKey]:
    """The known authors, from the records of the store."""
    controls = tx.records(circle, kinds=INTRODUCING, stubs=True)
    genesis = tx.record(RecordId(circle))
    return known_authors([*controls, *([genesis] if genesis else [])], circle)


def introduced(records: Iterable[Record]) -> frozenset[PublicKey]:
    """Everybody whom these records introduce."""
    return frozenset(key for record in records for key in introduces(record))
