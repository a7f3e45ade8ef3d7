"""Walking a path to be published: every byte read once, hashed, and told as events; nothing is stored or changed here.

Regular files are read where they lie, symlinks are recorded and never followed, everything else (sockets, devices, pipes,
unreadable entries, names that are not UTF-8, secret keys and homes of p2pnode itself) is left out and listed with the reason.
Hidden files are files like any other; times and permissions are not part of the profile. The order is fixed: names sorted by
bytes, depth first.
Blocking: call it in a worker thread. Used by the publish service and by `p2pnode cid`.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.layout import Piece
from p2pnode.core.unixfs import Block, Built, FileBuilder, build_folder, build_symlink
from p2pnode.errors import ChangedError, UsageError
from p2pnode.limits import LEAF_BYTES
from p2pnode.local.folder import Folder, kind_in_words
from p2pnode.local.identity import is_key_file

MAX_FOLDER_DEPTH = 56
"""Folders in one another: readers refuse trees of over 64 levels, of which a file may need four."""
HELD_LEAVES = 1024
"""Leaves (1 GiB) of a file that are held back until it proved unchanged; a longer file is told as it is read."""

HOME_MARK = "identity.key"
"""A folder that holds this file, if it is a key, is a node's home."""
KEY_FILE_HEAD_BYTES = 64
"""Enough of a file to see that it is a key."""


