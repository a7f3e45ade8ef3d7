"""Writing a content out: byte-equal, whole or not at all, over nothing, and never outside its path whatever names a stranger chose."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from unittest import mock

import pytest
import trio
from pytest_trio import trio_fixture

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType
from p2pnode.errors import NotFoundError, RefusedError, StoreError, UsageError
from p2pnode.local import output
from p2pnode.ports import WantedFile
from p2pnode.services.export import export
from p2pnode.store.node_store import NodeStore
from p2pnode.store.sqlite import open_store
from tests.support.contents import flat, hold
from tests.support.dags import Dag, Tree, build, folder, node, walk
from tests.support.trees import regular_files

pytestmark = pytest.mark.trio
TREE: Tree = {"a": b"aa" * 3000, "sub": {"deep": {"b": b"b", "void": {}}, "empty": b""}, "link": None}


@trio_fixture
async def store(tmp_path: Path) -> AsyncIterator[NodeStore]:
    async with open_store(tmp_path / "node.db", tmp_path / "library", 1 << 30, 0, lambda: 1_800_000_000.0) as opened:
        yield opened


def _contents(path: Path) -> dict[str, bytes]:
    return {name: file.read_bytes() for name, file in regular_files(path).items()}


def _left(path: Path) -> list[str]:
    """Hidden leftovers of an output."""
    return [name for name in os.listdir(path) if name.startswith(".out")]


async def test_a_folder_is_written_out_whole(store: NodeStore, tmp_path: Path) -> None:
    dag = build(TREE, leaf_bytes=1000)
    await hold(store, dag)
    done = await export(store, dag.root, str(tmp_path / "out"))
    assert _contents(tmp_path / "out") == flat(TREE)
    assert (tmp_path / "out" / "sub" / "deep" / "void").is_dir()
    assert (done.files, done.size, done.symlinks) == (3, 6001, ("link",))
    assert not (tmp_path / "out" / "link").is_symlink()
    assert not _left(tmp_path)


async def test_a_lone_file_is_written_out(store: NodeStore, tmp_path: Path) -> None:
    dag = build(b"just a file" * 100, leaf_bytes=100)
    await hold(store, dag)
    await export(store, dag.root, str(tmp_path / "out.txt"))
    assert (tmp_path / "out.txt").read_bytes() == b"just a file" * 100


async def test_bytes_inside_nodes_are_written_out(store: NodeStore, tmp_path: Path) -> None:
    wrapped, block = node([], UnixFS(UnixFSType.FILE, b"inside", 6))
    leaf = Cid.of(RAW, b"leaf")
    root, root_block = node([Link(leaf), Link(wrapped)], UnixFS(UnixFSType.FILE, size=10, block_sizes=(4, 6)))
    await hold(store, Dag(root, {root: root_block, wrapped: block}, {leaf: b"leaf"}))
    await export(store, root, str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"leafinside"


async def test_what_was_fetched_is_cloned_where_the_file_system_can(store: NodeStore, tmp_path: Path) -> None:
    dag = build({"big": b"b" * 100_000})
    found = walk(dag.root, dag.interior)
    files = [WantedFile(file.path, file.size, file.leaves) for file in found.files]
    incoming = await store.start_incoming(dag.root, "work", found.blocks.items(), files)
    for cid, data in dag.leaves.items():
        await incoming.put_leaf(cid, data)
    content = await incoming.finish()
    cloned: list[str] = []

    def pretend(source: str, target: int, size: int) -> bool:
        cloned.append(source)
        os.write(target, Path(source).read_bytes())
        return True

    with mock.patch("p2pnode.services.export.clone", pretend):
        await export(store, dag.root, str(tmp_path / "out"))
    assert cloned == [os.path.join(content.base, "big")]
    await export(store, dag.root, str(tmp_path / "again"))  # by copying, if this file system cannot
    assert _contents(tmp_path / "out") == _contents(tmp_path / "again") == {"big": b"b" * 100_000}
    (tmp_path / "out" / "big").write_bytes(b"mine now")
    assert (tmp_path / "again" / "big").read_bytes() == b"b" * 100_000


async def test_hostile_names_stay_inside(store: NodeStore, tmp_path: Path) -> None:
    leaf = Cid.of(RAW, b"x")
    root, block = folder([(b"..", leaf), (b"../escape", leaf), (b"/etc/x", leaf), (b"ok", leaf)])
    await hold(store, Dag(root, {root: block}, {leaf: b"x"}))
    done = await export(store, root, str(tmp_path / "out"))
    assert sorted(_contents(tmp_path / "out")) == ["%2E%2E", "%2Fetc%2Fx", "..%2Fescape", "ok"]
    assert len(done.renamed) == 3
    assert not (tmp_path / "escape").exists()


async def test_nothing_is_overwritten(store: NodeStore, tmp_path: Path) -> None:
    dag = build(TREE)
    await hold(store, dag)
    (tmp_path / "taken").write_text("mine")
    os.symlink("nowhere", tmp_path / "dangling")
    for name in ("taken", "dangling"):
        with pytest.raises(RefusedError, match="exists already"):
            await export(store, dag.root, str(tmp_path / name))
    assert (tmp_path / "taken").read_text() == "mine"
    with pytest.raises(UsageError, match="no folder"):
        await export(store, dag.root, str(tmp_path / "missing" / "out"))


@pytest.mark.parametrize("tree", [TREE, b"a file"], ids=["folder", "file"])
async def test_a_name_that_is_taken_meanwhile_is_not_overwritten(
    store: NodeStore, tmp_path: Path, tree: Tree | bytes
) -> None:
    dag = build(tree)
    await hold(store, dag)
    finish = output.Output.finish

    def taken_first(self: output.Output) -> None:
        Path(self.path).write_text("mine")
        finish(self)

    with mock.patch.object(output.Output, "finish", taken_first), pytest.raises(RefusedError, match="exists already"):
        await export(store, dag.root, str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "mine"
    assert not _left(tmp_path)


async def test_a_failed_or_cancelled_export_leaves_nothing(store: NodeStore, tmp_path: Path) -> None:
    dag = build(TREE, leaf_bytes=1000)
    await hold(store, dag)
    with (
        mock.patch("os.ftruncate", side_effect=OSError(28, "No space left on device")),
        pytest.raises(StoreError, match="No space"),
    ):
        await export(store, dag.root, str(tmp_path / "out"))
    with trio.CancelScope() as scope:
        scope.cancel()
        await export(store, dag.root, str(tmp_path / "out"))
    assert not _left(tmp_path)


async def test_what_is_not_held_whole_is_not_exported(store: NodeStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not here in full"):
        await export(store, Cid.of(RAW, b"unknown"), str(tmp_path / "out"))


async def test_a_lone_symlink_is_not_written(store: NodeStore, tmp_path: Path) -> None:
    root, block = node([], UnixFS(UnixFSType.SYMLINK, b"/etc/passwd"))
    await hold(store, Dag(root, {root: block}))
    with pytest.raises(RefusedError, match="symbolic link"):
        await export(store, root, str(tmp_path / "out"))
    assert not _left(tmp_path)


async def test_a_folder_that_is_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    out = output.Output(str(tmp_path / "out"))
    out.make_folder("")
    out.make_folder("sub")
    hidden = tmp_path / _left(tmp_path)[0]
    (hidden / "sub").rmdir()
    os.symlink(tmp_path / "outside", hidden / "sub")
    with pytest.raises(OSError):
        await trio.to_thread.run_sync(out.create, "sub/file")
    assert not list((tmp_path / "outside").iterdir())
    out.abandon()
    assert (tmp_path / "outside").is_dir() and not hidden.exists()
