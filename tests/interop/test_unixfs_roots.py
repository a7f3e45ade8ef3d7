"""Our root CIDs against those of `ipfs-unixfs-importer` from npm, on files and folders that lie on a real disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType, encode_node, encode_unixfs
from p2pnode.core.unixfs import SHARD_THRESHOLD_BYTES
from p2pnode.local.tree import root_cid

pytestmark = pytest.mark.foreign
MIB = 1 << 20
JS_TIMEOUT_S = 300


def _bytes(path: Path, size: int) -> None:
    """A file whose every MiB differs, with holes in between: 1 GiB costs four megabytes of disk."""
    with path.open("wb") as file:
        for at in range(0, size, MIB):
            file.seek(at)
            file.write(f"part {at}".encode()[: size - at])
        file.truncate(size)


def _file(size: int) -> Callable[[Path], None]:
    return lambda path: _bytes(path, size)


def _nested(path: Path) -> None:
    (path / "a" / "b" / "c").mkdir(parents=True)
    (path / "empty").mkdir()
    _bytes(path / "a" / "b" / "c" / "deep.bin", 3 * MIB + 7)
    _bytes(path / "a" / "two", 2 * MIB)
    (path / "a" / "zero").touch()
    (path / ".hidden").write_text("seen")


def _unicode(path: Path) -> None:
    path.mkdir()
    # Sorting by bytes, by code points and by UTF-16 units all differ here; NFC and NFD stand side by side.
    for name in ("z", "é", "e\u0301", "ﬀ", "日本", "\U0001f98a", "\uffee", "A b", "Ω%20", "-", "\u200d"):
        (path / name).write_text(name)


def _many(count: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        for number in range(count):
            (path / f"entry {number}.txt").write_text(str(number))

    return make


def _folder_of_exactly(block_bytes: int) -> Callable[[Path], None]:
    """A folder whose serialised flat block has exactly that size: names are lengthened until it has."""

    def block_size(names: list[str]) -> int:
        links = [Link(Cid.of(RAW, b""), name.encode(), 0) for name in names]
        return len(encode_node(links, encode_unixfs(UnixFS(UnixFSType.DIRECTORY))))

    def make(path: Path) -> None:
        path.mkdir()
        names = [f"{number:0>150}" for number in range(1200)]
        missing = block_bytes - block_size(names)  # from 128 to 255 characters each more is one byte more
        for index in range(len(names)):
            names[index] += "x" * min(100, missing - sum(len(name) - 150 for name in names))
        assert block_size(names) == block_bytes
        for name in names:
            (path / name).touch()

    return make


def _symlinks(path: Path) -> None:
    path.mkdir()
    (path / "file").write_text("here")
    os.symlink("file", path / "link")
    os.symlink("../nowhere/ü", path / "dangling")


CASES: dict[str, Callable[[Path], None]] = {
    "empty file": _file(0),
    "one byte": _file(1),
    "a leaf less one": _file(MIB - 1),
    "a leaf": _file(MIB),
    "a leaf and one": _file(MIB + 1),
    "3 MiB and 7": _file(3 * MIB + 7),
    "1024 leaves": _file(1024 * MIB),
    "1025 leaves": _file(1024 * MIB + 1),
    "nested": _nested,
    "unicode names": _unicode,
    "empty folder": lambda path: path.mkdir(),
    "sharded": _many(7000),
    "below the limit": _folder_of_exactly(SHARD_THRESHOLD_BYTES - 1),
    "at the limit": _folder_of_exactly(SHARD_THRESHOLD_BYTES),
    "above the limit": _folder_of_exactly(SHARD_THRESHOLD_BYTES + 1),
    "symlinks": _symlinks,
}


@pytest.fixture(scope="session")
def made(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Every case on disk, with the JavaScript importer's CID of it."""
    folder = tmp_path_factory.mktemp("unixfs")
    paths = {}
    for number, (case, make) in enumerate(CASES.items()):
        paths[case] = folder / f"case{number}"
        make(paths[case])
    command = ["node", "unixfs_roots.mjs"]
    lines = "".join(f"{path}\n" for path in paths.values())
    done = subprocess.run(
        command, cwd=foreign, input=lines, capture_output=True, text=True, timeout=JS_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return {case: (path, cid) for (case, path), cid in zip(paths.items(), done.stdout.split(), strict=True)}


@pytest.mark.parametrize("case", CASES)
def test_root_cid_equals_the_javascript_importers(case: str, made: dict[str, tuple[Path, str]]) -> None:
    path, cid = made[case]
    assert str(root_cid(str(path))) == cid


@pytest.mark.long
def test_a_folder_of_fifty_thousand_entries_has_the_javascript_importers_root(foreign: Path, tmp_path: Path) -> None:
    _many(50_000)(tmp_path / "many")
    command = ["node", "unixfs_roots.mjs"]
    done = subprocess.run(
        command,
        cwd=foreign,
        input=f"{tmp_path / 'many'}\n",
        capture_output=True,
        text=True,
        timeout=JS_TIMEOUT_S,
        check=True,
    )
    assert str(root_cid(str(tmp_path / "many"))) == done.stdout.strip()
