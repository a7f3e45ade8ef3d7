"""The store without threads and without files, for tests and simulation: same behaviour, no disk, no waiting.

It runs the same SQL on a private in-memory database, at once, on the caller's own thread: a thread would lose virtual time under a
simulated clock, and a second implementation of search and bookkeeping would only differ from the real one where nobody looks.
What is its own: how work is run (InlineEngine) and where fetched files lie (MemoryArea). Files that were published in place are
really read from where they lie.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import trio

from p2pnode.limits import LIBRARY_QUOTA_BYTES, MAX_BLOCK_BYTES
from p2pnode.ports import Place, WallClock
from p2pnode.store.blocks import read_place
from p2pnode.store.database import connect, read_transaction, translated, write_transaction
from p2pnode.store.node_store import NodeStore

T = TypeVar("T")
R = TypeVar("R")

ROOT = "/memory/library"
"""The twin's library folder: exists nowhere."""


class InlineEngine:
    """database.Engine that runs everything at once. Each call is a checkpoint of trio, before the work."""

    def __init__(self) -> None:
        self._connection = connect(":memory:")

    async def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        await trio.lowlevel.checkpoint()
        with translated("memory"):
            return write_transaction(self._connection, work, durable=durable)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        await trio.lowlevel.checkpoint()
        with translated("memory"):
            return self._read(work)

    def read_in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """On the thread that owns the database, wherever it is called."""

        def run() -> T:
            with translated("memory"):
                return self._read(work)

        try:
            trio.lowlevel.current_task()
        except RuntimeError:  # in a worker thread
            return trio.from_thread.run_sync(run)
        return run()

    async def on_disk(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        with translated("memory"):
            return work()

    async def look_up(self, find: Callable[[sqlite3.Connection], T], then: Callable[[T], R], *, deadline_s: float) -> R:
        await trio.lowlevel.checkpoint()
        with translated("memory"):
            return then(self._read(find))

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("PRAGMA query_only = ON")
        try:
            return read_transaction(self._connection, work)
        finally:
            self._connection.execute("PRAGMA query_only = OFF")


class MemoryArea:
    """library.FileArea in a dictionary: path -> bytes; folders as None. `free` is what the pretended disk has left."""

    def __init__(self, free: int = 1 << 50) -> None:
        self.root = ROOT
        self.free = free
        self.entries: dict[str, bytearray | None] = {}
        self.finished: set[str] = set()

    def free_bytes(self) -> int:
        return self.free

    def exists(self, path: str) -> bool:
        return path in self.entries or any(entry.startswith(f"{path}/") for entry in self.entries)

    def size(self, path: str) -> int:
        content = self.entries.get(path)
        return -1 if content is None else len(content)

    def make_folder(self, path: str) -> None:
        self.entries.setdefault(path, None)

    def write(self, path: str, size: int, pieces: Iterable[tuple[int, bytes]], *, finished: bool = False) -> None:
        content = self.entries.get(path)
        if content is None or len(content) != size:
            content = self.entries[path] = bytearray(size)
        for offset, data in pieces:
            content[offset : offset + len(data)] = data
        if finished:
            self.finished.add(path)

    def sync(self, paths: Sequence[str]) -> None:
        pass

    def rename(self, old: str, new: str) -> None:
        moved = {p: new + p[len(old) :] for p in self.entries if p == old or p.startswith(f"{old}/")}
        if not moved:
            raise FileNotFoundError(errno.ENOENT, "no such file", old)
        for before, after in moved.items():
            self.entries[after] = self.entries.pop(before)

    def unlink(self, paths: Sequence[str]) -> None:
        folders = [path for path in paths if self.entries.pop(path, None) is None]
        for path in folders:
            below = [p for p in self.entries if p.startswith(f"{path}/")]
            if all(self.entries[p] is None for p in below):
                for folder in below:
                    del self.entries[folder]
            elif below:
                self.entries[path] = None

    def names(self) -> list[str]:
        return sorted({path.split("/")[0] for path in self.entries})

    def remove_tree(self, name: str) -> None:
        for path in [p for p in self.entries if p == name or p.startswith(f"{name}/")]:
            del self.entries[path]

    def read(self, place: Place) -> bytes:
        """The bytes at a place: here if the store owns them, else really from the disk."""
        if not place.owned:
            return read_place(place)
        content = self.entries.get(place.path.removeprefix(f"{ROOT}/"))
        if content is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", place.path)
        return bytes(content[place.offset : place.offset + min(place.length, MAX_BLOCK_BYTES)])


class MemoryStore(NodeStore):
    """The whole store in memory; needs no opening and no closing. `area` lets a test look at the files."""

    def __init__(
        self,
        clock: WallClock,
        *,
        quota_bytes: int = LIBRARY_QUOTA_BYTES,
        floor_bytes: int = 0,
        free_bytes: int = 1 << 50,
    ) -> None:
        self.area = MemoryArea(free_bytes)
        super().__init__(
            InlineEngine(),
            self.area,
            clock,
            quota_bytes=quota_bytes,
            floor_bytes=floor_bytes,
            read_from=self.area.read,
        )
