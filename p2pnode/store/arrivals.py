"""Beginning or resuming a fetch: from a request and what an earlier try left, to the plan that `store.incoming` carries out.

Refuses up front what would pass the quota or the floor of the disk, and takes over leaves that other contents already hold.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.leaf import leaf_data
from p2pnode.errors import RefusedError
from p2pnode.ports import Content, WantedFile
from p2pnode.store.choosing import Wanted, add_files, check_room, held_leaves, missing_leaves, rows_of, wanted_leaves
from p2pnode.store.incoming import Plan
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
    chosen: frozenset[int]

    @classmethod
    def checked(
        cls,
        root: Cid,
        name: str,
        blocks: Iterable[tuple[Cid, bytes]],
        files: Sequence[WantedFile],
        folders: Sequence[str],
        chosen: Collection[int] | None = None,
    ) -> Request:
        """RefusedError for paths or leaves that cannot be. `chosen`: as in ports.Store.start_incoming."""
        check_files(files, folders)
        blocks = list(blocks)
        kept = frozenset(range(len(files)) if chosen is None else chosen)
        wanted = wanted_leaves(files)
        for cid, block in blocks:
            if cid in wanted and len(leaf_data(cid, block)) != wanted[cid].length:
                raise RefusedError(f"{cid} is both a leaf and a node of this content")
        return cls(root, name, blocks, tuple(files), tuple(folders), wanted, kept)

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
    known = ({}, set[int]()) if id is None else rows_of(connection, id, request.files)
    if id is not None and known is None:
        tx.drop_content(id)  # another naming of the same tree: rare, and simpler to begin anew
    interior = 0
    if id is None or known is None:
        id, known = _begin(tx, connection, request), ({}, set())
        interior = sum(len(data) for _, data in request.blocks)
    rows, hidden = known
    add_files(tx, id, request.files, request.wanted, rows, hidden, request.chosen, interior)
    tx.add_blocks(id, request.blocks)
    if (empty := Cid.of(RAW, b"")) in request.wanted:
        tx.add_blocks(id, [(empty, b"")])
    held = held_leaves(connection, id, request.wanted, rows)
    check_room(area, floor_bytes, missing_leaves(request.wanted, held, rows, len(request.files)), rows)
    (folder,) = connection.execute("SELECT path FROM bases WHERE id = ?", (id,)).fetchone()
    return Plan(
        id, request.root, request.name, path_of(folder), request.files, rows, hidden, request.folders, request.wanted, held, floor_bytes
    )  # fmt: skip


def _begin(tx: SqliteTx, connection: sqlite3.Connection, request: Request) -> int:
    id = tx.begin_content("", owned=True, public=True)
    short = hashlib.sha256(request.root.to_bytes()).hexdigest()[:16]
    connection.execute(
        "UPDATE contents SET state = 'partial', root = ?, size = ?, files = ? WHERE id = ?",
        (request.root.to_bytes(), request.size, len(request.files), id),
    )
    folder = path_column(f"{INCOMING_PREFIX}{short}.{id}")
    connection.execute("UPDATE bases SET path = ? WHERE id = ?", (folder, id))
    return id


def prepare(plan: Plan, area: FileArea) -> list[int]:
    """Make the base, and check the files of an earlier try; the ids of files whose leaves are gone (somebody removed them)."""
    wanted = [plan.wanted[cid] for cid in plan.held]
    touched = {index for leaf in wanted if not leaf.small for index, _ in leaf.spots if index in plan.rows}
    base = plan.folder
    if [file.path for file in plan.files] == [""]:
        lost = [plan.rows[i] for i in touched if area.size(base) != plan.files[i].size]
        if plan.rows:
            area.write(base, plan.files[0].size, ())
        return lost
    for i in plan.hidden:  # named, and then killed before the rows said so
        hidden, plain = f"{base}/{plan.path_of(i)}", f"{base}/{plan.files[i].path}"
        if area.size(hidden) < 0 and area.size(plain) == plan.files[i].size:
            area.rename(plain, hidden)
    lost = [plan.rows[i] for i in touched if area.size(f"{base}/{plan.path_of(i)}") != plan.files[i].size]
    area.make_folder(base)
    return lost


def drop_lost(connection: sqlite3.Connection, files: Sequence[int]) -> None:
    """Forget leaves in files that are gone."""
    connection.executemany("DELETE FROM places WHERE file = ?", ((id,) for id in files))
