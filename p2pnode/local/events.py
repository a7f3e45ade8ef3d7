"""What reading a published path tells, event by event, and what it may be told: files that were hashed before.

Types only. `local.tree` tells them, `services.publish_scan` puts them into the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.layout import Piece
from p2pnode.core.stamp import HashedFile, KnownFile, Stamp
from p2pnode.core.unixfs import Block
from p2pnode.local.walk import Skipped


@dataclass(frozen=True, slots=True)
class Files:
    """Files that were read, whole."""

    files: tuple[HashedFile, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """Files that were not read, because they were known: (row, base) of each."""

    files: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Began:
    """A long file follows: its Leaves, then perhaps Withdrawn. `known`: its row, of which the first leaves are hashed already."""

    path: str
    stamp: Stamp
    known: KnownFile | None = None


@dataclass(frozen=True, slots=True)
class Leaves:
    """Leaves of the long file that began last, in order: (cid, offset, length)."""

    leaves: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The long file that began last is not part of the content after all."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Interior blocks: (cid, bytes)."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Scanned:
    """The end: root CID, bytes of all files, number of files, and bytes that were known and not read."""

    root: Cid
    size: int
    files: int
    known: int = 0


Event = Files | Kept | Began | Leaves | Withdrawn | Blocks | Skipped | Scanned
Progress = Callable[[int, int, str], None]
"""(bytes done so far, files finished, relative path): called every few MiB and at least once a file. What it raises ends the scan, so
it is also the way to cancel."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What was hashed before: `files` finds some by their paths, `leaves` reads (at most so many) leaves of one from an offset on.

    `unfinished` is the base of which files may lack their last leaves: publishing was cut short there.
    """

    files: Callable[[Sequence[str]], Sequence[KnownFile | None]]
    leaves: Callable[[int, int, int], Sequence[Piece]]
    unfinished: int | None = None


NO_MEMORY = Memory(lambda paths: [None] * len(paths), lambda file, offset, limit: ())
