"""Walking a folder that is to be published: what lies in it, in a fixed order, and what is left out of it and why.

Names sorted by bytes, depth first. Opens folders, never files that it finds; never follows a link. What cannot be part of a work
(sockets, devices, pipes, names that are not UTF-8, homes of p2pnode, folders too deep or met again) is told with the
reason. Who consumes the walk closes each folder when it is `Ended`. Called by local.tree and services.watching.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from p2pnode.core.unixfs import Built
from p2pnode.local.folder import Folder, kind_in_words
from p2pnode.local.hashing import KEY_FILE_HEAD_BYTES, LeftOut, reason
from p2pnode.local.identity import is_key_file

MAX_FOLDER_DEPTH = 56
"""Folders in one another: readers refuse trees of over 64 levels, of which a file may need four."""
MAX_PATH_BYTES = 4095
"""Bytes of an absolute path that the system opens: what lies deeper could be published, but never be served."""

HOME_MARK = "identity.key"
"""A folder that holds this file, if it is a key, is a node's home."""


@dataclass(slots=True, eq=False)
class Level:
    """A folder that is being walked; `entries` are for who builds it."""

    folder: Folder
    name: bytes
    path: str
    names: Iterator[bytes]
    parent: Level | None
    mark: tuple[int, int]
    entries: list[tuple[bytes, Built]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file, as it looked without being opened."""

    level: Level
    name: bytes
    path: str
    stat: os.stat_result


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link and its target, which nobody looked at."""

    level: Level
    name: bytes
    target: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """Everything in this folder was told."""

    level: Level


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that is not part of the content, and why."""

    path: str
    reason: str


Item = Found | Link | Ended | Skipped


def walk(top: Folder) -> Generator[Item, None, None]:
    """Every entry below `top`, which is Ended last. LeftOut or OSError if `top` itself cannot be walked; closing closes what is open."""
    levels: list[Level] = []
    try:
        refuse_home(top)
        levels.append(Level(top, b"", "", iter(top.names()), None, top.mark()))
    except (LeftOut, OSError):
        top.close()
        raise
    try:
        while levels:
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                levels.pop()
                yield Ended(level)
            else:
                yield from _entry(levels, level, name)
    finally:
        for level in levels:
            level.folder.close()


def _entry(levels: list[Level], level: Level, name: bytes) -> Generator[Item, None, None]:
    shown = name.decode("utf-8", "replace")
    path = f"{level.path}/{shown}" if level.path else shown
    try:
        text = os.fsdecode(name)
        if text != shown:
            raise LeftOut("its name is not UTF-8, which a folder of IPFS cannot hold: rename it")
        if len(levels[0].folder.path) + len(path) > MAX_PATH_BYTES // 4:  # characters: only then it may be too long
            _refuse_long(os.path.join(levels[0].folder.path, path))
        found = level.folder.stat(text)
        if stat.S_ISREG(found.st_mode):
            yield Found(level, name, path, found)
        elif stat.S_ISDIR(found.st_mode):
            levels.append(_enter(levels, level, name, text, path))
        elif stat.S_ISLNK(found.st_mode):
            yield Link(level, name, level.folder.readlink(text))
        else:  # not opened: to open a device can do things
            raise LeftOut(kind_in_words(found.st_mode))
    except (LeftOut, OSError) as error:
        yield Skipped(path, reason(error))


def _enter(levels: list[Level], level: Level, name: bytes, text: str, path: str) -> Level:
    if len(levels) >= MAX_FOLDER_DEPTH:
        raise LeftOut(f"it lies deeper than {MAX_FOLDER_DEPTH} folders")
    folder = Folder.open(text, level.folder)
    try:
        mark = folder.mark()
        if mark != (0, 0) and any(above.mark == mark for above in levels):
            raise LeftOut("it is a folder that it lies in, mounted there again")
        refuse_home(folder)
        return Level(folder, name, path, iter(folder.names()), level, mark)
    except (LeftOut, OSError):
        folder.close()
        raise


def _refuse_long(path: str) -> None:
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise LeftOut(f"its path is longer than {MAX_PATH_BYTES} bytes")


def refuse_home(folder: Folder) -> None:
    """A node's folder holds its keys, and which of its names are one person: whoever publishes it means something else.

    Its library, being a folder of its own, may be published.
    """
    try:
        with io.FileIO(folder.open_file(HOME_MARK)) as file:
            if is_key_file(file.read(KEY_FILE_HEAD_BYTES) or b""):
                raise LeftOut("it is the folder of a p2pnode node, with its secret keys")
    except OSError:
        return  # no such file, or one that nobody here can read, and so nobody can publish
