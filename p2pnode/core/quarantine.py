"""Where records wait whose author nobody has introduced yet: in memory, small, never relayed.

A vouch may arrive after the records of the person it is for. They wait here, oldest use first out; what was dropped is no loss,
because reconciliation asks for it again once the author is known. Called by `services.admission`.
"""

from __future__ import annotations

from collections.abc import Collection

from p2pnode.core.ids import CircleId, PublicKey, RecordId
from p2pnode.core.record import Record
from p2pnode.limits import KIB, MIB

QUARANTINE_BYTES = MIB
"""All circles together: some thousands of records; a flood from strangers costs this and one verification each."""
RECORD_OVERHEAD_BYTES = KIB
"""What a decoded record takes beside its body, roughly: the limit is meant for memory."""


class Quarantine:
    """An LRU by bytes. A record that comes again is the most recent one."""

    def __init__(self, limit_bytes: int = QUARANTINE_BYTES) -> None:
        self._limit = limit_bytes
        self._held: dict[RecordId, tuple[CircleId, Record]] = {}
        self._by_author: dict[tuple[CircleId, PublicKey], set[RecordId]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, id: RecordId) -> bool:
        return id in self._held

    def put(self, circle: CircleId, record: Record) -> None:
        """Let it wait; what waited longest goes when there is no room."""
        self._take(record.id)
        self._held[record.id] = (circle, record)
        self._by_author.setdefault((circle, record.author), set()).add(record.id)
        self.bytes += _cost(record)
        while self.bytes > self._limit:
            self._take(next(iter(self._held)))

    def of(self, circle: CircleId, authors: Collection[PublicKey]) -> list[Record]:
        """What waits of these authors; it stays until `remove`, because the transaction that admits it may fail."""
        ids = (id for author in authors for id in self._by_author.get((circle, author), ()))
        return sorted((self._held[id][1] for id in ids), key=lambda record: (record.created, record.id))

    def all_of(self, circle: CircleId) -> list[Record]:
        return self.of(circle, [author for held_circle, author in self._by_author if held_circle == circle])

    def remove(self, ids: Collection[RecordId]) -> None:
        for id in ids:
            self._take(id)

    def _take(self, id: RecordId) -> None:
        entry = self._held.pop(id, None)
        if entry is None:
            return
        circle, record = entry
        self.bytes -= _cost(record)
        ids = self._by_author[circle, record.author]
        ids.discard(id)
        if not ids:
            del self._by_author[circle, record.author]


def _cost(record: Record) -> int:
    return len(record.body) + RECORD_OVERHEAD_BYTES
