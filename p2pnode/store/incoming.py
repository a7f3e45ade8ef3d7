"""A content on its way in: where each verified leaf is written, what is still missing, and when the index may say so.

Files grow in a hidden folder of the library. A large leaf is written to every place that wants it; at a checkpoint the files are
synced and only then do rows in `places` say that the leaf is held. A small leaf (and an interior node) is a row from the start
and is copied into its file at the end, so that a kill at any instant leaves rows as the only truth. Finishing fills what is
left, makes the files read-only, notes the final name, renames, and completes the content; `store.recovery` takes up a
finish that was cut short. One object a root: `store.node_store` hands the same one to whoever asks again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from p2pnode.core.cid import Cid
from p2pnode.errors import RefusedError, StoreError, UsageError
from p2pnode.limits import MIB, SMALL_LEAF_BYTES
from p2pnode.ports import Content, WantedFile
from p2pnode.store.database import Engine
from p2pnode.store.library import FileArea
from p2pnode.store.paths import numbered, safe_name
from p2pnode.store.rows import path_column
from p2pnode.store.tx import SqliteTx

T = TypeVar("T")

CHECKPOINT_BYTES = 16 * MIB
"""Bytes between two checkpoints: at most this much is fetched again after a crash, and an fsync costs little beside it."""
CHECKPOINT_LEAVES = 1024
"""Leaves between two checkpoints: small ones are held in memory until then."""


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
            entry = wanted.setdefault(cid, Wanted(length))
            if entry.length != length:
                raise RefusedError(f"leaf {cid} is claimed to have {entry.length} and {length} bytes")
            entry.spots.append((index, offset))
    return wanted


@dataclass(frozen=True, slots=True)
class Plan:
    """What one fetch is: made by `store.arrivals` from the request and the rows of an earlier try."""

    id: int
    root: Cid
    name: str
    folder: str
    files: Sequence[WantedFile]
    file_ids: Sequence[int]
    folders: Sequence[str]
    wanted: dict[Cid, Wanted]
    held: frozenset[Cid]
    floor_bytes: int


class StoreIncoming:
    """ports.Incoming. Calls from several tasks take turns."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        area: FileArea,
        transact: Callable[[sqlite3.Connection], SqliteTx],
        naming: trio.Lock,
    ) -> None:
        self.plan = plan
        self._engine = engine
        self._area = area
        self._transact = transact
        self._naming = naming
        self._lock = trio.Lock()
        self._missing = {cid: wanted for cid, wanted in plan.wanted.items() if cid not in plan.held}
        self._small: list[tuple[Cid, bytes]] = []
        self._written: list[Cid] = []
        self._unsaved_bytes = 0
        self._content: Content | None = None
        self.broken = False
        """Its files were tampered with: whoever fetches again needs a new look at the disk."""

    @property
    def missing(self) -> list[Cid]:
        return list(self._missing)

    async def put_leaf(self, cid: Cid, data: bytes) -> None:
        """UsageError for a leaf that this content has not; RefusedError for a wrong length or a disk that fills up."""
        async with self._lock:
            wanted = self._missing.get(cid)
            if wanted is None:
                if cid in self.plan.wanted:
                    return  # asked from two providers at the end of a fetch
                raise UsageError(f"{cid} is no leaf of {self.plan.root}")
            if len(data) != wanted.length:
                raise RefusedError(f"leaf {cid} has {len(data)} bytes where its tree says {wanted.length}")
            if wanted.small:
                self._small.append((cid, bytes(data)))
            else:
                await self._engine.on_disk(lambda: self._write(wanted, data))
                self._written.append(cid)
            del self._missing[cid]
            self._unsaved_bytes += wanted.length * len(wanted.spots)
            if self._unsaved_bytes >= CHECKPOINT_BYTES or len(self._small) + len(self._written) >= CHECKPOINT_LEAVES:
                await self._save()

    async def checkpoint(self) -> None:
        async with self._lock:
            await self._save()

    async def finish(self) -> Content:
        async with self._lock:
            if self._content is None:
                if self._missing:
                    raise StoreError(
                        f"{len(self._missing)} of {len(self.plan.wanted)} leaves are missing", hint="fetch them first"
                    )
                await self._save()
                await self._engine.read(self._fill)
                await self._engine.on_disk(lambda: self._area.sync(self._all_paths()))
                with trio.CancelScope(shield=True):  # few and quick steps that belong together
                    self._content = await self._settle()
            return self._content

    def _path(self, index: int) -> str:
        path = self.plan.files[index].path
        return f"{self.plan.folder}/{path}" if path else self.plan.folder

    def _all_paths(self) -> list[str]:
        return [self._path(index) for index in range(len(self.plan.files))]

    def _write(self, wanted: Wanted, data: bytes) -> None:
        for index, offset in wanted.spots:
            self._area.write(self._path(index), self.plan.files[index].size, [(offset, data)])

    async def _save(self) -> None:
        """Sync files, then commit rows. What cannot be saved stays here and is tried again at the next checkpoint."""
        if not self._small and not self._written:
            return
        await self._engine.on_disk(self._sync_written)
        await self._engine.write(self._save_rows, durable=False)
        self._small, self._written, self._unsaved_bytes = [], [], 0

    def _sync_written(self) -> None:
        check_floor(self._area, self.plan.floor_bytes, 0)
        touched = {index for cid in self._written for index, _ in self.plan.wanted[cid].spots}
        if touched:
            self._area.sync([self._path(index) for index in sorted(touched)])

    def _save_rows(self, connection: sqlite3.Connection) -> None:
        tx = self._transact(connection)
        tx.add_blocks(self.plan.id, self._small)
        for cid in self._written:
            wanted = self.plan.wanted[cid]
            for index, offset in wanted.spots:
                tx.add_leaves(self.plan.id, self.plan.file_ids[index], [(cid, offset, wanted.length)])

    def _fill(self, connection: sqlite3.Connection) -> None:
        """Copy small leaves and inline bytes into their files and make all of them read-only, in file order."""
        for folder in self.plan.folders:
            if folder:
                self._area.make_folder(f"{self.plan.folder}/{folder}")
        for index, file in enumerate(self.plan.files):
            path = self._path(index)
            if any(length > SMALL_LEAF_BYTES for _, _, length in file.leaves) and self._area.size(path) != file.size:
                self.broken = True
                raise StoreError(f"{path} was removed or cut while it was fetched", hint="fetch the work again")
            self._area.write(path, file.size, self._pieces(connection, file), finished=True)

    def _pieces(self, connection: sqlite3.Connection, file: WantedFile) -> Iterator[tuple[int, bytes]]:
        yield from file.inline
        for cid, offset, length in file.leaves:
            if 0 < length <= SMALL_LEAF_BYTES:
                row = connection.execute("SELECT data FROM blocks WHERE cid = ?", (cid.to_bytes(),)).fetchone()
                if row is None:
                    raise StoreError(f"leaf {cid} has gone from the database", hint="fetch the work again")
                yield offset, row[0]

    async def _settle(self) -> Content:
        """Note the final name, rename, complete: at every instant the rows say where the files are or may be."""
        async with self._naming:
            if await self._engine.on_disk(lambda: self._area.exists(self.plan.folder)):
                final = await self._engine.on_disk(self._free_name)
                await self._engine.write(lambda connection: note_final(connection, self.plan.id, final))
                await self._engine.on_disk(lambda: self._area.rename(self.plan.folder, final))
        return await self._engine.write(lambda connection: settle(self._transact(connection), connection, self.plan.id))

    def _free_name(self) -> str:
        name = safe_name(self.plan.name)
        return next(n for i in range(1, 1 << 20) if not self._area.exists(n := numbered(name, i)))


