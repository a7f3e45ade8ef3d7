"""Contents (one row a DAG), their files, leaves and blocks, inside one transaction.

A leaf lies in files (places) or in a row (blocks); interior nodes are always rows. Rows are shared between contents: each content
refers to the rows it needs, and forgetting one drops what no other refers to. Files of the user's are never touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from p2pnode.core.cid import Cid
from p2pnode.errors import NoRoomError, RefusedError
from p2pnode.limits import MAX_BLOCK_BYTES, MIB
from p2pnode.ports import Content
from p2pnode.store.paths import INCOMING_PREFIX
from p2pnode.store.rows import Rows, joined, marks, path_column, path_of

BATCH_ROWS = 256
"""Blocks held in memory while a generator of them is written."""
CIDS_A_QUERY = 500
"""CIDs in one IN (...) of `has`."""

_DAMAGED = """(SELECT count(*) FROM damage d WHERE d.base = b.id) + (SELECT count(*) FROM damage d
JOIN blocks k ON k.cid = d.cid JOIN refs r ON r.block = k.id WHERE d.file = 0 AND r.content = c.id)"""
_CONTENT = f"""SELECT c.id, c.root, c.state, b.path, b.owned, c.public, c.size, c.files, {_DAMAGED} AS damaged
FROM contents c JOIN bases b ON b.content = c.id"""
_DROP_BLOCKS = """DELETE FROM blocks WHERE id IN (SELECT r.block FROM refs r WHERE r.content = ?1
AND NOT EXISTS (SELECT 1 FROM refs o WHERE o.block = r.block AND o.content <> ?1))"""
_HELD_ROWS = "SELECT cid FROM blocks {} AND NOT EXISTS (SELECT 1 FROM damage d WHERE d.cid = blocks.cid AND d.file = 0)"

_HELD_BYTES = """SELECT (SELECT total(p.length) FROM places p JOIN files f ON f.id = p.file JOIN bases b ON b.id = f.base
WHERE b.content = ?1) + (SELECT total(length(k.data)) FROM refs r JOIN blocks k ON k.id = r.block WHERE r.content = ?1
AND substr(k.cid, 1, 2) = x'0155' AND NOT EXISTS (SELECT 1 FROM places p WHERE p.cid = k.cid))"""
"""Leaves in files, and raw ones that are rows so far."""


class ContentRows(Rows):
    """The content part of a transaction (ports.Tx), and what `store.incoming` and `store.recovery` need beyond it."""

    freed = False
    """Whether rows were dropped: the store then gives pages back and unlinks files, after the commit."""

    def content(self, root: Cid) -> Content | None:
        """The complete content of that root, else the partial one; of several bases one that is whole, best in the library."""
        row = self._db.execute(
            f"{_CONTENT} WHERE c.root = ? AND c.state <> 'building' ORDER BY c.state, damaged > 0, b.owned DESC, b.id LIMIT 1",
            (root.to_bytes(),),
        ).fetchone()
        return self._content(row) if row else None

    def content_files(self, root: Cid, limit: int) -> list[tuple[str, int]]:
        rows = self._db.execute(
            """SELECT f.path, f.size FROM files f WHERE f.base = (SELECT b.id FROM bases b JOIN contents c ON c.id = b.content
            WHERE c.root = ? AND c.state <> 'building' ORDER BY c.state, b.owned DESC, b.id LIMIT 1) ORDER BY f.id LIMIT ?""",
            (root.to_bytes(), limit),
        )
        found = [(path_of(path), size) for path, size in rows]
        return [(path, size) for path, size in found if not path.rpartition("/")[2].startswith(INCOMING_PREFIX)]

    def held_bytes(self, root: Cid) -> int:
        content = self.content(root)
        if content is None or content.state == "complete":
            return 0 if content is None else content.size
        row = self._db.execute(_HELD_BYTES, (content.id,)).fetchone()
        return int(row[0])

    def contents(self, state: str) -> list[Content]:
        """Every content in one state, in the order they were begun."""
        rows = self._db.execute(f"{_CONTENT} WHERE c.state = ? GROUP BY c.id ORDER BY c.id", (state,))
        return [self._content(row) for row in rows]

    def begin_content(self, base: str, *, owned: bool, public: bool) -> int:
        row = self._db.execute(
            "INSERT INTO contents (state, public, size, files) VALUES ('building', ?, 0, 0) RETURNING id",
            (int(public),),
        ).fetchone()
        id: int = row[0]
        path = self._relative(base) if owned else base
        self._db.execute(
            "INSERT INTO bases (id, content, path, owned) VALUES (?1, ?1, ?2, ?3)", (id, path_column(path), int(owned))
        )
        return id

    def add_file(self, content: int, path: str, size: int, mtime_ns: int) -> int:
        row = self._db.execute(
            "INSERT INTO files (base, path, size, mtime_ns) VALUES (?, ?, ?, ?) RETURNING id",
            (content, path_column(path), size, mtime_ns),
        ).fetchone()
        assert isinstance(row[0], int)
        return row[0]

    def add_leaves(self, content: int, file: int, leaves: Iterable[tuple[Cid, int, int]]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO places VALUES (?, ?, ?, ?)",
            ((cid.to_bytes(), file, offset, length) for cid, offset, length in leaves),
        )

    def add_blocks(self, content: int, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        """RefusedError for a block over MAX_BLOCK_BYTES, or when the rows would pass the quota."""
        source = iter(blocks)
        while batch := [(_checked(cid, data), data) for cid, data in islice(source, BATCH_ROWS)]:
            before = self._total("stored")
            self._mend_rows(batch)
            self._db.executemany("INSERT OR IGNORE INTO blocks (cid, data) VALUES (?, ?)", batch)
            self._db.executemany(
                "INSERT OR IGNORE INTO refs SELECT ?, id FROM blocks WHERE cid = ?",
                ((content, cid) for cid, _ in batch),
            )
            self._check_quota(before, self._total("stored") - before)  # only now it shows which rows are new

    def _mend_rows(self, batch: Sequence[tuple[bytes, bytes]]) -> int:
        """The right bytes for rows that are marked as damaged; how many there were."""
        if self._db.execute("SELECT 1 FROM damage WHERE file = 0 LIMIT 1").fetchone() is None:
            return 0
        mended = 0
        for cid, data in batch:
            if self._db.execute("DELETE FROM damage WHERE cid = ? AND file = 0", (cid,)).rowcount:
                self._db.execute("UPDATE blocks SET data = ? WHERE cid = ?", (data, cid))
                mended += 1
        return mended

    def mend_row(self, cid: Cid, data: bytes) -> int:
        """The right bytes of one block that is marked as damaged in its row; 1 if it was."""
        return self._mend_rows([(cid.to_bytes(), data)])

    def complete_content(self, content: int, root: Cid, *, size: int, files: int) -> int:
        older = self._db.execute(
            "SELECT id FROM contents WHERE root = ? AND state = 'complete'", (root.to_bytes(),)
        ).fetchone()
        if older and older[0] != content:
            self._join(content, older[0])
            id: int = older[0]
            return id
        self._db.execute(
            "UPDATE contents SET state = 'complete', root = ?, size = ?, files = ? WHERE id = ?",
            (root.to_bytes(), size, files, content),
        )
        return content

    def _join(self, newer: int, older: int) -> None:
        """The older content gets the newer one's bases; one that lies at the same path is replaced by the fresher."""
        stale = self._db.execute(
            """SELECT o.id FROM bases o JOIN bases n ON n.path = o.path AND n.owned = o.owned
            WHERE o.content = ? AND n.content = ?""",
            (older, newer),
        ).fetchall()
        for (base,) in stale:
            self._drop_base(base)
        self._db.execute("UPDATE bases SET content = ? WHERE content = ?", (older, newer))
        self._db.execute("INSERT OR IGNORE INTO refs SELECT ?, block FROM refs WHERE content = ?", (older, newer))
        self._db.execute("DELETE FROM refs WHERE content = ?", (newer,))
        self._db.execute(
            "UPDATE contents SET public = max(public, (SELECT public FROM contents WHERE id = ?)) WHERE id = ?",
            (newer, older),
        )
        self._db.execute("DELETE FROM contents WHERE id = ?", (newer,))

    def set_public(self, root: Cid, public: bool) -> None:
        self._db.execute("UPDATE contents SET public = ? WHERE root = ?", (int(public), root.to_bytes()))

    def forget_content(self, root: Cid) -> list[str]:
        """The store unlinks these files itself once the transaction is committed; the list is for whoever tells the user."""
        ids = self._db.execute("SELECT id FROM contents WHERE root = ?", (root.to_bytes(),)).fetchall()
        return [path for (id,) in ids for path in self.drop_content(id)]

    def drop_content(self, id: int) -> list[str]:
        """Drop one content with every row that nothing else needs; the owned files, now marked for unlinking."""
        owned = self._db.execute(
            "SELECT b.path, f.path FROM bases b JOIN files f ON f.base = b.id WHERE b.content = ? AND b.owned = 1",
            (id,),
        ).fetchall()
        paths = [self._absolute(base, file) for base, file in owned]
        bases = self._db.execute("SELECT id, path, owned FROM bases WHERE content = ?", (id,)).fetchall()
        emptied = [path for _, path, is_owned in bases if is_owned and path]  # folders go too once nothing is in them
        marked = [*(path_column(self._relative(path)) for path in paths), *emptied]
        self._db.executemany("INSERT OR IGNORE INTO trash VALUES (?)", ((path,) for path in marked))
        for base, _, _ in bases:
            self._drop_base(base)
        self._db.execute(_DROP_BLOCKS, (id,))
        self._db.execute("DELETE FROM refs WHERE content = ?", (id,))
        self._db.execute("DELETE FROM contents WHERE id = ?", (id,))
        self.freed = True
        return paths

    def drop_building(self, content: int) -> None:
        row = self._db.execute("SELECT state FROM contents WHERE id = ?", (content,)).fetchone()
        if row and row[0] == "building":
            self.drop_content(content)

    def _drop_base(self, base: int) -> None:
        self.drop_places(base)
        self._db.execute("DELETE FROM files WHERE base = ?", (base,))  # before its base: the trigger looks there
        self._db.execute("DELETE FROM bases WHERE id = ?", (base,))

    def drop_places(self, base: int) -> None:
        """Forget that any leaf lies in the files of this base."""
        self._db.execute("DELETE FROM places WHERE file IN (SELECT id FROM files WHERE base = ?)", (base,))
        self._db.execute("DELETE FROM damage WHERE base = ?", (base,))

    def has(self, cids: Iterable[Cid]) -> set[Cid]:
        wanted = iter(set(cids))
        found: set[Cid] = set()
        while part := {cid.to_bytes(): cid for cid in islice(wanted, CIDS_A_QUERY)}:
            where = f"WHERE cid IN ({marks(tuple(part))})"
            rows = self._db.execute(f"{_HELD_ROWS.format(where)} UNION SELECT cid FROM places {where}", (*part, *part))
            found.update(part[cid] for (cid,) in rows)
        return found

    def stored_bytes(self) -> int:
        """Rows, and owned files at their full size: a fetch reserves its space when it begins."""
        return self._total("stored")

    def check_quota(self, more_bytes: int) -> None:
        """RefusedError, with the numbers, if the store would own more than its quota."""
        self._check_quota(self._total("stored"), more_bytes)

    def _check_quota(self, stored: int, more_bytes: int) -> None:
        if more_bytes > 0 and stored + more_bytes > self._quota_bytes:
            raise NoRoomError(
                f"the store owns {_size(stored)} of the {_size(self._quota_bytes)} it may own; this needs {_size(more_bytes)} more",
                hint=f"{_size(self._unpinned_bytes())} are in works that are not pinned: p2pnode storage; or raise quota_bytes",
                needed_bytes=stored + more_bytes - self._quota_bytes,
            )

    def _unpinned_bytes(self) -> int:
        row = self._db.execute(
            """SELECT total(size) FROM contents c WHERE NOT EXISTS (SELECT 1 FROM pins p WHERE p.root = c.root)
            AND EXISTS (SELECT 1 FROM bases b WHERE b.content = c.id AND b.owned = 1)"""
        ).fetchone()
        return int(row[0])

    def _content(self, row: tuple[Any, ...]) -> Content:
        id, root, state, path, owned, public, size, files, damaged = row
        base = self._absolute(path) if owned else path_of(path)
        cid = None if root is None else Cid.from_bytes(root)
        return Content(
            id, cid, "partial" if damaged else state, base, bool(owned), bool(public), size, files, damaged=damaged
        )

    def _absolute(self, base: bytes, file: bytes = b"") -> str:
        return joined(os.path.join(self._library, path_of(base)), path_of(file))

    def _relative(self, path: str) -> str:
        """An owned path as it is stored: relative to the library, so that the home may move. Unchanged if it lies elsewhere."""
        inside = os.path.join(self._library, "")
        return path[len(inside) :].replace(os.sep, "/") if path.startswith(inside) else path


def _checked(cid: Cid, data: bytes) -> bytes:
    if len(data) > MAX_BLOCK_BYTES:
        raise RefusedError(f"a block of {len(data)} bytes is over the limit of {MAX_BLOCK_BYTES}")
    return cid.to_bytes()


def _size(size: int) -> str:
    return f"{size} bytes" if size < MIB else f"{size / MIB:,.1f} MiB"
