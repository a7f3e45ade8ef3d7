"""Installs the foreign programs of tests/interop from their lock file: called by the set-up of all tests, and by those tests themselves.

`python tests/interop/install.py` does it from the command line; it does nothing when what is installed matches the lock file.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
_STAMP = FOLDER / "node_modules" / ".p2pnode-lock"
INSTALL_TIMEOUT_S = 300


class NotInstallable(Exception):
    """Why the foreign programs are not there, in words."""


def install() -> Path:
    """The folder whose node_modules match the lock file. NotInstallable if node or npm is missing, or npm fails."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise NotInstallable("node and npm are not on this machine (Debian: apt install nodejs npm)")
    lock = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if _STAMP.exists() and _STAMP.read_text() == lock:
        return FOLDER
    command = ["npm", "ci", "--ignore-scripts"]
    try:
        done = subprocess.run(
            command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstallable(f"npm ci took longer than {INSTALL_TIMEOUT_S} s") from error
    if done.returncode:
        raise NotInstallable(f"npm ci failed: {done.stderr[-2000:]}")
    _STAMP.write_text(lock)
    return FOLDER


if __name__ == "__main__":
    try:
        install()
    except NotInstallable as missing:
        sys.exit(str(missing))
