"""Publishing: one large file and many small ones, against what the machine does with the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from scripts.benchmarks.figures import Figure, timed
from tests.support.daemons import RealDaemon

MIB = 1 << 20
GIB = 1 << 30
RUNS = 3
FILES, FILE_BYTES = 10_000, 4096
FILES_A_FOLDER = 100


def big_file(folder: Path, size: int = GIB) -> Path:
    """Bytes that compress badly, in the page cache."""
    path = folder / "big.bin"
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    return path


def small_files(folder: Path) -> Path:
    """10,000 files of 4 KiB in 100 folders, no two alike."""
    root = folder / "small"
    for number in range(FILES):
        path = root / f"{number // FILES_A_FOLDER:03d}" / f"{number:05d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(FILE_BYTES))
    return root


def publish(folder: Path) -> list[Figure]:
    """1 GiB in place, against `sha256sum` of the same file and against hashing it with OpenSSL on one core."""
    path = big_file(folder)
    daemon = RealDaemon(folder / "node").start()
    quickest = dict.fromkeys(("sha256sum", "sha256 on one core", "p2pnode"), 1e9)
    try:
        for run in range(RUNS):  # in turns, so that what else the machine does falls on all
            path = path.rename(folder / f"big {run}.bin")  # a name that was never published: nothing of it is known
            works = (partial(sha256sum, path), partial(hash_file, path), partial(_publish, daemon, path))
            for name, work in zip(quickest, works, strict=True):
                quickest[name] = min(quickest[name], timed(work))
        rate = {name: GIB / seconds / 1e6 for name, seconds in quickest.items()}
        against = ("sha256sum", "sha256 on one core")
        return [Figure("publish 1 GiB in place", rate["p2pnode"], "MB/s", rate[name], name) for name in against]
    finally:
        daemon.kill()


def _publish(daemon: RealDaemon, path: Path) -> None:
    daemon.json("publish", str(path), "--title", path.name, "--private")


def publish_small(folder: Path) -> list[Figure]:
    """10,000 files of 4 KiB, against reading and hashing them in one plain loop."""
    daemon = RealDaemon(folder / "node").start()
    try:
        ours = plain = 1e9
        for run in range(RUNS):
            root = small_files(folder).rename(folder / f"small {run}")
            plain = min(plain, timed(partial(hash_all, root)))
            ours = min(ours, timed(partial(_publish, daemon, root)))
        rate = FILES * FILE_BYTES / 1e6
        against = "a plain loop that hashes them"
        return [Figure("publish 10,000 files of 4 KiB", rate / ours, "MB/s", rate / plain, against)]
    finally:
        daemon.kill()


def sha256sum(path: Path) -> None:
    """What a person would call."""
    subprocess.run(["sha256sum", path], check=True, stdout=subprocess.DEVNULL)


def hash_file(path: Path) -> None:
    """With OpenSSL, on one core."""
    code = "import hashlib, sys; hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256')"
    subprocess.run([sys.executable, "-c", code, path], check=True)


def hash_all(root: Path) -> None:
    """Read and hash every file below, one after the other."""
    code = """
import hashlib, os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(folder, name)
        if not os.path.islink(path):
            with open(path, "rb") as file:
                hashlib.sha256(file.read()).digest()
"""
    subprocess.run([sys.executable, "-c", code, root], check=True)
