"""Publishing: one large file and many small ones, against what the machine does with the same bytes."""

from __future__ import annotations

import os
import subprocess
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
    try:
        quickest: dict[str, float] = {}
        for run in range(RUNS):  # in turns, so that what else the machine does falls on all
            for name, work in (
                ("sha256sum", lambda: subprocess.run(["sha256sum", path], check=True, stdout=subprocess.DEVNULL)),
                ("sha256 on one core", lambda: hash_file(path)),
                (
                    "p2pnode",
                    lambda run=run: daemon.json(
                        "publish", str(_renamed(path, run)), "--title", f"Big {run}", "--private"
                    ),
                ),
            ):
                quickest[name] = min(quickest.get(name, 1e9), timed(work))
            path = folder / f"big {run}.bin"
        rate = {name: GIB / seconds / 1e6 for name, seconds in quickest.items()}
        return [
            Figure("publish 1 GiB in place", rate["p2pnode"], "MB/s", rate[name], name)
            for name in ("sha256sum", "sha256 on one core")
        ]
    finally:
        daemon.kill()


def _renamed(path: Path, run: int) -> Path:
    """The same bytes under a name that was never published: nothing of it is known."""
    new = path.with_name(f"big {run}.bin")
    path.rename(new)
    return new


def hash_file(path: Path) -> None:
    code = "import hashlib, sys; hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256')"
    subprocess.run(["python3", "-c", code, path], check=True)


def publish_small(folder: Path) -> list[Figure]:
    """10,000 files of 4 KiB, against reading and hashing them in one plain loop."""
    daemon = RealDaemon(folder / "node").start()
    try:
        ours = plain = 1e9
        for run in range(RUNS):
            root = small_files(folder).rename(folder / f"small {run}")
            plain = min(plain, timed(lambda root=root: hash_all(root)))
            ours = min(
                ours,
                timed(lambda root=root, run=run: daemon.json("publish", str(root), "--title", f"{run}", "--private")),
            )
        rate = FILES * FILE_BYTES / 1e6
        return [
            Figure("publish 10,000 files of 4 KiB", rate / ours, "MB/s", rate / plain, "a plain loop that hashes them")
        ]
    finally:
        daemon.kill()


def hash_all(root: Path) -> None:
    code = """
import hashlib, os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            hashlib.sha256(file.read()).digest()
"""
    subprocess.run(["python3", "-c", code, root], check=True)
