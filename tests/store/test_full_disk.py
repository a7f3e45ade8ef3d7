"""A disk that is really full: a small file system in memory, for whoever may mount one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pnode.core.ids import NO_CIRCLE
from p2pnode.errors import StoreError
from tests.store.samples import bytes_of, record, tree
from tests.store.test_opening import opened

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 16 MiB."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this system does not let us mount a file system")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def fill(folder: Path) -> Path:
    """Take every last byte."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (MIB, 4096, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


@pytest.mark.trio
async def test_a_transaction_on_a_full_disk_is_undone_and_the_store_goes_on(small_disk: Path) -> None:
    many = [record(created=n, text="x" * 1500) for n in range(3000)]
    async with opened(small_disk) as store:
        await store.write(lambda tx: tx.put_record(record()))
        filler = fill(small_disk)
        with pytest.raises(StoreError) as caught:
            await store.write(lambda tx: [tx.put_record(one) for one in many])
        assert "free some disk space" in caught.value.hint
        assert await store.read(lambda tx: tx.records(NO_CIRCLE)) == [record()]
        filler.unlink()
        await store.write(lambda tx: [tx.put_record(one) for one in many[:1000]])
        assert len(await store.read(lambda tx: tx.records(NO_CIRCLE))) == 1001
    async with opened(small_disk) as store:
        assert len(await store.read(lambda tx: tx.records(NO_CIRCLE))) == 1001


@pytest.mark.trio
async def test_a_fetch_on_a_full_disk_goes_on_when_there_is_room(small_disk: Path) -> None:
    wanted = tree({"a": bytes_of(2 * MIB, "a"), "b": bytes_of(MIB, "b"), "c": b"small"}, leaf_bytes=MIB)
    async with opened(small_disk) as store:
        incoming = await store.start_incoming(wanted.root, "T", wanted.blocks, wanted.files)
        first = incoming.missing[0]
        await incoming.put_leaf(first, wanted.leaves[first])
        await incoming.checkpoint()
        filler = fill(small_disk)
        failed = 0
        for cid in incoming.missing:
            try:
                await incoming.put_leaf(cid, wanted.leaves[cid])
            except StoreError as error:
                assert "free some disk space" in error.hint
                failed += 1
        assert failed >= 2
        assert await store.read_block(first) == wanted.leaves[first]
        assert await store.read(lambda tx: tx.has(incoming.missing)) == set()
        filler.unlink()
        for cid in incoming.missing:
            await incoming.put_leaf(cid, wanted.leaves[cid])
        content = await incoming.finish()
        for path, data in wanted.contents.items():
            assert (Path(content.base) / path).read_bytes() == data


@pytest.mark.trio
async def test_the_floor_counts_what_the_disk_really_has(small_disk: Path) -> None:
    async with opened(small_disk) as store:
        assert 8 * MIB < store._area.free_bytes() < 16 * MIB
