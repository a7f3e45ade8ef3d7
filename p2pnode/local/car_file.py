"""Reading a CAR file of anybody's: its sections are counted and noted in one pass, and any block can then be read by its CID.

Memory is bounded whatever the file holds: sixteen bytes a section. A file that is cut short or damaged somewhere is readable up to there,
and says what is wrong in `damage`. Blocks are *not* hashed here: whoever uses one does. Blocking; called in worker threads by
services.car_import and services.bundle_import.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from types import TracebackType

from p2pnode.core.car import (
    HEADER_V2_BYTES,
    MAX_HEADER_BYTES,
    MAX_SECTION_HEAD_BYTES,
    PRAGMA_V2,
    decode_header,
    decode_header_v2,
    decode_section,
)
from p2pnode.core.car_index import CarIndex
from p2pnode.core.cid import Cid
from p2pnode.errors import DecodeError, RefusedError, StoreError, UsageError
from p2pnode.limits import KIB

MAX_SECTIONS = 1 << 22
"""Sections of one file: four million leaves of 1 MiB are 4 TiB; noting that many takes 64 MiB of memory."""
SCAN_BYTES = 256 * KIB
"""Bytes read at a time while sections are counted: many small ones come in one read; of larger ones only heads are read."""
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class CarFile:
    """An open archive; a context manager. `roots` are known at once, sections after `scan`."""

    def __init__(self, path: str) -> None:
        """UsageError: no such file, or no regular one; DecodeError: it is no CAR; StoreError: it cannot be read."""
        self.path = path
        try:
            self._file = os.open(path, _OPEN)
        except FileNotFoundError as error:
            raise UsageError(f"there is nothing at {path}") from error
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from error
        try:
            found = os.fstat(self._file)
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"{path} is no file", hint="a CAR file is read twice, so it cannot be a pipe")
            self.size = found.st_size
            self.damage: str | None = None
            self._index = CarIndex()
            self._begin()
        except BaseException:
            os.close(self._file)
            raise

    def _begin(self) -> None:
        base, end = 0, self.size
        head = self._read(0, len(PRAGMA_V2) + HEADER_V2_BYTES)
        if head.startswith(PRAGMA_V2):
            base, size = decode_header_v2(head[len(PRAGMA_V2) :])
            end = base + size
        try:
            header, length = decode_header(self._read(base, MAX_HEADER_BYTES + 9))
        except DecodeError as error:
            raise DecodeError(f"{self.path} is no CAR file: {error.message}") from error
        self.roots = header.roots
        self._start, self._end = base + length, min(end, self.size)
        if end > self.size:
            self.damage = f"it ends after {self.size} bytes, although it says that it has {end}"

    def __enter__(self) -> CarFile:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        os.close(self._file)

    def __len__(self) -> int:
        """Sections, as far as they were scanned."""
        return len(self._index)

    def scan(self, on_progress: Callable[[int], None] = lambda at: None) -> None:
        """Note every section; `on_progress` gets the offset now and then and may raise. RefusedError if there are too many.

        What is no section ends the scan and is told in `damage`.
        """
        at, window, window_at = self._start, b"", self._start
        while at < self._end:
            if at + MAX_SECTION_HEAD_BYTES > window_at + len(window) and window_at + len(window) < self._end:
                on_progress(at)
                window, window_at = self._read(at, min(SCAN_BYTES, self._end - at)), at
            try:
                section = decode_section(window[at - window_at : at - window_at + MAX_SECTION_HEAD_BYTES])
                if at + section.end > self._end:
                    raise DecodeError(f"the block of {section.cid} is cut short")
            except DecodeError as error:
                self.damage = self.damage or f"at byte {at}: {error.message}"
                return
            if len(self._index) >= MAX_SECTIONS:
                raise RefusedError(f"{self.path} has more than {MAX_SECTIONS} sections")
            self._index.add(section.cid, at)
            at += section.end

    def block(self, cid: Cid) -> bytes | None:
        """The bytes that stand under this CID, unverified; None if there are none. StoreError if the file cannot be read."""
        for offset in self._index.offsets(cid):
            section = decode_section(self._read(offset, MAX_SECTION_HEAD_BYTES))
            if section.cid == cid:
                block = self._read(offset + section.start, section.length)
                if len(block) != section.length:
                    raise StoreError(f"{self.path} became shorter while it was read")
                return block
        return None

    def _read(self, at: int, count: int) -> bytes:
        """Fewer bytes only at the end of the file."""
        data = b""
        try:
            os.lseek(self._file, at, os.SEEK_SET)  # the descriptor is ours alone; pread does not exist everywhere
            while len(data) < count and (more := os.read(self._file, count - len(data))):
                data += more
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error
        return data
