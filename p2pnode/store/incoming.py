"""A content on its way in: where each verified leaf is written, what is still missing, and when the index may say so.

Files grow in a hidden folder of the library. A large leaf is written to every place that wants it; at a checkpoint the files are
synced and only then do rows in `places` say that the leaf is held. A small leaf (and an interior node) is a row from the start
and is copied into its file at the end, so that a kill at any instant leaves rows as the only truth; so is a dag-pb leaf that could not
be made again from its bytes of file (core.leaf). Finishing fills what is
left, makes the files read-only, notes the final name, renames, and completes the content; `store.recovery` takes up a
finish that was cut short. One object a root: `store.node_store` hands the same one to whoever asks again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import trio

from p2pnode.core.cid import DAG_PB, Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.leaf import is_plain, leaf_data
from p2pnode.errors import RefusedError, StoreError, UsageError
from p2pnode.limits import MIB, SMALL_LEAF_BYTES
from p2pnode.ports import Content, WantedFile
from p2pnode.store.choosing import (
    Wanted,
    add_files,
    check_floor,
    check_room,
    held_leaves,
    hidden_path,
    missing_leaves,
)
from p2pnode.store.database import Engine
from p2pnode.store.library import FileArea
from p2pnode.store.paths import INCOMING_PREFIX, numbered, safe_name
from p2pnode.store.rows import path_column
from p2pnode.store.tx import SqliteTx

T = TypeVar("T")

CHECKPOINT_BYTES = 16 * MIB
"""Bytes between two checkpoints: at most this much is fetched again after a crash, and an fsync costs little beside it."""
CHECKPOINT_LEAVES = 1024
"""Leaves between two checkpoints: small ones are held in memory until then."""
PART = "part/"
"""Prefix of meta keys, by base: the rename under way shows a part of the content, not the whole."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one fetch is: made by `store.arrivals` from the request and the rows of an earlier try."""

    id: int
    root: Cid
    name: str
    folder: str
    files: Sequence[WantedFile]
    rows: dict[int, int]
    """Index -> row of the chosen files."""
    hidden: set[int]
    """Those of them that are not whole, beside others that are shown."""
    folders: Sequence[str]
    wanted: dict[Cid, Wanted]
    held: frozenset[Cid]
    floor_bytes: int

    def path_of(self, index: int) -> str:
        """Where a file lies below the base."""
        path = self.files[index].path
        return hidden_path(path) if index in self.hidden else path


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
        self._folder = plan.folder
        self.name = plan.name
        """What it will be called: the last one that somebody gave it."""
        self._rows = plan.rows
        self._shown: set[int] = set()
        self._missing = missing_leaves(plan.wanted, plan.held, plan.rows, len(plan.files))
        self._small: list[tuple[Cid, bytes]] = []
        self._written: list[Cid] = []
        self._unsaved_bytes = 0
        self._content: Content | None = None
        self.broken = False
        """Its files were tampered with: whoever fetches again needs a new look at the disk."""

    @property
    def missing(self) -> list[Cid]:
        return list(self._missing)

    @property
    def chosen(self) -> frozenset[int]:
        return frozenset(self._rows)

    def lacks(self, cid: Cid) -> bool:
        return cid in self._missing

    async def put_leaf(self, cid: Cid, data: bytes) -> None:
        """UsageError for a leaf that this content has not; RefusedError for a wrong length or a disk that fills up."""
        async with self._lock:
            wanted = self._missing.get(cid)
            if wanted is None:
                if cid in self.plan.wanted:
                    return  # asked from two providers at the end of a fetch
                raise UsageError(f"{cid} is no leaf of {self.plan.root}")
            content = leaf_data(cid, data)
            if len(content) != wanted.length:
                raise RefusedError(f"leaf {cid} has {len(content)} bytes where its tree says {wanted.length}")
            if wanted.small or not is_plain(cid, data):
                self._small.append((cid, bytes(data)))
            else:
                await self._engine.on_disk(lambda: self._write(wanted, content))
                self._written.append(cid)
            del self._missing[cid]
            self._unsaved_bytes += wanted.length * len(wanted.spots)
            if self._unsaved_bytes >= CHECKPOINT_BYTES or len(self._small) + len(self._written) >= CHECKPOINT_LEAVES:
                await self._save()

    async def checkpoint(self) -> None:
        async with self._lock:
            await self._save()

    async def choose(self, files: Collection[int]) -> None:
        """RefusedError over quota or the disk's floor: then nothing more is chosen."""
        async with self._lock:
            if self._content is not None or self._rows.keys() >= set(files):
                return
            await self._save()  # what is held is reckoned from the rows
            rows, hidden = dict(self._rows), set(self.plan.hidden)

            def add(connection: sqlite3.Connection) -> dict[Cid, Wanted]:
                add_files(
                    self._transact(connection), self.plan.id, self.plan.files, self.plan.wanted, rows, hidden, files
                )
                held = held_leaves(connection, self.plan.id, self.plan.wanted, rows)
                missing = missing_leaves(self.plan.wanted, held, rows, len(self.plan.files))
                check_room(self._area, self.plan.floor_bytes, missing, rows)
                return missing

            self._missing = await self._engine.write(add)
            self._rows = rows
            self.plan.hidden.update(hidden)

    async def finish(self, files: Collection[int] | None = None) -> Content:
        async with self._lock:
            if self._content is not None:
                return self._content
            wanted = range(len(self.plan.files)) if files is None else sorted(files)
            lacking = self._lacking(wanted)
            if lacking:
                raise StoreError(f"{lacking} of {len(self.plan.wanted)} leaves are missing", hint="fetch them first")
            await self._save()
            await self._engine.read(lambda connection: self._fill(connection, wanted, whole=files is None))
            await self._engine.on_disk(lambda: self._area.sync([self._path(index) for index in wanted]))
            await self._engine.on_disk(lambda: self._unhide(wanted))
            with trio.CancelScope(shield=True):  # few and quick steps that belong together
                content = await self._settle(wanted, whole=files is None)
            self.plan.hidden.difference_update(wanted)
            self._shown.update(wanted)
            if files is None:
                self._content = content
            return content

    def _lacking(self, files: Iterable[int]) -> int:
        chosen = [index for index in files if index not in self._rows]
        if chosen or not self._missing:
            return len(chosen)
        return sum(cid in self._missing for index in files for cid, _, _ in self.plan.files[index].leaves)

    def _path(self, index: int) -> str:
        path = self.plan.path_of(index)
        return f"{self._folder}/{path}" if path else self._folder

    def _unhide(self, files: Iterable[int]) -> None:
        """Whole files get their names. The rows follow; after a kill before that `store.arrivals` takes the names back."""
        for index in files:
            if index in self.plan.hidden:
                self._area.rename(self._path(index), f"{self._folder}/{self.plan.files[index].path}")

    def _spots(self, wanted: Wanted) -> list[tuple[int, int]]:
        """Where a leaf goes: into the chosen files that want it, each with the row that says so."""
        return [(index, offset) for index, offset in wanted.spots if index in self._rows]

    def _write(self, wanted: Wanted, data: bytes) -> None:
        for index, offset in self._spots(wanted):
            if index not in self._shown:  # what is shown already is whole
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
        touched = {index for cid in self._written for index, _ in self._spots(self.plan.wanted[cid])}
        if touched:
            self._area.sync([self._path(index) for index in sorted(touched)])

    def _save_rows(self, connection: sqlite3.Connection) -> None:
        tx = self._transact(connection)
        tx.add_blocks(self.plan.id, self._small)
        for cid in self._written:
            wanted = self.plan.wanted[cid]
            for index, offset in self._spots(wanted):
                tx.add_leaves(self.plan.id, self._rows[index], [(cid, offset, wanted.length)])

    def _fill(self, connection: sqlite3.Connection, files: Iterable[int], *, whole: bool) -> None:
        """Copy small leaves and inline bytes into their files and make all of them read-only, in file order."""
        for folder in self.plan.folders if whole else ():
            if folder:
                self._area.make_folder(f"{self._folder}/{folder}")
        for index in files:
            if index in self._shown:
                continue
            file, path = self.plan.files[index], self._path(index)
            if _grew_on_disk(connection, file) and self._area.size(path) != file.size:
                self.broken = True
                raise StoreError(f"{path} was removed or cut while it was fetched", hint="fetch the work again")
            self._area.write(path, file.size, pieces_of(connection, file), finished=True)

    async def _settle(self, files: Iterable[int], *, whole: bool) -> Content:
        """Note the final name, rename, complete: at every instant the rows say where the files are or may be."""
        async with self._naming:
            hidden = self._folder.startswith(INCOMING_PREFIX)  # else a part of it was shown before
            if hidden and await self._engine.on_disk(lambda: self._area.exists(self._folder)):
                final = await self._engine.on_disk(self._free_name)
                await self._engine.write(lambda connection: note_final(connection, self.plan.id, final, whole=whole))
                await self._engine.on_disk(lambda: self._area.rename(self._folder, final))
                self._folder = final

        def end(connection: sqlite3.Connection) -> Content:
            tx = self._transact(connection)
            for index in self.plan.hidden.intersection(files):
                name = path_column(self.plan.files[index].path)
                connection.execute("UPDATE files SET path = ? WHERE id = ?", (name, self._rows[index]))
            content = settle(tx, connection, self.plan.id, whole=whole)
            self._note_small(tx, connection, files)
            return content

        return await self._engine.write(end)

    def _note_small(self, tx: SqliteTx, connection: sqlite3.Connection, files: Iterable[int]) -> None:
        """Small leaves lie in their files now, too: a check reads them there, and either copy can mend the other."""
        for index in files:
            small = [leaf for leaf in self.plan.files[index].leaves if 0 < leaf[2] <= SMALL_LEAF_BYTES]
            plain = (leaf for leaf in small if _is_plain_row(connection, leaf[0]))
            tx.add_leaves(self.plan.id, self._rows[index], plain)

    def _free_name(self) -> str:
        name = safe_name(self.name)
        return next(n for i in range(1, 1 << 20) if not self._area.exists(n := numbered(name, i)))


