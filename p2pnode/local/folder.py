"""Looking into a folder without being led out of it: entries by descriptor, links never followed.

Plain system calls, no trio; where the platform has no `dir_fd` (Windows) paths take its place. Called by local.walk and local.hashing.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

HAS_DIR_FD = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
READ_FLAGS = os.O_RDONLY | _CLOEXEC | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""O_NONBLOCK: a FIFO that took a file's place must not hang the reader."""
_FOLDER_FLAGS = os.O_RDONLY | _CLOEXEC | _NOFOLLOW | getattr(os, "O_DIRECTORY", 0)


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder: its absolute path, and its descriptor where the platform has them."""

    path: str
    fd: int | None

    @classmethod
    def open(cls, path: str, parent: Folder | None = None) -> Folder:
        """By absolute path, or by a name in `parent`. OSError if it is no folder (a symlink to one included)."""
        absolute = os.path.join(parent.path, path) if parent else path
        if not HAS_DIR_FD:
            return cls(absolute, None)
        return cls(absolute, os.open(path, _FOLDER_FLAGS, dir_fd=parent.fd if parent else None))

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd is not None:
            os.close(self.fd)

    def mark(self) -> tuple[int, int]:
        """Device and inode: the same folder under whatever name. (0, 0) where the system has no such thing."""
        if self.fd is None:
            return 0, 0
        found = os.fstat(self.fd)
        return found.st_dev, found.st_ino

    def names(self) -> list[bytes]:
        """Names of all entries as bytes, sorted."""
        with os.scandir(self.path if self.fd is None else self.fd) as entries:
            return sorted(os.fsencode(entry.name) for entry in entries)

    def stat(self, name: str) -> os.stat_result:
        """Of the entry itself, not of what a link points to."""
        return os.stat(self._path(name), dir_fd=self.fd, follow_symlinks=False)

    def readlink(self, name: str) -> bytes:
        """The target of a symlink."""
        return os.fsencode(os.readlink(self._path(name), dir_fd=self.fd))

    def open_file(self, name: str) -> int:
        """A descriptor for reading; the caller checks with fstat what it is."""
        return os.open(self._path(name), READ_FLAGS, dir_fd=self.fd)

    def _path(self, name: str) -> str:
        return os.path.join(self.path, name) if self.fd is None else name


def kind_in_words(mode: int) -> str:
    """What an entry is, for the list of what was left out."""
    kinds = (
        (stat.S_ISSOCK, "it is a socket"),
        (stat.S_ISFIFO, "it is a named pipe"),
        (stat.S_ISBLK, "it is a device"),
        (stat.S_ISCHR, "it is a device"),
        (stat.S_ISDIR, "it is a folder"),
        (stat.S_ISLNK, "it is a symbolic link"),
    )
    return next((words for test, words in kinds if test(mode)), "it is no regular file")
