"""What the machine gives this process: free space, file descriptors, and whether a service outlives its owner's session.

Read from the system each time; what it does not tell is None, never a guess. Used by `services.doctor` and the metrics.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

LINGER_FOLDER = Path("/var/lib/systemd/linger")
"""systemd-logind keeps an empty file here for each user whose services run without a session."""
DESCRIPTOR_FOLDERS = (Path("/proc/self/fd"), Path("/dev/fd"))
STATUS_FILE = Path("/proc/self/status")


def free_bytes(path: str) -> int | None:
    """Bytes free on the disk that holds `path`; None if it cannot be asked."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def descriptors() -> tuple[int, int] | None:
    """(open files and sockets of this process, most it may have); None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for folder in DESCRIPTOR_FOLDERS:
        try:
            return len(os.listdir(folder)), most
        except OSError:
            continue
    return None


def memory_bytes() -> int | None:
    """Bytes of memory that this process has resident."""
    try:
        for line in STATUS_FILE.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def runs_as_user_service() -> bool:
    """Whether systemd started this process for a user, not for the whole system."""
    return "INVOCATION_ID" in os.environ and "/user@" in _own_group()


def lingers(folder: Path = LINGER_FOLDER) -> bool | None:
    """Whether this user's services run without a session of his; None where nothing like that is known."""
    if sys.platform == "win32" or not folder.is_dir():
        return None
    import pwd

    try:
        return (folder / pwd.getpwuid(os.getuid()).pw_name).exists()
    except (KeyError, OSError):
        return None


def _own_group() -> str:
    try:
        return Path("/proc/self/cgroup").read_text()
    except OSError:
        return ""
