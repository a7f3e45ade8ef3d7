"""Installs the foreign programs of tests/interop from their lock files: called by the set-up of all tests, and by those tests themselves.

`python tests/interop/install.py` does it from the command line; it does nothing when what is installed matches the lock files.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
IPFS = FOLDER / "ipfs"
"""Helia and the newer node that it needs lie apart: it is large, and only the tests of Bitswap want it."""
INSTALL_TIMEOUT_S = 300


class NotInstallable(Exception):
    """Why the foreign programs are not there, in words."""


def install(folder: Path = FOLDER) -> Path:
    """The folder, whose node_modules match its lock file. NotInstallable if node or npm is missing, or npm fails."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise NotInstallable("node and npm are not on this machine (Debian: apt install nodejs npm)")
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".p2pnode-lock"
    if stamp.exists() and stamp.read_text() == lock:
        return folder
    command = ["npm", "ci", "--ignore-scripts"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstallable(f"npm ci took longer than {INSTALL_TIMEOUT_S} s") from error
    if done.returncode:
        raise NotInstallable(f"npm ci failed: {done.stderr[-2000:]}")
    stamp.write_text(lock)
    return folder


if __name__ == "__main__":
    try:
        install()
        install(IPFS)
    except NotInstallable as missing:
        sys.exit(str(missing))
