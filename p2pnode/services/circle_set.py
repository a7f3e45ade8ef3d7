"""What this node keeps in memory of one circle's set of records: who is known, and the two indexes that sync compares.

Always derived from the store, changed only after a commit. `services.admission` owns these; sync and gossip read them.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2pnode.core.admission import introduces, is_genesis, known_authors
from p2pnode.core.ids import CircleId, PublicKey, RecordId
from p2pnode.core.record import CHARTER, CONTROL_KINDS, VOUCH, Record
from p2pnode.core.sync_index import SyncIndex, sync_key
from p2pnode.ports import Tx


class CircleSet:
    """One circle as the store has it."""

    def __init__(self, circle: CircleId, known: frozenset[PublicKey], control: SyncIndex, rest: SyncIndex) -> None:
        self.circle = circle
        self.known = known
        self.control = control
        self.rest = rest

    @classmethod
    def load(cls, tx: Tx, circle: CircleId) -> CircleSet:
        """Read it whole: once per circle and run of the node."""
        control = SyncIndex(tx.record_keys(circle, control=True))
        genesis = tx.record(RecordId(circle))
        if genesis is not None and is_genesis(genesis, circle):
            control.add(genesis.created, genesis.id)  # it names no circle, being what names this one
        return cls(circle, read_known(tx, circle), control, SyncIndex(tx.record_keys(circle, control=False)))

    def __len__(self) -> int:
        return len(self.control) + len(self.rest)

    def holds(self, record: Record) -> bool:
        return sync_key(record.created, record.id) in self._index(record)

    def changed(self, added: Iterable[Record], dropped: Iterable[Record], known: frozenset[PublicKey]) -> None:
        """Follow a transaction that was committed."""
        for record in added:
            self._index(record).add(record.created, record.id)
        for record in dropped:
            self._index(record).discard(record.created, record.id)
        self.known = known

    def _index(self, record: Record) -> SyncIndex:
        return self.control if record.kind in CONTROL_KINDS else self.rest


def read_known(tx: Tx, circle: CircleId) -> frozenset[PublicKey]:
    """The known authors, from the records of the store."""
    controls = tx.records(circle, kinds=(CHARTER, VOUCH))
    genesis = tx.record(RecordId(circle))
    return known_authors([*controls, *([genesis] if genesis else [])], circle)


def introduced(records: Iterable[Record]) -> frozenset[PublicKey]:
    """Everybody whom these records introduce."""
    return frozenset(key for record in records for key in introduces(record))
