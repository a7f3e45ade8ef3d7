"""Pins, the outbox and small named values, inside one transaction."""

from __future__ import annotations

from p2pnode.core.cid import Cid
from p2pnode.ports import OutboxItem
from p2pnode.store.rows import Rows


class SmallRows(Rows):
    """Pins, outbox and meta (ports.Tx)."""

    def pin(self, root: Cid) -> None:
        self._db.execute("INSERT OR IGNORE INTO pins VALUES (?)", (root.to_bytes(),))

    def unpin(self, root: Cid) -> None:
        self._db.execute("DELETE FROM pins WHERE root = ?", (root.to_bytes(),))

    def pinned(self, root: Cid) -> bool:
        return self._db.execute("SELECT 1 FROM pins WHERE root = ?", (root.to_bytes(),)).fetchone() is not None

    def enqueue(self, kind: str, payload: bytes, due: float) -> int:
        row = self._db.execute(
            "INSERT INTO outbox (kind, payload, due) VALUES (?, ?, ?) RETURNING id", (kind, payload, due)
        ).fetchone()
        assert isinstance(row[0], int)
        return row[0]

    def due_outbox(self, now: float, limit: int, kind: str | None = None) -> list[OutboxItem]:
        rows = self._db.execute(
            """SELECT id, kind, payload, attempts, due FROM outbox WHERE due <= ?1 AND (?3 IS NULL OR kind = ?3)
            ORDER BY due, id LIMIT ?2""",
            (now, limit, kind),
        )
        return [OutboxItem(*row) for row in rows]

    def retry_outbox(self, id: int, due: float) -> None:
        self._db.execute("UPDATE outbox SET attempts = attempts + 1, due = ? WHERE id = ?", (due, id))

    def done_outbox(self, id: int) -> None:
        self._db.execute("DELETE FROM outbox WHERE id = ?", (id,))

    def drop_outbox(self, kind: str, payload: bytes) -> None:
        self._db.execute(
            "DELETE FROM outbox WHERE id = (SELECT id FROM outbox WHERE kind = ? AND payload = ? LIMIT 1)",
            (kind, payload),
        )

    def get_meta(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._db.execute("DELETE FROM meta WHERE name = ?", (key,))
        else:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def meta_with_prefix(self, prefix: str) -> list[tuple[str, bytes]]:
        return self._db.execute(
            "SELECT name, value FROM meta WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix)
        ).fetchall()