@dataclass(frozen=True, slots=True)
class File:
    """A file follows. `path` is relative with slashes, "" when the published path is the file."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Leaves:
    """Leaves of the file told last, in order: (cid, offset, length)."""

    leaves: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Interior blocks: (cid, bytes)."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that is not part of the content, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """The end: root CID, bytes of all files, number of files."""

    root: Cid
    size: int
    files: int


Event = File | Leaves | Blocks | Skipped | Scanned
Progress = Callable[[int, int, str], None]
"""(bytes read so far, files finished, relative path being read): called at least once a MiB and once an entry. What it raises ends
the scan, so it is also the way to cancel: `trio.from_thread.check_cancelled()` fits."""


class _LeftOut(Exception):
    """This entry cannot be part of the content; the words are the reason."""


@dataclass(slots=True)
class _Level:
    """A folder that is being walked."""

    folder: Folder
    name: bytes
    path: str
    names: Iterator[bytes]
    entries: list[tuple[bytes, Built]] = field(default_factory=list)


def scan(path: str, on_progress: Progress | None = None) -> Iterator[Event]:
    """Events of a file or folder, ending with Scanned. UsageError if it is neither; ChangedError if a file of over 1 GiB changes.

    A smaller file that changes while it is read is Skipped; no event told of it before. Closing the iterator closes all files.
    """
    return _Scan(os.path.abspath(path), on_progress or (lambda *_: None)).run()


def root_cid(path: str, on_skip: Callable[[Skipped], None] | None = None, on_progress: Progress | None = None) -> Cid:
    """The root CID that publishing the path would give. Stores nothing."""
    for event in scan(path, on_progress):
        if isinstance(event, Skipped) and on_skip:
            on_skip(event)
        if isinstance(event, Scanned):
            return event.root
    raise AssertionError("a scan ends with Scanned")


def measure(path: str) -> tuple[int, int]:
    """(bytes, files) under a path by a quick look at sizes only: the total of a progress bar, not a promise."""
    if not os.path.isdir(path):
        return (os.stat(path).st_size, 1) if os.path.isfile(path) else (0, 0)
    size = files = 0
    todo = [path]
    while todo:
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
    def __init__(self, path: str, on_progress: Progress) -> None:
        self._path = path
        self._on_progress = on_progress
        self._buffer = memoryview(bytearray(LEAF_BYTES))
        self._bytes = self._size = self._files = 0

    def run(self) -> Generator[Event, None, None]:
        parent, name = os.path.split(self._path)
        try:
            mode = os.lstat(self._path).st_mode
        except OSError as error:
            raise UsageError(f"{self._path} cannot be read: {error.strerror}") from error
        if stat.S_ISLNK(mode):
            raise UsageError(
                f"{self._path} is a symbolic link", hint=f"publish what it points to: {os.path.realpath(self._path)}"
            )
        try:
            if stat.S_ISDIR(mode):
                root = yield from self._tree(Folder.open(self._path))
            elif not stat.S_ISREG(mode):
                raise _LeftOut(kind_in_words(mode))
            else:
                folder = Folder.open(os.path.realpath(parent))
                try:
                    _refuse_home(folder)
                    root = yield from self._file(folder, name, "")
                finally:
                    folder.close()
        except (_LeftOut, OSError) as error:
            raise UsageError(f"{self._path} cannot be published: {_reason(error)}") from error
        yield Scanned(root.cid, self._size, self._files)

    def _tree(self, top: Folder) -> Generator[Event, None, Built]:
        """Depth first, without recursion: a level is finished when its names are used up."""
        levels: list[_Level] = []
        try:
            _refuse_home(top)
            levels.append(_Level(top, b"", "", iter(top.names())))
            while True:
                level = levels[-1]
                name = next(level.names, None)
                if name is not None:
                    yield from self._entry(levels, level, name)
                    continue
                built, blocks = build_folder(level.entries)
                yield Blocks(tuple(blocks))
                levels.pop().folder.close()
                if not levels:
                    return built
                levels[-1].entries.append((level.name, built))
        finally:
            for level in levels:
                level.folder.close()

    def _entry(self, levels: list[_Level], level: _Level, name: bytes) -> Generator[Event, None, None]:
        text = os.fsdecode(name)
        shown = name.decode("utf-8", "replace")
        path = f"{level.path}/{shown}" if level.path else shown
        self._on_progress(self._bytes, self._files, path)
        try:
            if text != shown:
                raise _LeftOut("its name is not UTF-8, which a folder of IPFS cannot hold: rename it")
            mode = level.folder.stat(text).st_mode
            if stat.S_ISDIR(mode):
                if len(levels) >= MAX_FOLDER_DEPTH:
                    raise _LeftOut(f"it lies deeper than {MAX_FOLDER_DEPTH} folders")
                folder = Folder.open(text, level.folder)
                try:
                    _refuse_home(folder)
                    levels.append(_Level(folder, name, path, iter(folder.names())))
                except (_LeftOut, OSError):
                    folder.close()
                    raise
            elif stat.S_ISLNK(mode):
                built, blocks = build_symlink(level.folder.readlink(text))
                level.entries.append((name, built))
                yield Blocks(tuple(blocks))
            elif not stat.S_ISREG(mode):  # before opening: to open a device can do things
                raise _LeftOut(kind_in_words(mode))
            else:
                level.entries.append((name, (yield from self._file(level.folder, text, path))))
        except (_LeftOut, OSError) as error:
            yield Skipped(path, _reason(error))

    def _file(self, folder: Folder, name: str, path: str) -> Generator[Event, None, Built]:
        """Read one file once. Raises _LeftOut or OSError only while no event told of it."""
        with io.FileIO(folder.open_file(name)) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise _LeftOut(kind_in_words(before.st_mode))
            told = File(path, before.st_size, before.st_mtime_ns)
            if before.st_size <= HELD_LEAVES * LEAF_BYTES:
                events: list[Event] = [told]
                built = _collect(self._read(file, before, path), events)
                yield from events
            else:
                yield told
                try:
                    built = yield from self._read(file, before, path)
                except (_LeftOut, OSError) as error:
                    raise ChangedError(
                        f"{path or name} could not be read to its end: {_reason(error)}",
                        hint="publish again when nothing writes to it",
                    ) from error
        self._size += built.size
        self._files += 1
        return built

    def _read(self, file: io.FileIO, before: os.stat_result, path: str) -> Generator[Event, None, Built]:
        builder = FileBuilder()
        leaves: list[Piece] = []
        offset = 0
        while offset < before.st_size or not before.st_size:
            length = self._fill(file, min(LEAF_BYTES, before.st_size - offset))
            if not offset and is_key_file(bytes(self._buffer[: min(length, KEY_FILE_HEAD_BYTES)])):
                raise _LeftOut("it is a secret key of p2pnode")
            cid = Cid.v1(RAW, hashlib.sha256(self._buffer[:length]).digest())
            leaves.append((cid, offset, length))
            offset += length
            self._bytes += length
            self._on_progress(self._bytes, self._files, path)
            blocks = builder.add(cid, length)
            if blocks:
                yield Leaves(tuple(leaves))
                yield Blocks(tuple(blocks))
                leaves.clear()
            if not before.st_size:
                break
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise _LeftOut("it changed while it was being read")
        built, blocks = builder.finish()
        if leaves:
            yield Leaves(tuple(leaves))
        if blocks:
            yield Blocks(tuple(blocks))
        return built

    def _fill(self, file: io.FileIO, count: int) -> int:
        """Exactly `count` bytes into the buffer: a short read is not yet an end, but an end is a change."""
        filled = 0
        while filled < count:
            got = file.readinto(self._buffer[filled:count])
            if not got:
                raise _LeftOut("it became shorter while it was being read")
            filled += got
        return filled


def _refuse_home(folder: Folder) -> None:
    """A node's folder holds its keys, and which of its names are one person: whoever publishes it means something else.

    Its library, being a folder of its own, may be published.
    """
    try:
        with io.FileIO(folder.open_file(HOME_MARK)) as file:
            if is_key_file(file.read(KEY_FILE_HEAD_BYTES) or b""):
                raise _LeftOut("it is the folder of a p2pnode node, with its secret keys")
    except OSError:
        return  # no such file, or one that nobody here can read, and so nobody can publish


def _collect(events: Generator[Event, None, Built], into: list[Event]) -> Built:
    while True:
        try:
            into.append(next(events))
        except StopIteration as stop:
            built: Built = stop.value
            return built


def _reason(error: Exception) -> str:
    return f"it cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
