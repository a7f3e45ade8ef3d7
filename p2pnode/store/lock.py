"""One program a store: a lock file beside the database, held as long as the store is open, freed by the kernel if we die.

Not SQLite's own exclusive mode, since that would lock out our reading connections as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from p2pnode.errors import RefusedError
from p2pnode.filelock import try_lock


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold `path` as a lock. RefusedError, naming the process id, if another store holds it; OSError if it cannot be made."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if not try_lock(descriptor):
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise RefusedError(
                f"another process (pid {holder}) has this store open",
                hint="stop it first (p2pnode stop), or give this one another --home",
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)  # frees the lock; the file stays: removing it would race with the next to open it
