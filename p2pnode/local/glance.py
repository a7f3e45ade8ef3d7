"""Looking at a published path without reading it: has anything changed, and what.

A glance costs a look at every entry (about ten microseconds each) and opens no file. Only files that look different, or were too young
when they were read, are read to see whether they are different: a changed owner or a copied-back file is no new revision.
Blocking: call it in a worker thread. Called by services.watching.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from p2pnode.core.layout import Piece
from p2pnode.core.stamp import UNSETTLED, KnownFile, Stamp
from p2pnode.errors import ChangedError
from p2pnode.limits import GIB, LEAF_BYTES
from p2pnode.local.folder import Folder
from p2pnode.local.hashing import LeftOut, hash_file, stamp_of
from p2pnode.local.walk import Ended, Found, Link, Skipped, walk

BATCH_FILES = 256
"""Files that are looked up at once."""
READ_BYTES = GIB
"""Bytes read in one comparison to see whether a file that looks different is different; past it, it counts as changed."""
NAMES_TOLD = 20
"""Names of new and changed files in an offer."""


@dataclass(slots=True)
class Differences:
    """What is not as it was published. `removed` and `others` (links, folders, what is left out) have no names."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    bytes: int = 0
    names: list[str] = field(default_factory=list)
    same: int = 0
    settled: list[tuple[int, Stamp]] = field(default_factory=list)
    """Rows of files that were read again and are as they were, with what they look like now."""

    @property
    def any(self) -> bool:
        """Whether a file is new, changed or gone."""
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True)
class _File:
    folder: Folder
    name: str
    path: str
    stat: os.stat_result


def glance(path: str) -> bytes:
    """A digest that changes when anything under the path looks different. ChangedError if it is not there or cannot be looked at."""
    digest = hashlib.sha256()
    for item in _entries(path):
        if isinstance(item, _File):
            s = item.stat
            digest.update(f"f{item.path}\0{s.st_size},{s.st_mtime_ns},{s.st_ctime_ns},{s.st_ino}\0".encode())
        else:
            digest.update(repr(item).encode())
    return digest.digest()


def compare(
    path: str,
    known: Callable[[Sequence[str]], Sequence[KnownFile | None]],
    leaves: Callable[[int], Sequence[Piece]],
    count: int,
    now_ns: int,
) -> Differences:
    """Files under the path against the `count` ones that were published: `known` finds them, `leaves` are all of one's."""
    found = Differences()
    buffer = memoryview(bytearray(LEAF_BYTES))
    batch: list[_File] = []
    budget = READ_BYTES

    def settle() -> None:
        nonlocal budget
        for file, held in zip(batch, known([file.path for file in batch]), strict=True):
            if held is None:
                found.added += 1
            elif stamp_of(file.stat) == held.stamp and held.stamp.inode != UNSETTLED:
                found.same += 1
                continue
            elif file.stat.st_size == held.stamp.size <= budget:
                budget -= file.stat.st_size
                if (now := _as_it_was(file, held, leaves, buffer, now_ns)) is not None:
                    found.same += 1
                    found.settled.append((held.id, now))
                    continue
                found.changed += 1
            else:
                found.changed += 1
            found.bytes += file.stat.st_size
            if len(found.names) < NAMES_TOLD:
                found.names.append(file.path)
        batch.clear()

    for item in _entries(path):
        if isinstance(item, _File):
            batch.append(item)
        if len(batch) >= BATCH_FILES or (batch and item is None):
            settle()
    found.removed = count - found.same - found.changed
    return found


def _as_it_was(
    file: _File, held: KnownFile, leaves: Callable[[int], Sequence[Piece]], buffer: memoryview, now_ns: int
) -> Stamp | None:
    """How it looks now, if its bytes are those that were published."""
    try:
        hashed = hash_file(file.folder, file.name, buffer, now_ns)
    except (LeftOut, OSError):
        return None
    return hashed.stamp if tuple(leaves(held.id)) == hashed.leaves else None


def _entries(path: str) -> Generator[_File | tuple[str, ...] | None, None, None]:
    """Every entry in the walk's order; None before folders of files that were told are closed, and at the end."""
    try:
        mode = os.lstat(path)
        if stat.S_ISREG(mode.st_mode):
            parent, name = os.path.split(path)
            folder = Folder.open(os.path.realpath(parent))
            try:
                yield _File(folder, name, "", mode)
                yield None
            finally:
                folder.close()
            return
        walking = walk(Folder.open(path))
    except OSError as error:
        raise ChangedError(f"{path}: {error.strerror}", hint="it is looked for again by itself") from error
    try:
        for item in walking:
            if isinstance(item, Found):
                yield _File(item.level.folder, os.fsdecode(item.name), item.path, item.stat)
            elif isinstance(item, Ended):
                yield None
                item.level.folder.close()
                yield ("folder", item.level.path)
            elif isinstance(item, Link):
                yield ("link", item.level.path, os.fsdecode(item.name), os.fsdecode(item.target))
            elif isinstance(item, Skipped):
                yield ("left out", item.path, item.reason)
    except (LeftOut, OSError) as error:
        raise ChangedError(f"{path}: {error}", hint="it is looked for again by itself") from error
    finally:
        walking.close()
