"""Real inputs: a Linux source tree, a hundred thousand tiny files, fifty thousand entries in one folder, one file of 20 GiB.

Each is published, revised after one byte changed, and (but for the last) fetched by a second daemon and compared. Told are files a
second against a plain loop that reads and hashes the same tree, and the most memory of both daemons. The Linux tree is that of
Debian's package `linux-source`, where it is installed.
"""

from __future__ import annotations

import filecmp
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks.content import hash_all
from scripts.benchmarks.figures import Figure, timed
from scripts.benchmarks.moving import FETCH_TIMEOUT_S, resident, two
from tests.support.daemons import RealDaemon

TINY, ENTRIES, SPARSE_BYTES = 100_000, 50_000, 20 << 30


def linux(path: Path) -> bool:
    """Debian's source tree; False where it is not installed."""
    packed = sorted(Path("/usr/src").glob("linux-source-*.tar.*"))
    if not packed:
        return False
    path.mkdir()
    subprocess.run(["tar", "xf", str(packed[-1]), "-C", str(path)], check=True)
    return True


def tiny(path: Path) -> bool:
    """Files of 0 to 200 bytes, five hundred a folder."""
    for number in range(TINY):
        folder = path / f"{number // 500:03d}"
        if number % 500 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.txt").write_bytes(b"%d" % number * (number % 40))
    return True


def entries(path: Path) -> bool:
    """One folder, which becomes a HAMT."""
    path.mkdir()
    for number in range(ENTRIES):
        (path / f"entry {number} ä.txt").write_bytes(b"%d" % number)
    return True


def sparse(path: Path) -> bool:
    """One long file of nothing."""
    path.touch()
    os.truncate(path, SPARSE_BYTES)
    return True


INPUTS: dict[str, Callable[[Path], bool]] = {"linux": linux, "tiny": tiny, "entries": entries, "sparse": sparse}


def real(folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    for name, make in INPUTS.items():
        path = folder / name
        if make(path):
            with two(folder / f"nodes of {name}") as (anna, ben):
                figures += _measure(name, path, anna, ben)
        else:
            figures.append(Figure(f"real: {name}", 0.0, "1/s", note="not measured: apt-get install linux-source"))
    return figures


def _measure(name: str, path: Path, anna: RealDaemon, ben: RealDaemon) -> list[Figure]:
    answer: dict[str, object] = {}
    seconds = timed(lambda: answer.update(anna.json("publish", str(path), "--title", name, timeout_s=FETCH_TIMEOUT_S)))
    files = int(str(answer["files"]))
    memory = f"most memory {resident(anna, 'VmHWM'):.0f} MiB"
    if path.is_file():
        size = path.stat().st_size
        return [Figure(f"real: publish {name}", size / seconds / 1e6, "MB/s", note=memory)]
    plain = timed(lambda: hash_all(path))
    first = next(file for file in sorted(path.rglob("*")) if file.is_file() and not file.is_symlink())
    with open(first, "ab") as file:
        file.write(b"x")
    revised = timed(
        lambda: answer.update(anna.json("publish", "--revises", str(answer["work"]), timeout_s=FETCH_TIMEOUT_S))
    )
    got: dict[str, object] = {}
    fetched = timed(lambda: got.update(ben.json("get", str(answer["cid"]), timeout_s=FETCH_TIMEOUT_S)))
    different = differences(path, Path(str(got["path"])))
    fetching = f"most memory {resident(ben, 'VmHWM'):.0f} MiB; {different} files differ"
    return [
        Figure(f"real: publish {name}", files / seconds, "1/s", files / plain, "a plain loop that hashes them", memory),
        Figure(f"real: revise {name}", files / revised, "1/s", files / plain, "a plain loop that hashes them"),
        Figure(f"real: fetch {name}", files / fetched, "1/s", files / seconds, "publishing it", fetching),
    ]


def differences(path: Path, copy: Path) -> int:
    """Regular files of `path` that are not the same in `copy`; those that were given another name there do not count."""
    files = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    there = [(file, copy / file.relative_to(path)) for file in files]
    return sum(other.exists() and not filecmp.cmp(file, other, shallow=False) for file, other in there)
