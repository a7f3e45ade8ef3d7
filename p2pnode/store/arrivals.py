"""Beginning or resuming a fetch: from a request and what an earlier try left, to the plan that `store.incoming` carries out.

Refuses up front what would pass the quota or the floor of the disk, and takes over leaves that other contents already hold.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from p2pnode.core.cid import RAW, Cid
from p2pnode.limits import SMALL_LEAF_BYTES
from p2pnode.ports import Content, WantedFile
from p2pnode.store.incoming import Plan, Wanted, check_floor, wanted_leaves
from p2pnode.store.library import FileArea
from p2pnode.store.paths import INCOMING_PREFIX, check_files
from p2pnode.store.rows import path_column, path_of
from p2pnode.store.tx import SqliteTx


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of ports.Store.start_incoming, checked."""

    root: Cid
    name: str
    blocks: Sequence[tuple[Cid, bytes]]
    files: Sequence[WantedFile]
    folders: Sequence[str]
    wanted: dict[Cid, Wanted]

    @classmethod
    def checked(
        cls,
        root: Cid,
        name: str,
        blocks: Iterable[tuple[Cid, bytes]],
        files: Sequence[WantedFile],
        folders: Sequence[str],
    ) -> Request:
        """RefusedError for paths or leaves that cannot be."""
        check_files(files, folders)
        return cls(root, name, list(blocks), tuple(files), tuple(folders), wanted_leaves(files))

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def is_file(self) -> bool:
        return [file.path for file in self.files] == [""]


def finished_copy(tx: SqliteTx, root: Cid) -> Content | None:
    """The content if a complete copy lies in the library already; a copy in the user's own files does not count."""
    content = tx.content(root)
    return content if content and content.state == "complete" and content.owned else None


def plan_arrival(
    tx: SqliteTx, connection: sqlite3.Connection, request: Request, area: FileArea, floor_bytes: int
) -> Plan:
    """Inside one transaction: rows for a new fetch, or those of the earlier try. RefusedError over quota or floor."""
    earlier = connection.execute(
        "SELECT id FROM contents WHERE root = ? AND state = 'partial'", (request.root.to_bytes(),)
    ).fetchone()
    id = earlier[0] if earlier else None
    if id is not None and _files(connection, id) != [(file.path, file.size) for file in request.files]:
        tx.drop_content(id)  # another naming of the same tree: rare, and simpler to begin anew
        id = None
    if id is None:
        id = _begin(tx, connection, request)
    tx.add_blocks(id, request.blocks)
    if (empty := Cid.of(RAW, b"")) in request.wanted:
        tx.add_blocks(id, [(empty, b"")])
    held = _held(connection, id, request)
    lacking = sum(w.length * len(w.spots) for cid, w in request.wanted.items() if cid not in held)
    check_floor(area, floor_bytes, lacking)
    (folder,) = connection.execute("SELECT path FROM bases WHERE id = ?", (id,)).fetchone()
    file_ids = [row[0] for row in connection.execute("SELECT id FROM files WHERE base = ? ORDER BY id", (id,))]
    return Plan(
        id, request.root, request.name, path_of(folder), request.files, file_ids, request.folders, request.wanted, held, floor_bytes
    )  # fmt: skip


def _begin(tx: SqliteTx, connection: sqlite3.Connection, request: Request) -> int:
    rows = sum(len(data) for _, data in request.blocks) + sum(w.length for w in request.wanted.values() if w.small)
    tx.check_quota(request.size + rows)
    id = tx.begin_content("", owned=True, public=True)
    short = hashlib.sha256(request.root.to_bytes()).hexdigest()[:16]
    connection.execute(
        "UPDATE contents SET state = 'partial', root = ?, size = ?, files = ? WHERE id = ?",
        (request.root.to_bytes(), request.size, len(request.files), id),
    )
    folder = path_column(f"{INCOMING_PREFIX}{short}.{id}")
    connection.execute("UPDATE bases SET path = ? WHERE id = ?", (folder, id))
    for file in request.files:
        tx.add_file(id, file.path, file.size, 0)
    return id


def _files(connection: sqlite3.Connection, base: int) -> list[tuple[str, int]]:
    rows = connection.execute("SELECT path, size FROM files WHERE base = ? ORDER BY id", (base,))
    return [(path_of(path), size) for path, size in rows]


def _held(connection: sqlite3.Connection, id: int, request: Request) -> frozenset[Cid]:
    """Leaves that this content has itself: rows that it refers to, and places in all of its files that want them."""
    small = connection.execute(
        "SELECT b.cid FROM refs r JOIN blocks b ON b.id = r.block WHERE r.content = ? AND length(b.data) <= ?",
        (id, SMALL_LEAF_BYTES),
    )
    large = connection.execute(
        "SELECT p.cid, count(*) FROM places p JOIN files f ON f.id = p.file WHERE f.base = ? GROUP BY p.cid", (id,)
    )
    held = {cid for (cid,) in small}
    counts = dict(large.fetchall())
    return frozenset(
        cid
        for cid, wanted in request.wanted.items()
        if (cid.to_bytes() in held if wanted.small else counts.get(cid.to_bytes(), 0) >= len(wanted.spots))
    )


def prepare(plan: Plan, area: FileArea) -> list[int]:
    """Make the base, and check the files of an earlier try; the ids of files whose leaves are gone (somebody removed them)."""
    touched = {index for cid in plan.held for index, _ in plan.wanted[cid].spots if not plan.wanted[cid].small}
    base = plan.folder
    if [file.path for file in plan.files] == [""]:
        lost = [plan.file_ids[i] for i in touched if area.size(base) != plan.files[i].size]
        area.write(base, plan.files[0].size, ())
        return lost
    lost = [plan.file_ids[i] for i in touched if area.size(f"{base}/{plan.files[i].path}") != plan.files[i].size]
    area.make_folder(base)
    return lost


def drop_lost(connection: sqlite3.Connection, files: Sequence[int]) -> None:
    """Forget leaves in files that are gone."""
    connection.executemany("DELETE FROM places WHERE file = ?", ((id,) for id in files))
