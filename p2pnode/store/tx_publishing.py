"""What publishing asks of a transaction beyond plain contents: many files at once, and files that were read before.

A file that was hashed once, for an unfinished publishing or an older revision, is looked up by its path; its row moves into the new
content or is copied there, so that nothing is read again. Whether it may be believed is the caller's question (core.stamp).
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pnode.core.cid import Cid
from p2pnode.core.stamp import HashedFile, KnownFile, Stamp
from p2pnode.errors import ChangedError
from p2pnode.store.rows import path_column
from p2pnode.store.tx_content import ContentRows

_KNOWN = """SELECT f.id, f.size, f.mtime_ns, f.ctime_ns, f.inode, p.cid, p.length
FROM files f LEFT JOIN places p ON p.file = f.id AND p.offset = 0 WHERE f.base = ? AND f.path = ?
AND NOT EXISTS (SELECT 1 FROM damage d WHERE d.file = f.id) ORDER BY f.id DESC LIMIT 1"""


class PublishRows(ContentRows):
    """The publishing part of a transaction (ports.Tx)."""

    def keep_building(self, content: int) -> None:
        self._db.execute("UPDATE contents SET resumable = 1 WHERE id = ?", (content,))

    def drop_abandoned(self) -> None:
        """Contents in state building that nobody will go on with: their publishing ended with the program."""
        rows = self._db.execute("SELECT id FROM contents WHERE state = 'building' AND resumable = 0").fetchall()
        for (id,) in rows:
            self.drop_content(id)

    def add_files(self, content: int, files: Sequence[HashedFile]) -> list[int]:
        ids = self._free_file_ids(len(files))
        self._db.executemany(
            "INSERT INTO files (id, base, path, size, mtime_ns, ctime_ns, inode) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (id, content, path_column(file.path), s.size, s.mtime_ns, s.ctime_ns, s.inode)
                for id, file in zip(ids, files, strict=True)
                for s in (file.stamp,)
            ],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO places VALUES (?, ?, ?, ?)",
            [
                (cid.to_bytes(), id, offset, length)
                for id, file in zip(ids, files, strict=True)
                for cid, offset, length in file.leaves
            ],
        )
        return list(ids)

    def known_files(self, bases: Sequence[int], paths: Sequence[str]) -> list[KnownFile | None]:
        return [self._known(bases, path_column(path)) for path in paths]

    def _known(self, bases: Sequence[int], path: bytes) -> KnownFile | None:
        for base in bases:
            row = self._db.execute(_KNOWN, (base, path)).fetchone()
            if row is not None:
                id, size, mtime_ns, ctime_ns, inode, cid, length = row
                first = None if cid is None else (Cid.from_bytes(cid), 0, length)
                return KnownFile(id, base, Stamp(size, mtime_ns, ctime_ns, inode), first)
        return None

    def known_leaves(self, file: int, offset: int, limit: int) -> list[tuple[Cid, int, int]]:
        rows = self._db.execute(
            "SELECT cid, offset, length FROM places WHERE file = ? AND offset >= ? ORDER BY offset LIMIT ?",
            (file, offset, limit),
        )
        return [(Cid.from_bytes(cid), offset, length) for cid, offset, length in rows]

    def adopt_files(self, content: int, files: Sequence[int]) -> None:
        self._db.executemany("UPDATE files SET base = ? WHERE id = ?", ((content, file) for file in files))

    def copy_files(self, content: int, files: Sequence[int]) -> None:
        ids = self._free_file_ids(len(files))
        copied = self._db.executemany(
            """INSERT INTO files (id, base, path, size, mtime_ns, ctime_ns, inode)
            SELECT ?, ?, path, size, mtime_ns, ctime_ns, inode FROM files WHERE id = ?""",
            ((id, content, file) for id, file in zip(ids, files, strict=True)),
        )
        if files and copied.rowcount != len(files):
            raise ChangedError(
                "what was known of these files went while they were published", hint="publish them again"
            )
        self._db.executemany(
            "INSERT INTO places SELECT cid, ?, offset, length FROM places WHERE file = ?", zip(ids, files, strict=True)
        )

    def _free_file_ids(self, count: int) -> range:
        """As many row ids as are needed, never used before: only one transaction writes at a time."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'files'").fetchone()
        first = (row[0] if row else 0) + 1
        return range(first, first + count)

    def drop_file(self, file: int) -> None:
        self._db.execute("DELETE FROM places WHERE file = ?", (file,))
        self._db.execute("DELETE FROM files WHERE id = ?", (file,))

    def in_place(self, path: str) -> list[int]:
        rows = self._db.execute(
            """SELECT b.id FROM bases b JOIN contents c ON c.id = b.content
            WHERE b.path = ? AND b.owned = 0 AND c.state = 'complete' ORDER BY b.id DESC""",
            (path_column(path),),
        )
        return [base for (base,) in rows]

    def count_files(self, base: int) -> int:
        count: int = self._db.execute("SELECT count(*) FROM files WHERE base = ?", (base,)).fetchone()[0]
        return count

    def settle_file(self, file: int, stamp: Stamp) -> None:
        self._db.execute(
            "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE id = ?",
            (stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode, file),
        )

    def set_aside(self, content: int, earlier: int | None) -> int:
        """The content under which everything lies that was hashed so far: `earlier`, else `content` itself."""
        if earlier is None:
            return content
        self._db.execute("UPDATE files SET base = ? WHERE base = ?", (earlier, content))
        self.drop_building(content)
        return earlier

    def forget_place(self, root: Cid, path: str) -> bool:
        bases = self._db.execute(
            """SELECT b.id, b.content, b.owned = 0 AND b.path = ? FROM bases b JOIN contents c ON c.id = b.content
            WHERE c.root = ? AND c.state = 'complete'""",
            (path_column(path), root.to_bytes()),
        ).fetchall()
        gone = [base for base, _, goes in bases if goes]
        if len(gone) == len(bases):
            self.forget_content(root)
            return False
        for base in gone:
            self._drop_base(base)
        return True
