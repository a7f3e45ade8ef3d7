"""What of the held contents is damaged, inside one transaction: marked so that it is not served, and taken back once it is mended.

A damaged leaf in a file is a row in `damage` instead of in `places`; a damaged row of `blocks` is named there with file 0. Unfinished
contents have no damage: a leaf of theirs that went bad is simply fetched again. Who finds out is `store.verify` and `store.blocks`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from p2pnode.core.cid import Cid
from p2pnode.ports import Damage, Place
from p2pnode.store.blocks import Bad, Spot, row_spot
from p2pnode.store.rows import Rows, joined, path_of

OWNERS_TOLD = 8
"""Contents named for one damaged block: tiny blocks are shared by many."""

_COMPLETE_BASE = """SELECT b.id FROM files f JOIN bases b ON b.id = f.base JOIN contents c ON c.id = b.content
WHERE f.id = ? AND c.state = 'complete'"""
_TAKE_AWAY = "DELETE FROM places WHERE cid = ? AND file = ? AND offset = ? RETURNING length"
_MARK = "INSERT OR REPLACE INTO damage (cid, base, file, offset, length, reason, found) VALUES (?, ?, ?, ?, ?, ?, ?)"
_SPOTS = """SELECT d.id, d.cid, d.file, d.offset, d.length, d.reason, d.found, b.path, f.path, b.owned
FROM damage d LEFT JOIN files f ON f.id = d.file LEFT JOIN bases b ON b.id = d.base"""
_OF_ROOT = """(d.base IN (SELECT b.id FROM bases b JOIN contents c ON c.id = b.content WHERE c.root = ?1)
OR d.file = 0 AND EXISTS (SELECT 1 FROM blocks k JOIN refs r ON r.block = k.id JOIN contents c ON c.id = r.content
    WHERE k.cid = d.cid AND c.root = ?1))"""
_FILE_OWNERS = "SELECT c.root FROM bases b JOIN contents c ON c.id = b.content WHERE b.id = ? AND c.root IS NOT NULL"
_ROW_OWNERS = f"""SELECT DISTINCT c.root FROM blocks k JOIN refs r ON r.block = k.id JOIN contents c ON c.id = r.content
WHERE k.cid = ? AND c.state = 'complete' LIMIT {OWNERS_TOLD}"""


class DamageRows(Rows):
    """The part of a transaction that knows what is damaged."""

    def mark_damaged(self, bad: Iterable[Bad], now: float) -> list[Damage]:
        """Take these out of what is held; what was marked now (not what was marked before, dropped meanwhile, or is unfinished)."""
        marked: list[Damage] = []
        for one in bad:
            spot = one.spot
            base = self._take_row(spot) if spot.file == 0 else self._take_place(spot)
            if base is None:
                continue
            values = (spot.cid.to_bytes(), base, spot.file, spot.place.offset, spot.place.length, one.reason, now)
            self._db.execute(_MARK, values)
            marked += self._told(spot, base, one.reason, now)
        return marked

    def _take_row(self, spot: Spot) -> int | None:
        cid = (spot.cid.to_bytes(),)
        held = self._db.execute("SELECT 1 FROM blocks WHERE cid = ?", cid).fetchone()
        known = self._db.execute("SELECT 1 FROM damage WHERE cid = ? AND file = 0", cid).fetchone()
        return 0 if held and not known else None

    def _take_place(self, spot: Spot) -> int | None:
        base = self._db.execute(_COMPLETE_BASE, (spot.file,)).fetchone()
        if base is None:
            return None
        taken = self._db.execute(_TAKE_AWAY, (spot.cid.to_bytes(), spot.file, spot.place.offset)).fetchall()
        return int(base[0]) if taken or spot.place.length == 0 else None

    def _told(self, spot: Spot, base: int, reason: str, now: float) -> list[Damage]:
        owners = (
            self._db.execute(_FILE_OWNERS, (base,))
            if spot.file
            else self._db.execute(_ROW_OWNERS, (spot.cid.to_bytes(),))
        )
        place = spot.place
        return [
            Damage(Cid.from_bytes(root), place.path, place.owned, place.offset, place.length, reason, now)
            for (root,) in owners.fetchall()
        ]

    def damaged_spots(self, root: Cid | None, after: int, limit: int) -> list[tuple[int, Bad]]:
        """(number, what is wrong where) of one content or of all, in order of their numbers beyond `after`."""
        where, values = (f"AND {_OF_ROOT}", (root.to_bytes(),)) if root else ("", ())
        rows = self._db.execute(
            f"{_SPOTS} WHERE d.id > {int(after)} {where} ORDER BY d.id LIMIT {int(limit)}", values
        ).fetchall()
        return [(row[0], Bad(self._spot(row), row[5])) for row in rows]

    def _spot(self, row: Sequence[object]) -> Spot:
        _, cid, file, offset, length, _, _, base, path, owned = row
        assert isinstance(cid, bytes) and isinstance(file, int) and isinstance(offset, int) and isinstance(length, int)
        if file == 0 or not isinstance(base, bytes) or not isinstance(path, bytes):
            return row_spot(Cid.from_bytes(cid), length)
        where = joined(os.path.join(self._library, path_of(base)), path_of(path))
        return Spot(Cid.from_bytes(cid), file, Place(where, offset, length, bool(owned)))

    def damage(self, root: Cid, limit: int) -> list[Damage]:
        """What of that content is damaged, at most `limit`, oldest first."""
        rows = self._db.execute(
            f"{_SPOTS} WHERE {_OF_ROOT} ORDER BY d.id LIMIT ?2", (root.to_bytes(), limit)
        ).fetchall()
        told = []
        for row in rows:
            place = self._spot(row).place
            told.append(Damage(root, place.path, place.owned, place.offset, place.length, row[5], row[6]))
        return told

    def mended(self, spots: Iterable[Spot]) -> int:
        """These places hold the right bytes again; how many of them were marked as damaged."""
        count = 0
        for spot in spots:
            key = (spot.cid.to_bytes(), spot.file, spot.place.offset)
            gone = self._db.execute("DELETE FROM damage WHERE cid = ? AND file = ? AND offset = ?", key).rowcount
            if gone and spot.file and spot.place.length:
                self._db.execute("INSERT OR IGNORE INTO places VALUES (?, ?, ?, ?)", (*key, spot.place.length))
            count += gone
        return count
