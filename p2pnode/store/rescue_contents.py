"""Contents of a rescued database: which are whole, which need a look into their files, and which are lost.

A walk from the root over verified blocks says which leaves there must be and in which file each lies. Called by `store.rescue`.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.dag import inline_block
from p2pnode.core.layout import Skeleton
from p2pnode.core.skeleton import SkeletonWalk
from p2pnode.errors import DecodeError, P2pnodeError
from p2pnode.store.blocks import find_block, read_place, verified
from p2pnode.store.rows import path_column, path_of
from p2pnode.store.tx import SqliteTx

UNCHECKED = "unchecked"
"""Reason of damage: the index lost where it lies; its file was not looked at yet."""
WALK_BATCH = 256

_ORPHANS = (
    "DELETE FROM bases WHERE content NOT IN (SELECT id FROM contents)",
    "DELETE FROM files WHERE base NOT IN (SELECT id FROM bases)",
    "DELETE FROM places WHERE file NOT IN (SELECT id FROM files)",
    "DELETE FROM refs WHERE content NOT IN (SELECT id FROM contents) OR block NOT IN (SELECT id FROM blocks)",
)
_BASELESS = "SELECT id, root FROM contents WHERE state = 'complete' AND id NOT IN (SELECT content FROM bases)"
_COUNT_AGAIN = """UPDATE totals SET value = (SELECT total(length(data)) FROM blocks)
+ (SELECT total(f.size) FROM files f JOIN bases b ON b.id = f.base WHERE b.owned = 1) WHERE name = 'stored'"""
_HELD = """SELECT 1 FROM places p JOIN files f ON f.id = p.file JOIN bases b ON b.id = f.base
WHERE p.cid = ? AND b.content = ? LIMIT 1"""
_NEEDLESS = "DELETE FROM blocks WHERE id NOT IN (SELECT block FROM refs)"


@dataclass(frozen=True, slots=True)
class LostContent:
    """A content of which too much is lost, and the works that had it. Its files lie where they lay."""

    root: Cid
    titles: tuple[str, ...]
    path: str
    owned: bool


def mend_contents(tx: SqliteTx, db: sqlite3.Connection, library: str, now: float) -> tuple[list[LostContent], int]:
    """(what is lost, how many leaves are to be looked for). Foreign keys hold afterwards."""
    for statement in _ORPHANS:
        db.execute(statement)
    lost = [_lost(tx, db, id, Cid.from_bytes(root)) for id, root in db.execute(_BASELESS).fetchall()]
    db.execute("DELETE FROM contents WHERE id NOT IN (SELECT content FROM bases)")
    unchecked = 0
    for id, state, root in db.execute("SELECT id, state, root FROM contents ORDER BY id").fetchall():
        if state != "complete":
            _forget(db, id)  # what was unfinished begins anew
            continue
        cid = Cid.from_bytes(root)
        skeleton = _walk(db, library, cid)
        if skeleton is None:
            lost.append(_lost(tx, db, id, cid))
            continue
        unchecked += _look_for(db, id, skeleton, now)
    db.execute(_NEEDLESS)
    for statement in _ORPHANS:
        db.execute(statement)
    db.execute(_COUNT_AGAIN)
    _release_without_content(tx)
    return lost, unchecked


def _walk(db: sqlite3.Connection, library: str, root: Cid) -> Skeleton | None:
    """The skeleton, if every block that it needs is there."""
    walk = SkeletonWalk(root)
    try:
        while not walk.done:
            while walk.busy:
                walk.step()
            for cid in walk.wanted(WALK_BATCH):
                data = inline_block(cid) or verified(
                    cid, find_block(db, cid, library, public_only=False), read_place, []
                )
                if data is None:
                    return None
                walk.feed(cid, data)
        return walk.result()
    except P2pnodeError:
        return None


def _look_for(db: sqlite3.Connection, content: int, skeleton: Skeleton, now: float) -> int:
    """Refer to the blocks that it needs, and mark leaves whose place is not known. How many these are."""
    for cid in skeleton.blocks:
        db.execute("INSERT OR IGNORE INTO refs SELECT ?, id FROM blocks WHERE cid = ?", (content, cid.to_bytes()))
    (base,) = db.execute(
        "SELECT id FROM bases WHERE content = ? ORDER BY owned DESC, id LIMIT 1", (content,)
    ).fetchone()
    files = {path_of(path): id for id, path in db.execute("SELECT id, path FROM files WHERE base = ?", (base,))}
    unknown = 0
    for file in skeleton.files:
        for cid, offset, length in file.leaves:
            key = cid.to_bytes()
            if inline_block(cid) is not None or _is_held(db, content, key):
                continue
            if file.path not in files:
                files[file.path] = _add_file(db, base, file.path, file.size)
            db.execute(
                "INSERT OR IGNORE INTO damage (cid, base, file, offset, length, reason, found) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key, base, files[file.path], offset, length, UNCHECKED, now),
            )
            unknown += 1
    return unknown


def _is_held(db: sqlite3.Connection, content: int, cid: bytes) -> bool:
    """In a file of this content, or as a row that it refers to from now on."""
    if db.execute(_HELD, (cid, content)).fetchone():
        return True
    db.execute("INSERT OR IGNORE INTO refs SELECT ?, id FROM blocks WHERE cid = ?", (content, cid))
    return db.execute("SELECT 1 FROM blocks WHERE cid = ?", (cid,)).fetchone() is not None


def _add_file(db: sqlite3.Connection, base: int, path: str, size: int) -> int:
    row = db.execute(
        "INSERT INTO files (base, path, size, mtime_ns) VALUES (?, ?, ?, 0) RETURNING id",
        (base, path_column(path), size),
    ).fetchone()
    return int(row[0])


def _lost(tx: SqliteTx, db: sqlite3.Connection, content: int, root: Cid) -> LostContent:
    held = tx.content(root)
    works = [work for work in tx.works_with_root(root) if work.state != "heard"]
    path, owned = (held.base, held.owned) if held else ("", False)
    _forget(db, content)
    return LostContent(root, tuple(work.title for work in works), path, owned)


def _forget(db: sqlite3.Connection, content: int) -> None:
    """Its rows; no file is touched."""
    db.execute("DELETE FROM damage WHERE base IN (SELECT id FROM bases WHERE content = ?)", (content,))
    db.execute("DELETE FROM refs WHERE content = ?", (content,))
    db.execute("DELETE FROM contents WHERE id = ?", (content,))
    for statement in _ORPHANS[:3]:
        db.execute(statement)


def _release_without_content(tx: SqliteTx) -> None:
    """Works whose content is not held are known, not kept."""
    for work in tx.works(limit=1 << 31):
        with suppress(DecodeError):
            if tx.content(work.root) is None:
                tx.set_work_state(work.id, "heard")
