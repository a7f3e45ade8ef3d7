"""Reading files and hashing them on every core: whole small files by the dozen, long ones by ranges.

SHA-256 and reading release the interpreter's lock, so two threads hash twice as much; what Python does between them is kept small by
giving a thread many files at once. The threads are daemons: one that hangs on a dead mount must not keep the node from ending.
Never writes, never follows a link, never keeps a file open after its job. Called by local.tree and services.watching.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.layout import Piece
from p2pnode.core.stamp import Stamp
from p2pnode.limits import LEAF_BYTES
from p2pnode.local.folder import Folder, kind_in_words
from p2pnode.local.identity import is_key_file

T = TypeVar("T")
Job = Callable[[memoryview], T]
"""Work for one thread; it gets that thread's buffer of one leaf."""

MAX_THREADS = 4
"""Threads that hash: two saturate SHA-256 on two cores, and more than four wait for the disk anyway."""
KEY_FILE_HEAD_BYTES = 64
"""Enough of a file to see that it is a key."""

CHANGED = "it changed while it was being read"
SHORTER = "it became shorter while it was being read"


class LeftOut(Exception):
    """This entry cannot be part of the content; the words are the reason."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file that was read from its beginning to its end and did not change meanwhile. The stamp is of before."""

    stamp: Stamp
    leaves: tuple[Piece, ...]


class Hashers:
    """A few threads that work off jobs in the order they were given. Close it, or its threads wait for ever."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or min(MAX_THREADS, os.cpu_count() or 1)
        self._jobs: SimpleQueue[Callable[[memoryview], None] | None] = SimpleQueue()
        for _ in range(self.threads):
            threading.Thread(target=self._work, name="p2pnode hashing", daemon=True).start()

    def submit(self, job: Job[T]) -> Future[T]:
        """The job's result, later."""
        future: Future[T] = Future()

        def run(buffer: memoryview) -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job(buffer))
                except BaseException as error:
                    future.set_exception(error)

        self._jobs.put(run)
        return future

    def close(self) -> None:
        """End the threads once they are done with what they do; waits for nothing."""
        for _ in range(self.threads):
            self._jobs.put(None)

    def _work(self) -> None:
        buffer = memoryview(bytearray(LEAF_BYTES))
        while (run := self._jobs.get()) is not None:
            run(buffer)


def stamp_of(found: os.stat_result) -> Stamp:
    """What `core.stamp` compares."""
    return Stamp.of(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def hash_file(folder: Folder, name: str, buffer: memoryview, now_ns: int) -> Hashed:
    """Read one file once. OSError, or LeftOut with the reason, if it cannot be part of a work."""
    descriptor = folder.open_file(name)
    try:
        before = regular(descriptor)
        leaves: list[Piece] = []
        offset, size = 0, before.st_size
        while offset < size or not leaves:
            length = min(LEAF_BYTES, size - offset)
            leaves.append((_leaf(descriptor, offset, buffer[:length]), offset, length))
            offset += length
        return Hashed(unchanged(descriptor, before, now_ns), tuple(leaves))
    finally:
        os.close(descriptor)


def hash_range(descriptor: int, offset: int, end: int, buffer: memoryview) -> list[Piece]:
    """The leaves from `offset` (on a leaf's border) to `end` of an open file. OSError or LeftOut."""
    starts = range(offset, end, LEAF_BYTES)
    lengths = [min(LEAF_BYTES, end - start) for start in starts]
    return [
        (_leaf(descriptor, start, buffer[:length]), start, length)
        for start, length in zip(starts, lengths, strict=True)
    ]


def regular(descriptor: int) -> os.stat_result:
    """What is open is a regular file, and this is how it looks. LeftOut if something else took its place."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise LeftOut(kind_in_words(found.st_mode))
    return found


def unchanged(descriptor: int, before: os.stat_result, now_ns: int) -> Stamp:
    """The stamp to remember, after reading. LeftOut if the file changed meanwhile; `now_ns` is from before it was read."""
    after = os.fstat(descriptor)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise LeftOut(CHANGED)
    stamp = stamp_of(before)
    believed = stamp.settled(now_ns) and after.st_ctime_ns == before.st_ctime_ns
    return stamp if believed else stamp.unsettled()


def _leaf(descriptor: int, offset: int, part: memoryview) -> Cid:
    if len(part):
        _fill(descriptor, offset, part)
        if not offset and is_key_file(bytes(part[:KEY_FILE_HEAD_BYTES])):
            raise LeftOut("it is a secret key of p2pnode")
    return Cid.v1(RAW, hashlib.sha256(part).digest())


def _fill(descriptor: int, offset: int, part: memoryview) -> None:
    """Exactly that part of the file: a short read is not yet an end, but an end is a change."""
    filled = 0
    while filled < len(part):
        got = read_at(descriptor, offset + filled, part[filled:])
        if not got:
            raise LeftOut(SHORTER)
        filled += got


if hasattr(os, "preadv"):

    def read_at(descriptor: int, offset: int, part: memoryview) -> int:
        """Bytes read into `part`, 0 at the end."""
        return os.preadv(descriptor, [part], offset)

else:  # Windows: one position a descriptor, so one reader at a time
    _position = threading.Lock()

    def read_at(descriptor: int, offset: int, part: memoryview) -> int:
        """Bytes read into `part`, 0 at the end."""
        with _position:
            os.lseek(descriptor, offset, os.SEEK_SET)
            data = os.read(descriptor, len(part))
        part[: len(data)] = data
        return len(data)


def reason(error: Exception) -> str:
    """Why an entry is left out, in words."""
    return f"it cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


Outcome = Hashed | str
"""A file that was read, or why it is left out."""


def hash_files(files: Sequence[tuple[Folder, str]], buffer: memoryview, now_ns: Callable[[], int]) -> list[Outcome]:
    """Many small files, one after the other; what is wrong with one costs only that one."""
    outcomes: list[Outcome] = []
    for folder, name in files:
        try:
            outcomes.append(hash_file(folder, name, buffer, now_ns()))
        except (LeftOut, OSError) as error:
            outcomes.append(reason(error))
    return outcomes