def note_final(connection: sqlite3.Connection, base: int, final: str | None) -> None:
    """Remember the name to which a base is about to be renamed; None: it was not."""
    column = None if final is None else path_column(final)
    connection.execute("UPDATE bases SET final = ? WHERE id = ?", (column, base))
    if column is not None:  # a forgotten work of that name may wait for its files to be unlinked: they are gone
        below = (column, column + b"/", column + b"0")
        connection.execute("DELETE FROM trash WHERE path = ? OR (path > ? AND path < ?)", below)


def settle(tx: SqliteTx, connection: sqlite3.Connection, base: int) -> Content:
    """The files have their final name: say so, and complete the content. StoreError if it was forgotten meanwhile."""
    connection.execute("UPDATE bases SET path = final, final = NULL WHERE id = ? AND final IS NOT NULL", (base,))
    row = connection.execute("SELECT root, size, files FROM contents WHERE id = ?", (base,)).fetchone()
    if row is None:
        raise StoreError("this content was forgotten while it was fetched", hint="fetch it again")
    root = Cid.from_bytes(row[0])
    tx.complete_content(base, root, size=row[1], files=row[2])
    content = tx.content(root)
    assert content is not None
    return content


def check_floor(area: FileArea, floor_bytes: int, more_bytes: int) -> None:
    """RefusedError, with the numbers, if the disk would have less than its floor left."""
    free = area.free_bytes()
    if free - more_bytes < floor_bytes:
        raise RefusedError(
            f"the disk has {free / MIB:,.0f} MiB free; this needs {more_bytes / MIB:,.0f} MiB and {floor_bytes / MIB:,.0f} MiB stay free",
            hint="free some disk space, or lower floor_bytes",
        )
