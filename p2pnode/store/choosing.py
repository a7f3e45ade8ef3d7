"""Which files of a content on its way in are kept: each gets a row, and with it its space in the quota, when somebody wants it.

So a part of a folder is fetched without room for all of it. Called by `store.arrivals` at the beginning of a fetch and by
`store.incoming` when more is wanted; decides nothing about what is fetched.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from p2pnode.core.cid import DAG_PB, Cid
from p2pnode.errors import NoRoomError, RefusedError
from p2pnode.limits import MIB, SMALL_LEAF_BYTES
from p2pnode.ports import WantedFile
from p2pnode.store.library import FileArea
from p2pnode.store.paths import INCOMING_PREFIX
from p2pnode.store.rows import path_of
from p2pnode.store.tx import SqliteTx


@dataclass(slots=True)
class Wanted:
    """One distinct leaf: its length and every (index of the file, offset) that wants it."""

    length: int
    spots: list[tuple[int, int]] = field(default_factory=list)

    @property
    def small(self) -> bool:
        return self.length <= SMALL_LEAF_BYTES


def wanted_leaves(files: Sequence[WantedFile]) -> dict[Cid, Wanted]:
    """Every distinct leaf in file order. RefusedError if one CID is claimed to have two lengths."""
    wanted: dict[Cid, Wanted] = {}
    for index, file in enumerate(files):
        for cid, offset, length in file.leaves:
            entry = wanted.get(cid)
            if entry is None:
                entry = wanted[cid] = Wanted(length)
            if entry.length != length:
                raise RefusedError(f"leaf {cid} is claimed to have {entry.length} and {length} bytes")
            entry.spots.append((index, offset))
    return wanted


def hidden_path(path: str) -> str:
    """How a file of a part is called until every byte of it is there: beside it may be some that are shown."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{INCOMING_PREFIX}{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def rows_of(
    connection: sqlite3.Connection, content: int, files: Sequence[WantedFile]
) -> tuple[dict[int, int], set[int]] | None:
    """Index -> row of the files that an earlier try chose, and which of them are hidden; None if it knew them by other names or sizes."""
    plain = {file.path: number for number, file in enumerate(files)}
    index = {hidden_path(path): number for path, number in plain.items() if path} | plain
    rows: dict[int, int] = {}
    hidden: set[int] = set()
    for row, path, size in connection.execute(
        "SELECT id, path, size FROM files WHERE base = ? ORDER BY id", (content,)
    ):
        number = index.get(path_of(path))
        if number is None or files[number].size != size:
            return None
        rows[number] = row
        if path_of(path) != files[number].path:
            hidden.add(number)
    return rows, hidden


def add_files(
    tx: SqliteTx,
    content: int,
    files: Sequence[WantedFile],
    wanted: Mapping[Cid, Wanted],
    rows: dict[int, int],
    hidden: set[int],
    chosen: Collection[int],
    more_bytes: int = 0,
) -> None:
    """Rows, in `rows` too, for those of `chosen` that have none; hidden ones unless they are all files and the first.

    RefusedError if they, with `more_bytes`, would pass the quota.
    """
    fresh = sorted(set(chosen) - rows.keys())
    are_all = len(fresh) == len(files)
    small = {cid for number in fresh for cid, _, _ in files[number].leaves if wanted[cid].small}
    row_bytes = sum(wanted[cid].length for cid in small)
    tx.check_quota(sum(files[number].size for number in fresh) + row_bytes + more_bytes)
    for number in fresh:
        path = files[number].path
        if path and not are_all:
            hidden.add(number)
            path = hidden_path(path)
        rows[number] = tx.add_file(content, path, files[number].size, 0)


def held_leaves(
    connection: sqlite3.Connection, content: int, wanted: Mapping[Cid, Wanted], rows: Mapping[int, int]
) -> frozenset[Cid]:
    """Leaves that this content has itself: rows that it refers to, and places in all of its chosen files that want them."""
    rows_held = connection.execute(
        "SELECT b.cid FROM refs r JOIN blocks b ON b.id = r.block WHERE r.content = ?"
        " AND NOT EXISTS (SELECT 1 FROM damage d WHERE d.cid = b.cid AND d.file = 0)",
        (content,),
    )
    large = connection.execute(
        "SELECT p.cid, count(*) FROM places p JOIN files f ON f.id = p.file WHERE f.base = ? GROUP BY p.cid", (content,)
    )
    held = {cid for (cid,) in rows_held}
    counts = dict(large.fetchall())
    return frozenset(
        cid
        for cid, leaf in wanted.items()
        if ((leaf.small or cid.codec == DAG_PB) and cid.to_bytes() in held)
        or (not leaf.small and counts.get(cid.to_bytes(), 0) >= max(1, sum(index in rows for index, _ in leaf.spots)))
    )


def missing_leaves(
    wanted: Mapping[Cid, Wanted], held: Collection[Cid], rows: Mapping[int, int], files: int
) -> dict[Cid, Wanted]:
    """Leaves of the chosen files that are not held, in file order."""
    if len(rows) == files:
        return {cid: leaf for cid, leaf in wanted.items() if cid not in held}
    return {
        cid: leaf for cid, leaf in wanted.items() if cid not in held and any(index in rows for index, _ in leaf.spots)
    }


def check_room(area: FileArea, floor_bytes: int, missing: Mapping[Cid, Wanted], rows: Mapping[int, int]) -> None:
    """RefusedError if what is missing would leave the disk less than its floor."""
    lacking = sum(leaf.length * sum(index in rows for index, _ in leaf.spots) for leaf in missing.values())
    check_floor(area, floor_bytes, lacking)


def check_floor(area: FileArea, floor_bytes: int, more_bytes: int) -> None:
    """RefusedError, with the numbers, if the disk would have less than its floor left."""
    free = area.free_bytes()
    if free - more_bytes < floor_bytes:
        raise NoRoomError(
            f"the disk has {free / MIB:,.0f} MiB free; this needs {more_bytes / MIB:,.0f} MiB and {floor_bytes / MIB:,.0f} MiB stay free",
            hint="free some disk space, remove works (p2pnode storage lists them), or lower floor_bytes",
            needed_bytes=floor_bytes + more_bytes - free,
        )