def pieces_of(connection: sqlite3.Connection, file: WantedFile) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of what has come as rows: inline bytes and small leaves, in file order. StoreError if a row is gone."""
    yield from file.inline
    for cid, offset, length in file.leaves:
        is_small = 0 < length <= SMALL_LEAF_BYTES
        if not is_small and cid.codec != DAG_PB:
            continue
        row = _row(connection, cid)
        if row is not None and (is_small or verify_block(cid, row)):  # a bad row must not go over what came well
            yield offset, leaf_data(cid, row)
        elif is_small:
            raise StoreError(f"leaf {cid} has gone from the database", hint="fetch the work again")


def _row(connection: sqlite3.Connection, cid: Cid) -> bytes | None:
    found = connection.execute("SELECT data FROM blocks WHERE cid = ?", (cid.to_bytes(),)).fetchone()
    return None if found is None else found[0]


def _is_plain_row(connection: sqlite3.Connection, cid: Cid) -> bool:
    """Whether a leaf that is a row can lie in a file, too: a raw one always."""
    return cid.codec != DAG_PB or ((row := _row(connection, cid)) is not None and is_plain(cid, row))


def _grew_on_disk(connection: sqlite3.Connection, file: WantedFile) -> bool:
    """Whether a leaf of this file was written to it when it came."""
    large = (cid for cid, _, length in file.leaves if length > SMALL_LEAF_BYTES)
    return any(cid.codec != DAG_PB or _row(connection, cid) is None for cid in large)


def note_final(connection: sqlite3.Connection, base: int, final: str | None, *, whole: bool = True) -> None:
    """Remember the name to which a base is about to be renamed, and whether all of it is there; None: it was not."""
    column = None if final is None else path_column(final)
    connection.execute("UPDATE bases SET final = ? WHERE id = ?", (column, base))
    connection.execute("DELETE FROM meta WHERE name = ?", (f"{PART}{base}",))
    if column is None:
        return
    if not whole:
        connection.execute("INSERT INTO meta VALUES (?, x'')", (f"{PART}{base}",))
    # a forgotten work of that name may wait for its files to be unlinked: they are gone
    below = (column, column + b"/", column + b"0")
    connection.execute("DELETE FROM trash WHERE path = ? OR (path > ? AND path < ?)", below)


def settle(tx: SqliteTx, connection: sqlite3.Connection, base: int, *, whole: bool) -> Content:
    """The files have their final name: say so, and complete the content if it is whole. StoreError if it was forgotten meanwhile."""
    connection.execute("UPDATE bases SET path = final, final = NULL WHERE id = ? AND final IS NOT NULL", (base,))
    connection.execute("DELETE FROM meta WHERE name = ?", (f"{PART}{base}",))
    row = connection.execute("SELECT root, size, files FROM contents WHERE id = ?", (base,)).fetchone()
    if row is None:
        raise StoreError("this content was forgotten while it was fetched", hint="fetch it again")
    root = Cid.from_bytes(row[0])
    if whole:
        tx.complete_content(base, root, size=row[1], files=row[2])
    content = tx.content(root)
    assert content is not None
    return content


def was_whole(connection: sqlite3.Connection, base: int) -> bool:
    """Of a base with a final name noted: whether the content is complete with it, or only a part of it was to be shown."""
    return connection.execute("SELECT 1 FROM meta WHERE name = ?", (f"{PART}{base}",)).fetchone() is None
