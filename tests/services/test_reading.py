"""Reading files by ranges: any range of any shape gives the very bytes, from the disk or while they arrive, and never a wrong one."""

from __future__ import annotations

import random

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType
from p2pnode.errors import NotFoundError, UsageError
from p2pnode.services.reading import ReadableFile, Reading
from p2pnode.store.memory import MemoryStore
from tests.support.contents import hold
from tests.support.dags import Dag, Tree, build, node

pytestmark = pytest.mark.trio
BIG = b"".join(b"%d " % number for number in range(6000))
TREE: Tree = {"big": BIG, "sub": {"empty": b"", "tiny": b"t"}, "link": None}


def _store() -> MemoryStore:
    return MemoryStore(lambda: 1_800_000_000.0)


async def _read(file: ReadableFile, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join([part async for part in file.read_range(offset, length)])


async def test_any_range_of_what_is_here_gives_its_bytes() -> None:
    store, dag = _store(), build(TREE, leaf_bytes=1000)
    await hold(store, dag)
    rng = random.Random(3)
    async with Reading(store).open_file(dag.root, "big") as file:
        assert file.size == len(BIG) and await _read(file) == BIG
        for _ in range(50):
            offset, length = rng.randrange(len(BIG) + 2000), rng.randrange(5000)
            assert await _read(file, offset, length) == BIG[offset : offset + length]
        assert await _read(file, 5) == BIG[5:]


async def test_bytes_inside_nodes_and_between_leaves_are_read_in_their_order() -> None:
    store = _store()
    wrapped, block = node([], UnixFS(UnixFSType.FILE, b"inside", 6))
    leaf = Cid.of(RAW, b"leaf")
    root, root_block = node(
        [Link(leaf), Link(wrapped), Link(leaf), Link(wrapped)],
        UnixFS(UnixFSType.FILE, size=20, block_sizes=(4, 6, 4, 6)),
    )
    await hold(store, Dag(root, {root: root_block, wrapped: block}, {leaf: b"leaf"}))
    async with Reading(store).open_file(root) as file:
        whole = b"leafinsideleafinside"
        for offset in range(21):
            for length in range(21):
                assert await _read(file, offset, length) == whole[offset : offset + length]


async def test_what_is_no_file_is_refused_in_words() -> None:
    store, dag = _store(), build(TREE)
    await hold(store, dag)
    async with Reading(store).open(dag.root) as content:
        assert await _read(content.file("sub/empty")) == b"" and await _read(content.file("/sub/tiny")) == b"t"
        for path in ("", "sub"):
            with pytest.raises(UsageError, match="folder"):
                content.file(path)
        with pytest.raises(UsageError, match="link"):
            content.file("link")
        with pytest.raises(NotFoundError, match="no file"):
            content.file("sub/none")
        with pytest.raises(UsageError):
            await _read(content.file("big"), -1)
