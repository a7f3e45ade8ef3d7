"""The library folder: the only place where the store creates, writes, renames or removes files.

Every path is relative to that folder and walked one directory descriptor at a time with O_NOFOLLOW, so that no name and no symbolic
link leads outside. Blocking: `store.incoming` and `store.recovery` call it on worker threads.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from p2pnode.store.library_mark import read_mark
from p2pnode.store.paths import folders_above

SYNC_ALL_ABOVE = 64
"""Files and folders from which one sync of the file system is cheaper than an fsync each (1 ms a file here, 30 ms for 2,000)."""
READ_ONLY = 0o444
"""Mode of a finished file: another program that opens it must not change what we serve."""

_HAS_DIR_FD = os.open in os.supports_dir_fd
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | _NOFOLLOW
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0) | _NOFOLLOW


class FileArea(Protocol):
    """What fetching needs of the library; `Library` on a disk, `MemoryArea` in the twin. Paths are relative; OSError on trouble."""

    root: str

    def free_bytes(self) -> int: ...
    def exists(self, path: str) -> bool: ...
    def size(self, path: str) -> int:
        """Bytes of a regular file; -1 if there is none."""
        ...

    def make_folder(self, path: str) -> None: ...
    def write(self, path: str, size: int, pieces: Iterable[tuple[int, bytes]], *, finished: bool = False) -> None:
        """Put pieces at their offsets into a file of `size` bytes, made with its folders if need be. Finished: read-only from now on."""
        ...

    def sync(self, paths: Sequence[str]) -> None:
        """These files, and the folders on the way to them, are on the disk when this returns."""
        ...

    def rename(self, old: str, new: str) -> None: ...
    def unlink(self, paths: Sequence[str]) -> None:
        """Remove files, and of folders what is empty below them and they themselves. What cannot be removed stays."""
        ...

    def names(self) -> list[str]:
        """What lies directly in the library."""
        ...

    def remove_tree(self, name: str) -> None: ...


class Library:
    """The library on a disk."""

    def __init__(self, root: str, mark: bytes | None = None) -> None:
        """With `mark` (see `store.library_mark`) nothing is written or removed while the folder is another one: its disk went away."""
        self.root = os.path.abspath(root)
        self._mark = mark
        os.makedirs(self.root, mode=0o755, exist_ok=True)
        self._known = _identity(os.stat(self.root))

    def _check_here(self, facts: os.stat_result) -> None:
        """OSError if the library's folder is not the one that we opened. The same disk may come back under another number."""
        if self._mark is None or _identity(facts) == self._known:
            return
        if read_mark(self.root) != self._mark:
            raise OSError(errno.ENODEV, "the library is not there: its disk went away", self.root)
        self._known = _identity(facts)

    def free_bytes(self) -> int:
        self._check_here(os.stat(self.root))
        return shutil.disk_usage(self.root).free

    def exists(self, path: str) -> bool:
        return os.path.lexists(os.path.join(self.root, path))

    def size(self, path: str) -> int:
        with suppress(OSError):
            found = os.lstat(os.path.join(self.root, path))
            return found.st_size if stat.S_ISREG(found.st_mode) else -1
        return -1

    def make_folder(self, path: str) -> None:
        with self._parent(path, create=True) as (folder, name):
            _make_folder(name, folder)

    def write(self, path: str, size: int, pieces: Iterable[tuple[int, bytes]], *, finished: bool = False) -> None:
        with self._parent(path, create=True) as (folder, name):
            descriptor = _open_to_write(name, folder)
        try:
            if os.fstat(descriptor).st_size != size:
                os.ftruncate(descriptor, size)  # sparse: the disk fills as leaves come
            for offset, data in pieces:
                _write_at(descriptor, offset, data)
            if finished:
                os.chmod(descriptor if os.chmod in os.supports_fd else os.path.join(self.root, path), READ_ONLY)
        finally:
            os.close(descriptor)

    def sync(self, paths: Sequence[str]) -> None:
        folders = {"."} | folders_above(paths)
        if len(paths) + len(folders) > SYNC_ALL_ABOVE and self._sync_file_system():
            return
        for path in paths:
            self._fsync(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
        if _HAS_DIR_FD:  # where folders cannot be opened, they cannot be synced either
            for path in folders:
                self._fsync(path, _DIRECTORY)

    def _sync_file_system(self) -> bool:
        """One sync of the library's whole file system. False where that does not exist or does not wait for the disk."""
        if sys.platform != "linux":
            return False
        descriptor = os.open(self.root, _DIRECTORY & ~_NOFOLLOW)
        try:
            return bool(ctypes.CDLL(None).syncfs(descriptor) == 0)
        except AttributeError:
            return False  # a C library without it
        finally:
            os.close(descriptor)

    def _fsync(self, path: str, flags: int) -> None:
        with self._parent(path) as (folder, name):
            descriptor = os.open(name, flags | _FLAGS, dir_fd=folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        with self._parent(old) as (folder, name), self._parent(new) as (new_folder, new_name):
            os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=new_folder)
        self.sync(["."])

    def unlink(self, paths: Sequence[str]) -> None:
        self._check_here(os.stat(self.root))
        for path in paths:
            with suppress(OSError), self._parent(path) as (folder, name):
                if sys.platform == "win32":
                    os.chmod(name, stat.S_IWRITE)
                os.unlink(name, dir_fd=folder)
        for path in paths:
            self._remove_empty_folders(path)

    def _remove_empty_folders(self, path: str) -> None:
        base = os.path.join(self.root, path)
        if os.path.isdir(base) and not os.path.islink(base) and ".." not in path.split("/"):
            for folder, _, _ in os.walk(base, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)

    def names(self) -> list[str]:
        return os.listdir(self.root)

    def remove_tree(self, name: str) -> None:
        self._check_here(os.stat(self.root))
        path = os.path.join(self.root, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                os.unlink(path)

    @contextmanager
    def _parent(self, path: str, *, create: bool = False) -> Iterator[tuple[int | None, str]]:
        """The descriptor of the folder that holds `path`, and the last name. Without dir_fd (Windows): None and the whole path."""
        *folders, name = path.split("/")
        if os.path.isabs(path) or ".." in folders or name in ("", "..") or "\0" in path:
            raise OSError(errno.EINVAL, "not a path inside the library", path)
        if not _HAS_DIR_FD:
            yield None, self._plain_parent(folders, name, create)
            return
        descriptor = os.open(self.root, _DIRECTORY & ~_NOFOLLOW)  # the person may have linked the library folder itself
        try:
            self._check_here(os.fstat(descriptor))
            for folder in folders:
                if create:
                    _make_folder(folder, descriptor)
                below = os.open(folder, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor, name
        finally:
            os.close(descriptor)

    def _plain_parent(self, folders: Sequence[str], name: str, create: bool) -> str:
        path = self.root
        self._check_here(os.stat(path))
        for folder in folders:
            path = os.path.join(path, folder)
            if create:
                _make_folder(path, None)
            if os.path.islink(path):
                raise OSError(errno.ELOOP, "a symbolic link inside the library", path)
        return os.path.join(path, name)


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _make_folder(name: str, folder: int | None) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=folder)


def _open_to_write(name: str, folder: int | None) -> int:
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | _FLAGS, 0o644, dir_fd=folder)
    except PermissionError:  # finishing made it read-only and was cut short: it is ours, so make it writable again
        reading = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=folder)
        try:
            os.chmod(reading, 0o644)
        finally:
            os.close(reading)
        descriptor = os.open(name, os.O_RDWR | _FLAGS, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return descriptor


def _write_at(descriptor: int, offset: int, data: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)  # the descriptor is ours alone; pwrite does not exist everywhere
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
