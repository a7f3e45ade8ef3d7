"""Telling from the outside whether a file still is what was read: a stamp, and when a stamp may be believed.

Pure. A stamp that is equal means "the same bytes" only if the file was at rest when it was read: clocks of file systems tick coarsely, so
a change within the tick of the last one leaves the stamp as it was. That is git's "racily clean" entry, and the answer is the
same: what was young when it was read is read again. Called by local.tree (which stamps) and services.publishing (which believes).
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pnode.core.layout import Piece

TICK_NS = 2_000_000_000
"""Two seconds in nanoseconds: the coarsest clock of a file system in use (FAT); all others tick within a hundredth of a second."""
UNSETTLED = 0
"""The inode that is stored for a file that was too young to believe its stamp: it equals no real one's."""
_INODE_BITS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size in bytes, times in nanoseconds since 1970, inode number. `ctime_ns` changes with every write and cannot be set by hand."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, size: int, mtime_ns: int, ctime_ns: int, inode: int) -> Stamp:
        """From what the system says; inode numbers of 64 bits are folded into what a database column holds."""
        return cls(size, mtime_ns, ctime_ns, inode & _INODE_BITS)

    def settled(self, now_ns: int) -> bool:
        """Whether any later write must change the stamp: at `now_ns`, before reading, the last change was over a tick ago.

        A change in the future (a clock that was set back) is never settled.
        """
        return self.inode != UNSETTLED and max(self.mtime_ns, self.ctime_ns) < now_ns - TICK_NS

    def unsettled(self) -> Stamp:
        """The same, marked so that it is never equal to what a file shows later."""
        return Stamp(self.size, self.mtime_ns, self.ctime_ns, UNSETTLED)


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file whose leaves are known: its path relative to what is published ("" = it is that), its stamp before it was read."""

    path: str
    stamp: Stamp
    leaves: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that was hashed before, as the store has it: row, the base it lies under, its stamp then, and its first leaf."""

    id: int
    base: int
    stamp: Stamp
    first: Piece | None
