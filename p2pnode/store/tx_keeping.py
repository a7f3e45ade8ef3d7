"""What is kept and what could go, inside one transaction: how each content weighs, when it was used, and who else has it.

Decides nothing: which content goes when space is needed is a rule of the services.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from p2pnode.core.cid import Cid
from p2pnode.core.ids import PeerId
from p2pnode.ports import Stock
from p2pnode.store.rows import Rows, path_of

MAX_COPIES = 16
"""Peers remembered for one content: one other copy is what matters, a few more survive that a peer goes."""
OWNERS_USED = 16
"""Contents that one served block counts as a use of."""

_STOCK = """SELECT c.id, c.root, c.state, c.used,
    (SELECT total(f.size) FROM bases b JOIN files f ON f.base = b.id WHERE b.content = c.id AND b.owned = 1),
    (SELECT total(length(k.data)) FROM refs r JOIN blocks k ON k.id = r.block WHERE r.content = c.id),
    EXISTS (SELECT 1 FROM bases b WHERE b.content = c.id AND b.owned = 0),
    EXISTS (SELECT 1 FROM bases b WHERE b.content = c.id AND b.owned = 1),
    EXISTS (SELECT 1 FROM pins p WHERE p.root = c.root),
    (SELECT b.path FROM bases b WHERE b.content = c.id ORDER BY b.owned DESC, b.id LIMIT 1),
    (SELECT count(*) FROM bases b JOIN damage d ON d.base = b.id WHERE b.content = c.id)
    + (SELECT count(*) FROM damage d JOIN blocks k ON k.cid = d.cid JOIN refs r ON r.block = k.id
        WHERE d.file = 0 AND r.content = c.id)
FROM contents c WHERE c.state <> 'building' AND c.root IS NOT NULL"""
_FILES_OF = "FROM contents c JOIN bases b ON b.content = c.id JOIN files f ON f.base = b.id WHERE c.state = 'complete'"
_SOME_LEAVES = f"""SELECT p.cid FROM places p WHERE p.file IN
(SELECT f.id {_FILES_OF} AND c.root = ?1 ORDER BY random() LIMIT ?2) ORDER BY random() LIMIT ?2"""
_SOME_ROWS = """SELECT k.cid FROM contents c JOIN refs r ON r.content = c.id JOIN blocks k ON k.id = r.block
WHERE c.root = ? AND c.state = 'complete' ORDER BY random() LIMIT ?"""
_FILE_BYTES = f"SELECT total(f.size) {_FILES_OF} AND c.root = ?"
_ALL_FILE_BYTES = f"SELECT total(f.size) {_FILES_OF}"
_ROW_BYTES = """SELECT total(length(k.data)) FROM contents c JOIN refs r ON r.content = c.id JOIN blocks k ON k.id = r.block
WHERE c.root = ?"""
_ALL_ROW_BYTES = "SELECT total(length(data)) FROM blocks"
_DAMAGED_ROOTS = """SELECT DISTINCT c.root FROM damage d JOIN bases b ON b.id = d.base JOIN contents c ON c.id = b.content
UNION SELECT DISTINCT c.root FROM damage d JOIN blocks k ON k.cid = d.cid JOIN refs r ON r.block = k.id
JOIN contents c ON c.id = r.content WHERE d.file = 0 AND c.root IS NOT NULL"""
_USED_BY = f"""UPDATE contents SET used = ?1 WHERE id IN (
    SELECT * FROM (SELECT b.content FROM places p JOIN files f ON f.id = p.file JOIN bases b ON b.id = f.base
        WHERE p.cid = ?2 LIMIT {OWNERS_USED})
    UNION SELECT * FROM (SELECT r.content FROM blocks k JOIN refs r ON r.block = k.id WHERE k.cid = ?2 LIMIT {OWNERS_USED}))"""


class KeepingRows(Rows):
    """The keeping part of a transaction (ports.Tx)."""

    def stock(self, root: Cid | None = None) -> list[Stock]:
        where, values = (" AND c.root = ?", (root.to_bytes(),)) if root else ("", ())
        return [self._stock(row) for row in self._db.execute(f"{_STOCK}{where} ORDER BY c.id", values).fetchall()]

    def _stock(self, row: tuple[Any, ...]) -> Stock:
        _, root, state, used, files, rows, in_place, owned, pinned, path, damaged = row
        where = path_of(path or b"")
        return Stock(
            root=Cid.from_bytes(root),
            state=state,
            files_bytes=int(files),
            rows_bytes=int(rows),
            in_place=bool(in_place),
            owned=bool(owned),
            pinned=bool(pinned),
            used=used,
            path=os.path.join(self._library, where) if owned else where,
            damaged=damaged,
            copies=self._copies(root),
        )

    def _copies(self, root: bytes) -> tuple[tuple[PeerId, float], ...]:
        rows = self._db.execute("SELECT peer, seen FROM copies WHERE root = ? ORDER BY seen DESC, peer", (root,))
        return tuple((PeerId(peer), seen) for peer, seen in rows)

    def damaged_roots(self) -> list[Cid]:
        return [Cid.from_bytes(root) for (root,) in self._db.execute(_DAMAGED_ROOTS)]

    def saw_copy(self, root: Cid, peer: PeerId, now: float) -> None:
        key = root.to_bytes()
        if self._db.execute("SELECT 1 FROM contents WHERE root = ?", (key,)).fetchone() is None:
            return
        self._db.execute("INSERT OR REPLACE INTO copies VALUES (?, ?, ?)", (key, peer, now))
        self._db.execute(
            """DELETE FROM copies WHERE root = ?1 AND peer NOT IN
            (SELECT peer FROM copies WHERE root = ?1 ORDER BY seen DESC, peer LIMIT ?2)""",
            (key, MAX_COPIES),
        )

    def lost_copy(self, root: Cid, peer: PeerId) -> None:
        self._db.execute("DELETE FROM copies WHERE root = ? AND peer = ?", (root.to_bytes(), peer))

    def set_used(self, root: Cid, now: float) -> None:
        self._db.execute("UPDATE contents SET used = ? WHERE root = ?", (now, root.to_bytes()))

    def note_used(self, cids: Iterable[Cid], now: float) -> None:
        """Blocks that were read or given away: the contents that hold them were used."""
        self._db.executemany(_USED_BY, ((now, cid.to_bytes()) for cid in cids))

    def sample(self, root: Cid, count: int) -> list[Cid]:
        """Some leaves of a content that is held, at random: who has them has the rest, more likely than not."""
        key = root.to_bytes()
        leaves = self._db.execute(_SOME_LEAVES, (key, count)).fetchall() or self._db.execute(_SOME_ROWS, (key, count))
        return [Cid.from_bytes(cid) for (cid,) in leaves]

    def checkable_bytes(self, root: Cid | None) -> int:
        """Bytes that a verification of one content, or of all, reads."""
        values = () if root is None else (root.to_bytes(),)
        files, rows = (_ALL_FILE_BYTES, _ALL_ROW_BYTES) if root is None else (_FILE_BYTES, _ROW_BYTES)
        return sum(int(self._db.execute(each, values).fetchone()[0]) for each in (files, rows))
