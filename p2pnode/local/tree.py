"""Reading a path that is published: every byte once, hashed on all cores, and told as events; nothing is stored or changed here.

Regular files are read where they lie, symlinks are recorded and never followed, everything else is left out and listed with the
reason (local.walk). A file that was hashed before and looks the same (core.stamp) is not read again. Hidden files are files like
any other; times and permissions are not part of the profile. The order of names, not of time, decides the content.
Blocking: call it in a worker thread. Used by the publish service and by `p2pnode cid`.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from p2pnode.core.cid import Cid
from p2pnode.core.layout import Piece
from p2pnode.core.stamp import UNSETTLED, HashedFile, KnownFile
from p2pnode.core.unixfs import Built, FileBuilder, build_folder, build_symlink
from p2pnode.errors import ChangedError, UsageError
from p2pnode.limits import LEAF_BYTES, MIB
from p2pnode.local.events import (
    NO_MEMORY,
    Blocks,
    Event,
    Files,
    Kept,
    Memory,
    Progress,
    Scanned,
)
from p2pnode.local.folder import Folder, kind_in_words
from p2pnode.local.hashing import (
    CHANGED,
    SHORTER,
    Hashed,
    Hashers,
    LeftOut,
    Outcome,
    hash_files,
    reason,
    stamp_of,
)
from p2pnode.local.long_file import HANG_S, JOBS_AHEAD, KNOWN_LEAVES, LongFiles
from p2pnode.local.walk import Ended, Found, Item, Level, Link, Skipped, refuse_home, walk

LONG_BYTES = 8 * MIB
"""A file over this is read by ranges, several at a time; a smaller one by one thread, with others."""
CHUNK_ITEMS, CHUNK_BYTES, CHUNK_FOLDERS = 128, LONG_BYTES, 16
"""Entries, bytes of file and finished folders (each an open descriptor) that make one job for a thread."""


@dataclass(slots=True)
class _Chunk:
    """Some entries in their order. `outcomes` are for those files that are not `known`, in the same order."""

    items: list[Item] = field(default_factory=list)
    bytes: int = 0
    folders: int = 0
    known: dict[str, tuple[KnownFile, tuple[Piece, ...]]] = field(default_factory=dict)
    outcomes: Future[list[Outcome]] | None = None

    def add(self, item: Item) -> bool:
        """Whether it is full now."""
        self.items.append(item)
        if isinstance(item, Found):
            self.bytes += item.stat.st_size
        elif isinstance(item, Ended):
            self.folders += 1
        return len(self.items) >= CHUNK_ITEMS or self.bytes >= CHUNK_BYTES or self.folders >= CHUNK_FOLDERS


def scan(
    path: str,
    on_progress: Progress | None = None,
    *,
    memory: Memory = NO_MEMORY,
    clock_ns: Callable[[], int] = time.time_ns,
) -> Iterator[Event]:
    """Events of a file or folder, ending with Scanned. UsageError if it is neither, ChangedError if it is a file that changes.

    A file in a folder that changes while it is read is Skipped (after Withdrawn, if it is a long one). Closing the iterator
    closes all files.
    """
    return _Scan(os.path.abspath(path), on_progress or (lambda *_: None), memory, clock_ns).run()


def root_cid(path: str, on_skip: Callable[[Skipped], None] | None = None, on_progress: Progress | None = None) -> Cid:
    """The root CID that publishing the path would give. Stores nothing."""
    for event in scan(path, on_progress):
        if isinstance(event, Skipped) and on_skip:
            on_skip(event)
        if isinstance(event, Scanned):
            return event.root
    raise AssertionError("a scan ends with Scanned")


def measure(path: str, give_up: Callable[[], bool] = lambda: False) -> tuple[int, int]:
    """(bytes, files) under a path by a quick look at sizes only: the total of a progress bar, not a promise."""
    if not os.path.isdir(path):
        return (os.stat(path).st_size, 1) if os.path.isfile(path) else (0, 0)
    size = files = 0
    todo = [path]
    while todo and not give_up():
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
                        files += 1
        except OSError:
            continue  # the scan itself will list it
    return size, files


class _Scan:
    """One reading. Everything that is not hashing happens on the caller's thread."""

    def __init__(self, path: str, on_progress: Progress, memory: Memory, clock_ns: Callable[[], int]) -> None:
        self._path, self._on_progress, self._memory, self._clock_ns = path, on_progress, memory, clock_ns
        self._bytes = self._size = self._files = self._known = 0
        self._hashers: Hashers
        self._long: LongFiles
        self._ended: set[Level] = set()  # folders that were walked and are still read in

    def run(self) -> Generator[Event, None, None]:
        self._hashers = Hashers()  # now, not before: an iterator that nobody begins must not leave threads behind
        self._long = LongFiles(self._hashers, self._memory, self._clock_ns, self._advance)
        try:
            mode = os.lstat(self._path).st_mode
            if stat.S_ISLNK(mode):
                pointed = os.path.realpath(self._path)
                raise UsageError(f"{self._path} is a symbolic link", hint=f"publish what it points to: {pointed}")
            if stat.S_ISDIR(mode):
                root = yield from self._tree(Folder.open(self._path))
            elif stat.S_ISREG(mode):
                root = yield from self._single()
            else:
                raise LeftOut(kind_in_words(mode))
        except (LeftOut, OSError) as error:
            words = f"{self._path} cannot be published: {reason(error)}"
            if str(error) in (CHANGED, SHORTER):
                raise ChangedError(words, hint="publish again when nothing writes to it") from error
            raise UsageError(words) from error
        finally:
            self._hashers.close()
        yield Scanned(root.cid, self._size, self._files, self._known)

    # ------------------------------------------------------------ a folder

    def _tree(self, top: Folder) -> Generator[Event, None, Built]:
        walking = walk(top)
        ahead: deque[_Chunk] = deque()
        chunk = _Chunk()
        root = None
        try:
            for item in walking:
                if isinstance(item, Ended):
                    self._ended.add(item.level)
                if isinstance(item, Found) and item.stat.st_size > LONG_BYTES:
                    yield from self._long_in_folder(item)
                elif chunk.add(item):
                    ahead.append(self._begin(chunk))
                    chunk = _Chunk()
                    if len(ahead) > JOBS_AHEAD * self._hashers.threads:
                        yield from self._finish(ahead.popleft())
            ahead.append(self._begin(chunk))
            while ahead:
                root = yield from self._finish(ahead.popleft())
        finally:
            self._leave(ahead, walking)
        assert root is not None, "the walk ends with its top"
        return root

    def _leave(self, ahead: deque[_Chunk], walking: Generator[Item, None, None]) -> None:
        """Close what is open, but only what no thread may be reading in."""
        jobs = [chunk.outcomes for chunk in ahead if chunk.outcomes is not None and not chunk.outcomes.cancel()]
        if not wait(jobs, HANG_S).not_done:
            walking.close()
            for level in self._ended:
                level.folder.close()

    def _begin(self, chunk: _Chunk) -> _Chunk:
        found = [item for item in chunk.items if isinstance(item, Found)]
        if self._memory is not NO_MEMORY and found:
            for item, known in zip(found, self._memory.files([item.path for item in found]), strict=True):
                if known is not None and (leaves := self._recall(item, known)) is not None:
                    chunk.known[item.path] = known, leaves
        unread = [(item.level.folder, os.fsdecode(item.name)) for item in found if item.path not in chunk.known]
        if unread:
            clock_ns = self._clock_ns
            chunk.outcomes = self._hashers.submit(lambda buffer: hash_files(unread, buffer, clock_ns))
        return chunk

    def _recall(self, item: Found, known: KnownFile) -> tuple[Piece, ...] | None:
        """Its leaves, if it looks as it did when it was read and all of them are known."""
        size = item.stat.st_size
        if known.stamp.inode == UNSETTLED or stamp_of(item.stat) != known.stamp:
            return None
        if size <= LEAF_BYTES:
            leaves: tuple[Piece, ...] = () if known.first is None else (known.first,)
        else:
            leaves = tuple(self._memory.leaves(known.id, 0, KNOWN_LEAVES))
        return leaves if leaves and sum(length for _, _, length in leaves) == size else None

    def _finish(self, chunk: _Chunk) -> Generator[Event, None, Built | None]:
        """Tell of a chunk. The tree's root, if its top has ended here."""
        outcomes = iter(chunk.outcomes.result() if chunk.outcomes is not None else ())
        files: list[HashedFile] = []
        kept: list[tuple[int, int]] = []
        root = None
        for item in chunk.items:
            if isinstance(item, Found):
                if (held := chunk.known.get(item.path)) is not None:
                    kept.append((held[0].id, held[0].base))
                    yield from self._add(item, held[1])
                    self._known += item.stat.st_size
                elif isinstance(outcome := next(outcomes), Hashed):
                    files.append(HashedFile(item.path, outcome.stamp, outcome.leaves))
                    yield from self._add(item, outcome.leaves)
                else:
                    yield Skipped(item.path, outcome)
            elif isinstance(item, Ended):
                root = yield from self._end(item)
            elif isinstance(item, Link):
                built, blocks = build_symlink(item.target)
                item.level.entries.append((item.name, built))
                yield Blocks(tuple(blocks))
            else:
                yield item
        if files:
            yield Files(tuple(files))
        if kept:
            yield Kept(tuple(kept))
        return root

    def _add(self, item: Found, leaves: tuple[Piece, ...]) -> Generator[Event, None, None]:
        """A file of known leaves becomes an entry of its folder."""
        if len(leaves) == 1:
            cid, _, length = leaves[0]
            built = Built(cid, length, length)
        else:
            builder = FileBuilder()
            for cid, _, length in leaves:
                builder.add(cid, length)
            built, blocks = builder.finish()
            yield Blocks(tuple(blocks))
        item.level.entries.append((item.name, built))
        self._bytes += built.size
        self._count(built, item.path)

    def _end(self, item: Ended) -> Generator[Event, None, Built | None]:
        level = item.level
        self._ended.remove(level)
        level.folder.close()
        built, blocks = build_folder(level.entries)
        yield Blocks(tuple(blocks))
        if level.parent is None:
            return built
        level.parent.entries.append((level.name, built))
        return None

    def _advance(self, bytes: int, known: int, path: str) -> None:
        self._bytes += bytes
        self._known += known
        self._on_progress(self._bytes, self._files, path)

    def _count(self, built: Built, path: str) -> None:
        self._size += built.size
        self._files += 1
        self._on_progress(self._bytes, self._files, path)

    # ------------------------------------------------------------ a long file

    def _single(self) -> Generator[Event, None, Built]:
        """The path is one file, of any size."""
        parent, name = os.path.split(self._path)
        folder = Folder.open(os.path.realpath(parent))
        try:
            refuse_home(folder)
            built = yield from self._long.read(folder, name, "")
        finally:
            folder.close()
        self._count(built, "")
        return built

    def _long_in_folder(self, item: Found) -> Generator[Event, None, None]:
        try:
            built = yield from self._long.read(item.level.folder, os.fsdecode(item.name), item.path)
        except (LeftOut, OSError) as error:
            yield Skipped(item.path, reason(error))
        else:
            item.level.entries.append((item.name, built))
            self._count(built, item.path)
