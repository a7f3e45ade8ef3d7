"""Records, the circles we are in, and our own sequence numbers, inside one transaction.

The store holds a set: which of two records of one register is kept is `core.registers`' rule and the caller's work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from p2pnode.core.ids import CircleId, PublicKey, RecordId
from p2pnode.core.record import CONTROL_KINDS, REGISTER_KINDS, Record
from p2pnode.core.records import COUNTER_BITS, SECONDS_A_DAY, seq_of, smaller_signature
from p2pnode.store.rows import FIND_LIMIT, Rows, marks, record_of, stub_of

FLOOR_MARGIN, RESCUE_MARGIN = 1024, 8192
"""Numbers skipped beyond that, by a new database and by a rescued one: many records may have been signed at once, just before."""

_INSERT = """INSERT INTO records (record, circle, kind, control, author, target, seq, created, own, body, sig)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (record) DO NOTHING"""
_SELECT = "SELECT record, sig, body, circle, kind, author, target, seq, created FROM records"
_STUB = "body = x''"
_WHOLE = "body != x''"


class RecordRows(Rows):
    """The record part of a transaction (ports.Tx)."""

    def record(self, id: RecordId) -> Record | None:
        row = self._db.execute(f"SELECT record, sig, body FROM records WHERE record = ? AND {_WHOLE}", (id,)).fetchone()
        return record_of(*row) if row else None

    def put_record(self, record: Record, *, own: bool = False) -> bool:
        if self._db.execute(_INSERT, _columns(record, own)).rowcount:
            return True
        held = self._db.execute("SELECT sig, own FROM records WHERE record = ?", (record.id,)).fetchone()
        if not held[0]:  # a stub: the body was dropped on purpose
            return False
        sig, was_own = smaller_signature(held[0], record.sig), int(own or held[1])
        if (sig, was_own) != held:
            self._db.execute("UPDATE records SET sig = ?, own = ? WHERE record = ?", (sig, was_own, record.id))
        return False

    def drop_record(self, id: RecordId) -> None:
        self._db.execute("DELETE FROM records WHERE record = ?", (id,))

    def records(
        self,
        circle: CircleId,
        *,
        kinds: Sequence[str] = (),
        author: PublicKey | None = None,
        target: bytes | None = None,
        stubs: bool = False,
    ) -> list[Record]:
        where, values = ["circle = ?"], [circle, *kinds]
        if kinds:
            where.append(f"kind IN ({marks(kinds)})")
        for column, value in (("author", author), ("target", target)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if not stubs:
            where.append(_WHOLE)
        rows = self._db.execute(f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY created, record", values)
        return [record_of(id, sig, body) if body else stub_of(id, *about) for id, sig, body, *about in rows]

    def record_keys(self, circle: CircleId, *, control: bool) -> Iterator[tuple[int, RecordId]]:
        return self._db.execute(
            "SELECT created, record FROM records WHERE circle = ? AND control = ? ORDER BY created, record",
            (circle, int(control)),
        )

    def outlines(self, circle: CircleId) -> Iterator[Record]:
        rows = self._db.execute(
            f"SELECT record, circle, kind, author, target, seq, created FROM records WHERE circle = ? AND {_WHOLE}",
            (circle,),
        )
        return (stub_of(*row) for row in rows)

    def count_records(self, circle: CircleId, author: PublicKey) -> tuple[int, int]:
        registers, total = self._db.execute(
            f"""SELECT total(kind IN ({marks(list(REGISTER_KINDS))})), count(*) FROM records
            WHERE author = ? AND circle = ?""",
            (*sorted(REGISTER_KINDS), author, circle),
        ).fetchone()
        return int(registers), total - int(registers)

    def strip_records(self, ids: Iterable[RecordId]) -> None:
        self._db.executemany(
            "UPDATE records SET body = x'', sig = x'' WHERE record = ? AND own = 0", [(id,) for id in ids]
        )

    def count_stubs(self, circle: CircleId, *, kinds: Sequence[str] = (), target: bytes | None = None) -> int:
        where, values = ["circle = ?", _STUB], [circle, *kinds]
        if kinds:
            where.append(f"kind IN ({marks(kinds)})")
        if target is not None:
            where.append("target = ?")
            values.append(target)
        found = self._db.execute(f"SELECT count(*) FROM records WHERE {' AND '.join(where)}", values).fetchone()[0]
        assert isinstance(found, int)
        return found

    def find_records(self, low: bytes, high: bytes, *, kinds: Sequence[str] = ()) -> list[Record]:
        of_kind = f"AND kind IN ({marks(kinds)})" if kinds else ""
        rows = self._db.execute(
            f"""SELECT record, sig, body FROM records WHERE record BETWEEN ? AND ? AND {_WHOLE} {of_kind}
            ORDER BY record LIMIT ?""",
            (low, high, *kinds, FIND_LIMIT),
        )
        return [record_of(*row) for row in rows]

    def find_targets(self, low: bytes, high: bytes, *, kinds: Sequence[str]) -> list[bytes]:
        rows = self._db.execute(
            f"""SELECT DISTINCT target FROM records WHERE target BETWEEN ? AND ? AND kind IN ({marks(kinds)})
            ORDER BY target LIMIT ?""",
            (low, high, *kinds, FIND_LIMIT),
        )
        return [target for (target,) in rows]

    def next_seq(self, author: PublicKey, now: float) -> tuple[int, int]:
        """Above every number handed out before and every record of the author that is held (a restored backup has lost count)."""
        used = self._db.execute(
            """SELECT max(seq) FROM (SELECT seq FROM seqs WHERE author IN (?1, x'')
            UNION ALL SELECT max(seq) FROM records WHERE author = ?1)""",
            (author,),
        ).fetchone()[0]
        today = seq_of(int(now), 0)
        seq = today if used is None else max(today, used + 1)
        self._db.execute("INSERT OR REPLACE INTO seqs VALUES (?, ?)", (author, seq))
        day = seq >> COUNTER_BITS  # `created` must fall on the day of `seq`, also when the clock says otherwise
        return seq, max(int(now), day * SECONDS_A_DAY)

    def set_seq_floor(self, now: float, *, margin: int = FLOOR_MARGIN) -> None:
        """This database knows nothing of what was signed before it: numbers of all keys begin above what can have been used until now.

        Equal numbers under two records are an equivocation. The counter of the day begins at the share of the day that is over, as if
        somebody had signed a record every 1.3 s, and beyond it.
        """
        second = int(now) % SECONDS_A_DAY
        counter = (second << COUNTER_BITS) // SECONDS_A_DAY + margin
        self._db.execute("INSERT OR REPLACE INTO seqs VALUES (x'', ?)", (seq_of(int(now), 0) + counter,))

    def circles(self) -> list[CircleId]:
        return [CircleId(id) for (id,) in self._db.execute("SELECT circle FROM circles ORDER BY added, circle")]

    def add_circle(self, circle: CircleId, salt: bytes, now: float) -> None:
        self._db.execute(
            "INSERT INTO circles VALUES (?, ?, ?) ON CONFLICT (circle) DO UPDATE SET salt = excluded.salt",
            (circle, salt, now),
        )

    def remove_circle(self, circle: CircleId) -> None:
        self._db.execute("DELETE FROM circles WHERE circle = ?", (circle,))
        self._db.execute("DELETE FROM records WHERE circle = ? AND own = 0", (circle,))

    def circle_salt(self, circle: CircleId) -> bytes | None:
        row = self._db.execute("SELECT salt FROM circles WHERE circle = ?", (circle,)).fetchone()
        return row[0] if row else None


def _columns(record: Record, own: bool) -> tuple[object, ...]:
    control = int(record.kind in CONTROL_KINDS)
    return (
        record.id, record.circle, record.kind, control, record.author, record.target,
        record.seq, record.created, int(own), record.body, record.sig,
    )  # fmt: skip
