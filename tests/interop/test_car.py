"""Archives and foreign trees, judged by `@ipld/car`, `ipfs-car` and `ipfs-unixfs-importer`: what they make we read, serve and write out to
the byte, and what we write they read."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.core.cid import Cid
from p2pnode.services.car_export import export_car
from p2pnode.services.car_import import CarImport
from p2pnode.services.export import export
from p2pnode.services.walk import read_skeleton
from tests.services.test_transfers import Sharer, two

pytestmark = pytest.mark.foreign
JS_TIMEOUT_S = 120
DEADLINE_S = 60.0
LAYOUTS = ["v0", "v1", "pb", "trickle", "narrow", "sharded", "sharded16", "kubo", "ours"]
ONE_FILE = ["sha512", "blake3", "identity", "inline"]


def javascript(foreign: Path, *arguments: str) -> Any:
    return json.loads(_run(["node", "car.mjs", *arguments], foreign))


def ipfs_car(foreign: Path, *arguments: str) -> str:
    return _run(["node", "node_modules/ipfs-car/bin.js", *arguments], foreign)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=JS_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def files_in(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files around every chunk size, a nested folder, and enough names for several levels of shards."""
    path = tmp_path_factory.mktemp("foreign") / "tree"
    (path / "deep" / "er").mkdir(parents=True)
    rng = random.Random(1)
    for size in (0, 1, 2999, 3000, 3001, 262_143, 262_144, 262_145, 300_000):
        (path / f"{size}.bin").write_bytes(rng.randbytes(size))
    (path / "deep" / "er" / "Grüße 日本.txt").write_text("hello")
    (path / "deep" / "repeated.bin").write_bytes(bytes(300_000))
    for number in range(150):
        (path / "deep" / f"{number}.txt").write_text(str(number))
    return path


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "tree"
    path.mkdir()
    (path / "file.bin").write_bytes(random.Random(2).randbytes(50_123))
    return path


async def taken(person: Sharer, path: Path) -> Cid:
    importing = CarImport(person.store, person.me, person.admission, person.clock, lambda: None)
    with trio.fail_after(DEADLINE_S):
        answer = await importing.run(str(path), None, on_progress=lambda progress: None)
    return Cid.parse(answer["items"][0]["cid"])


@pytest.mark.trio
@pytest.mark.parametrize("layout", LAYOUTS + ONE_FILE)
async def test_what_they_make_is_read_served_fetched_and_written_out(
    layout: str, folder: Path, one_file: Path, foreign: Path, tmp_path: Path
) -> None:
    source = one_file if layout in ONE_FILE else folder
    root = javascript(foreign, "make", str(source), str(tmp_path / "theirs.car"), layout)["root"]
    async with two() as (anna, ben, _):
        assert str(await taken(anna, tmp_path / "theirs.car")) == root
        anna.serve()
        await ben.get(root, tmp_path / "fetched")  # over the fetch protocol, from a library that an archive filled
        await export(anna.store, Cid.parse(root), str(tmp_path / "imported"))
        await export_car(ben.store, Cid.parse(root), str(tmp_path / "ours.car"), on_progress=lambda progress: None)
        skeleton = await read_skeleton(ben.store, Cid.parse(root))
    assert files_in(tmp_path / "imported") == files_in(source) == files_in(tmp_path / "fetched")
    theirs, ours = javascript(foreign, "check", str(tmp_path / "theirs.car"), str(tmp_path / "ours.car"))
    assert ours["roots"] == [root]
    assert sorted(ours["cids"]) == sorted(set(theirs["cids"])), "not a block more or less"
    assert ours["cids"][0] == root
    assert len(skeleton.files) == len(files_in(source))
    if layout == "identity":
        assert len(ours["cids"]) == 2, "what a CID carries itself is no block"


@pytest.mark.trio
@pytest.mark.parametrize("layout", ["ours", "v0", "trickle"])
async def test_ipfs_car_unpacks_what_we_write(layout: str, folder: Path, foreign: Path, tmp_path: Path) -> None:
    root = javascript(foreign, "make", str(folder), str(tmp_path / "theirs.car"), layout)["root"]
    async with two() as (anna, _, _):
        await taken(anna, tmp_path / "theirs.car")
        await export_car(anna.store, Cid.parse(root), str(tmp_path / "ours.car"), on_progress=lambda progress: None)
    assert ipfs_car(foreign, "roots", str(tmp_path / "ours.car")).split() == [root]
    ipfs_car(foreign, "unpack", str(tmp_path / "ours.car"), "--output", str(tmp_path / "unpacked"))
    assert files_in(tmp_path / "unpacked") == files_in(folder)


@pytest.mark.trio
async def test_we_read_what_ipfs_car_packs(folder: Path, foreign: Path, tmp_path: Path) -> None:
    ipfs_car(foreign, "pack", str(folder), "--no-wrap", "--output", str(tmp_path / "packed.car"))
    async with two() as (anna, _, _):
        root = await taken(anna, tmp_path / "packed.car")
        await export(anna.store, root, str(tmp_path / "out"))
    assert files_in(tmp_path / "out") == files_in(folder)
