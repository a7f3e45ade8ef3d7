"""Secret files: written whole or not at all, for their owner's eyes only, and never over another one by accident.

A key file that is half written, or readable by the neighbours on a shared machine, is worse than none. Called by `local.identity`;
knows nothing about what the bytes mean.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from p2pnode.errors import DecodeError, NotFoundError, RefusedError, StoreError

OWNER_ONLY = 0o600
MAX_KEY_FILE_BYTES = 16 << 10
"""Bytes of a key file: ours have a few hundred, and anything larger is something else."""
POSIX = os.name == "posix"


def read_secret(path: Path) -> bytes:
    """The bytes of a secret file. NotFoundError if there is none; RefusedError if others may read it or it is no plain file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            _check_private(path, os.fstat(descriptor))
            data = os.read(descriptor, MAX_KEY_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no key file at {path}") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_KEY_FILE_BYTES:
        raise DecodeError(f"{path} is too large to be a key file")
    return data


def _check_private(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise RefusedError(f"{path} is not a plain file")
    if POSIX and facts.st_mode & 0o077:
        raise RefusedError(
            f"{path} holds a secret and others on this machine may read it",
            hint=f"if nobody did, take the right away: chmod 600 '{path}'",
        )


def create_secret(path: Path, data: bytes) -> bool:
    """Write a new secret file; False, and nothing changed, if one is there. StoreError if the disk refuses."""
    temporary = _write_beside(path, data)
    try:
        os.link(temporary, path)  # unlike a rename, this never replaces: of two first starts at once, one wins
    except FileExistsError:
        return False
    except OSError:
        return _create_in_place(path, data)  # a file system without hard links
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def replace_secret(path: Path, data: bytes) -> None:
    """Write a secret file, replacing the one that is there in one step."""
    temporary = _write_beside(path, data)
    try:
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be replaced: {error.strerror}") from error
    _sync_folder(path.parent)


def _write_beside(path: Path, data: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(temporary, data)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    return temporary


def _create_in_place(path: Path, data: bytes) -> bool:
    try:
        _write_new(path, data)
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
    _sync_folder(path.parent)
    return True


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable; only POSIX lets a folder be opened for that."""
    if not POSIX:
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
