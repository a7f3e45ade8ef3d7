"""Locking an open file for as long as we live: the system frees the lock when the descriptor is closed, however the process ends.

The one piece of it that systems do differently. Stands beside the rooms because two that do not know each other need it:
`control.lock` for a home, `store.lock` for a database.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    _LOCKED_AT = 1 << 30  # beyond the text: on Windows a locked region cannot be read by others

    def try_lock(descriptor: int) -> bool:
        """Whether the lock is ours now; False if somebody has it. The file's position is its beginning afterwards."""
        os.lseek(descriptor, _LOCKED_AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Whether the lock is ours now; False if somebody has it. The file's position is its beginning afterwards."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
