"""One daemon a home: a lock that the system frees when the process ends, however it ends.

The file `run/lock` holds the process id for the message to a second daemon, and it stays when the daemon has gone: removing
it would let two daemons lock two files of one name. Only whether it is locked counts.
"""

from __future__ import annotations

import os

from p2pnode.config import Home
from p2pnode.errors import RefusedError, StoreError
from p2pnode.filelock import try_lock

LOCK_NAME = "lock"
MAX_PID_BYTES = 32


class DaemonLock:
    """The right to be this home's daemon, from `acquire` until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, home: Home) -> DaemonLock:
        """Take the lock and write our pid. RefusedError names the pid of the daemon that has it."""
        make_private_folder(home)
        try:
            descriptor = os.open(home.run / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{home.run / LOCK_NAME} cannot be opened: {error.strerror}") from error
        if not try_lock(descriptor):
            pid = _read_pid(descriptor)
            os.close(descriptor)
            who = "another daemon" if pid is None else f"the daemon with process id {pid}"
            raise RefusedError(f"{who} already runs at {home.path}", hint="stop it with: p2pnode stop")
        try:
            os.ftruncate(descriptor, 0)
            _write_pid(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise StoreError(f"{home.run / LOCK_NAME} cannot be written: {error.strerror}") from error
        return cls(descriptor)

    def release(self) -> None:
        """Let the next daemon in. May be called twice."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def running_pid(home: Home) -> int | None:
    """The pid of the daemon that holds the lock, None when nobody does. A daemon that does not tell its pid counts as 0."""
    try:
        descriptor = os.open(home.run / LOCK_NAME, os.O_RDWR)
    except OSError:
        return None
    try:
        return None if try_lock(descriptor) else (_read_pid(descriptor) or 0)
    finally:
        os.close(descriptor)


def make_private_folder(home: Home) -> None:
    """The home and its run folder, which only their owner may enter."""
    try:
        os.makedirs(home.path, mode=0o700, exist_ok=True)
        os.makedirs(home.run, mode=0o700, exist_ok=True)
        os.chmod(home.run, 0o700)
    except OSError as error:
        raise StoreError(f"{home.run} cannot be made: {error.strerror}", hint="choose another --home") from error


def _read_pid(descriptor: int) -> int | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, MAX_PID_BYTES).strip()
    return int(text) if text.isdigit() else None


def _write_pid(descriptor: int) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b"%d\n" % os.getpid())
