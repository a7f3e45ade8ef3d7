"""One step of a path: in plain folders, in shards of the usual and of an unusual fan-out, and where there is nothing to enter."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dagpb import MURMUR3_X64_64, Link, UnixFS, UnixFSType
from p2pnode.core.unixfs_path import step
from p2pnode.errors import DecodeError
from tests.support.contents import many_files
from tests.support.dags import build, folder, node


def found(root: Cid, blocks: Mapping[Cid, bytes], name: bytes) -> tuple[Cid | None, int]:
    """(the entry, blocks looked at)."""
    todo, looked = [(root, 0)], 0
    while todo:
        cid, level = todo.pop()
        looked += 1
        there = step(cid, blocks[cid], name, level)
        if there.found is not None:
            return there.found, looked
        todo += [(shard, level + 1) for shard in there.shards]
    return None, looked


def test_a_plain_folder() -> None:
    entry = Cid.of(RAW, b"a")
    root, block = folder([(b"a", entry), (b"", entry), (b"..", entry)])
    assert step(root, block, b"a", 0).found == entry
    assert step(root, block, b"b", 0) == step(root, block, b"A", 0)
    assert step(root, block, b"b", 0).found is None


def test_every_entry_of_a_sharded_folder_by_a_few_blocks() -> None:
    many = many_files(6000, size=1)
    dag = build(many)
    for name, data in list(many.items())[::97]:
        cid, looked = found(dag.root, dag.interior, name.encode())
        assert cid == Cid.of(RAW, data)
        assert looked <= 4, "one shard a level, not all of them"
    assert found(dag.root, dag.interior, b"none")[0] is None


def test_an_unusual_fan_out_is_searched_through() -> None:
    entries = [Cid.of(RAW, bytes([number])) for number in range(3)]
    kind = UnixFS(UnixFSType.HAMT_SHARD, data=b"\1", hash_type=MURMUR3_X64_64, fanout=16)
    below, below_block = node([Link(entries[1], b"0one", 1), Link(entries[2], b"Ftwo", 1)], kind)
    root, root_block = node([Link(entries[0], b"0zero", 1), Link(below, b"3", 1)], kind)
    blocks = {root: root_block, below: below_block}
    assert [found(root, blocks, name)[0] for name in (b"zero", b"one", b"two", b"three", b"3")] == [
        *entries,
        None,
        None,
    ]


def test_what_is_no_folder_has_no_entries() -> None:
    file, block = node([], UnixFS(UnixFSType.FILE, data=b"x", size=1))
    link, link_block = node([], UnixFS(UnixFSType.SYMLINK, data=b"/etc"))
    for cid, data in (
        (file, block),
        (link, link_block),
        (Cid.of(RAW, b"raw"), b"raw"),
        (Cid.of(DAG_PB, b"\xff"), b"\xff"),
    ):
        with pytest.raises(DecodeError):
            step(cid, data, b"a", 0)
