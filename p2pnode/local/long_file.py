"""Reading one long file: by ranges, several at a time, told as they come; and going on behind the leaves that are known.

A long file is told before it is read to its end, so that a stop costs moments and not hours; if it changes meanwhile it is withdrawn.
Called by local.tree.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait

from p2pnode.core.layout import Piece
from p2pnode.core.stamp import UNSETTLED, KnownFile
from p2pnode.core.unixfs import EMPTY_LEAF, Built, FileBuilder
from p2pnode.limits import LEAF_BYTES
from p2pnode.local.events import Began, Blocks, Event, Kept, Leaves, Memory, Withdrawn
from p2pnode.local.folder import Folder
from p2pnode.local.hashing import CHANGED, Hashers, LeftOut, hash_range, regular, stamp_of, unchanged

RANGE_BYTES = 4 * LEAF_BYTES
"""Bytes of a long file that make one job."""
JOBS_AHEAD = 2
"""Jobs that wait for each thread, so that it never waits for us."""
KNOWN_LEAVES = 4096
"""Leaves of a known file that are asked for at once."""
HANG_S = 5.0
"""How long jobs under way are waited for when a scan is given up; past it their files stay open: their disk does not answer."""

Advance = Callable[[int, int, str], None]
"""(bytes more, how many of them were known, path)."""


class LongFiles:
    """Reads long files of one scan, one after the other."""

    def __init__(self, hashers: Hashers, memory: Memory, clock_ns: Callable[[], int], advance: Advance) -> None:
        self._hashers, self._memory, self._clock_ns, self._advance = hashers, memory, clock_ns, advance
        self._bytes = self._known = 0
        self._hung = False

    def read(self, folder: Folder, name: str, path: str) -> Generator[Event, None, Built]:
        """The file as a tree. LeftOut or OSError if it cannot be part of a work; if it was told of, Withdrawn was told too."""
        descriptor = folder.open_file(name)
        self._hung = False
        try:
            built, blocks = (yield from self._read(descriptor, path)).finish()
        finally:
            if not self._hung:  # else a thread is in it, and the number must not be given to another file
                os.close(descriptor)
        yield Blocks(tuple(blocks))
        return built

    def _read(self, descriptor: int, path: str) -> Generator[Event, None, FileBuilder]:
        now_ns, before = self._clock_ns(), regular(descriptor)
        stamp = stamp_of(before)
        known = self._memory.files([path])[0]
        if known is not None and (known.stamp != stamp or known.stamp.inode == UNSETTLED):
            known = None
        if known is not None and known.base != self._memory.unfinished:
            builder = FileBuilder()
            if (yield from self._whole(known, builder, path)):
                return builder
            known = None
        builder = FileBuilder()
        yield Began(path, stamp if stamp.settled(now_ns) else stamp.unsettled(), known)
        self._bytes = self._known = 0
        try:
            start = 0 if known is None else (yield from self._continue(known, builder, path))
            if start < before.st_size or not builder.begun:
                yield from self._ranges(descriptor, before, start, builder, path)
            unchanged(descriptor, before, now_ns)
        except (LeftOut, OSError):
            self._advance(-self._bytes, -self._known, path)
            yield Withdrawn()
            raise
        return builder

    def _whole(self, known: KnownFile, builder: FileBuilder, path: str) -> Generator[Event, None, bool]:
        """Take over a file that is known whole. False if it is not whole after all (a leaf of it went bad)."""
        self._bytes = self._known = 0
        if (yield from self._continue(known, builder, path)) == known.stamp.size and builder.begun:
            yield Kept(((known.id, known.base),))
            return True
        self._advance(-self._bytes, -self._known, path)
        return False

    def _continue(self, known: KnownFile, builder: FileBuilder, path: str) -> Generator[Event, None, int]:
        """Take over the leaves that are known, gapless from the beginning. Where reading goes on."""
        offset = 0
        while leaves := self._memory.leaves(known.id, offset, KNOWN_LEAVES):
            for cid, start, length in leaves:
                if start != offset or length != min(LEAF_BYTES, known.stamp.size - start):
                    return offset
                if blocks := builder.add(cid, length):
                    yield Blocks(tuple(blocks))
                offset += length
                self._count(length, length, path)
            if offset == known.stamp.size:
                break
        return offset

    def _ranges(
        self, descriptor: int, before: os.stat_result, start: int, builder: FileBuilder, path: str
    ) -> Generator[Event, None, None]:
        if not before.st_size:
            builder.add(EMPTY_LEAF, 0)
            yield Leaves(((EMPTY_LEAF, 0, 0),))
            return
        size = before.st_size
        offsets = iter(range(start, size, RANGE_BYTES))
        ahead: deque[Future[list[Piece]]] = deque()

        def more() -> None:
            offset = next(offsets, None)
            if offset is not None:
                end = min(offset + RANGE_BYTES, size)
                ahead.append(self._hashers.submit(lambda buffer: hash_range(descriptor, offset, end, buffer)))

        try:
            for _ in range(JOBS_AHEAD * self._hashers.threads):
                more()
            while ahead:
                leaves = ahead.popleft().result()
                more()
                for cid, _, length in leaves:
                    if blocks := builder.add(cid, length):
                        yield Blocks(tuple(blocks))
                yield Leaves(tuple(leaves))
                self._count(sum(length for _, _, length in leaves), 0, path)
                if os.fstat(descriptor).st_mtime_ns != before.st_mtime_ns:
                    raise LeftOut(CHANGED)
        finally:
            self._hung = bool(wait([job for job in ahead if not job.cancel()], HANG_S).not_done)

    def _count(self, bytes: int, known: int, path: str) -> None:
        self._bytes += bytes
        self._known += known
        self._advance(bytes, known, path)
