"""A library that is not the one the database knows is told apart from an empty one, before anything is written to it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
import trio

from p2pnode.core.cid import RAW, Cid
from p2pnode.errors import P2pnodeError, RefusedError, StoreError
from p2pnode.ports import WantedFile
from p2pnode.store.library_mark import MARK_FILE
from p2pnode.store.node_store import NodeStore
from p2pnode.store.sqlite import open_store

pytestmark = pytest.mark.trio
DATA = b"bees" * 100_000
LEAF = Cid.of(RAW, DATA)


class Desk:
    """A database, and a library that may be taken away."""

    def __init__(self, folder: Path) -> None:
        self.database, self.library, self.away = folder / "home" / "node.db", folder / "library", folder / "away"

    def open(self, library: Path | None = None):  # type: ignore[no-untyped-def]
        return open_store(self.database, library or self.library, floor_bytes=0, clock=time.time)

    async def furnish(self) -> None:
        async with self.open() as store:
            await fetch(store, "tale")


async def fetch(store: NodeStore, name: str) -> None:
    wanted = WantedFile("", len(DATA), ((LEAF, 0, len(DATA)),), ())
    incoming = await store.start_incoming(LEAF, name, [], [wanted])
    await incoming.put_leaf(LEAF, DATA)
    await incoming.finish()


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    await made.furnish()
    return made


async def test_a_library_that_is_not_there_is_refused_and_not_made(desk: Desk) -> None:
    desk.library.rename(desk.away)
    with pytest.raises(StoreError, match="is not there") as refused:
        async with desk.open():
            pass
    assert "mount its disk" in refused.value.hint and not desk.library.exists()
    desk.library.mkdir()  # a mount point without its disk
    with pytest.raises(StoreError, match="is not there"):
        async with desk.open():
            pass
    assert os.listdir(desk.library) == []
    desk.library.rmdir()
    desk.away.rename(desk.library)
    async with desk.open() as store:
        assert await store.read_block(LEAF) == DATA


async def test_another_nodes_library_is_refused(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other")
    await other.furnish()
    with pytest.raises(StoreError, match="is another one"):
        async with desk.open(other.library):
            pass
    newcomer = Desk(tmp_path / "newcomer")
    with pytest.raises(RefusedError, match="another node"):
        async with newcomer.open(desk.library):
            pass


async def test_a_library_that_moved_is_known_by_its_mark(desk: Desk, tmp_path: Path) -> None:
    shutil.copytree(desk.library, tmp_path / "disk" / "works")
    async with desk.open(tmp_path / "disk" / "works") as store:
        assert await store.read_block(LEAF) == DATA


async def test_who_lost_a_library_for_good_begins_anew_with_an_empty_mark(desk: Desk) -> None:
    shutil.rmtree(desk.library)
    desk.library.mkdir()
    (desk.library / MARK_FILE).touch()
    async with desk.open() as store:
        with pytest.raises(P2pnodeError):
            assert await store.read_block(LEAF) is not None
    assert (desk.library / MARK_FILE).read_bytes().strip()


async def test_a_home_from_before_the_marks_gets_one_where_its_library_is(desk: Desk) -> None:
    async with desk.open() as store:
        await store.write(lambda tx: tx.set_meta("library/mark", None))
    (desk.library / MARK_FILE).unlink()
    desk.library.rename(desk.away)
    desk.library.mkdir()
    with pytest.raises(StoreError, match="is not there"):
        async with desk.open():
            pass
    desk.library.rmdir()
    desk.away.rename(desk.library)
    async with desk.open() as store:
        assert await store.read_block(LEAF) == DATA


async def test_a_disk_that_goes_away_is_not_written_under_its_mount_point(desk: Desk) -> None:
    async with desk.open() as store:
        desk.library.rename(desk.away)
        desk.library.mkdir()
        with pytest.raises(P2pnodeError):
            await fetch_other(store)
        assert store.free_bytes() == 0
        assert os.listdir(desk.library) == []
        desk.library.rmdir()
        shutil.copytree(desk.away, desk.library)  # the same disk under another number
        await fetch_other(store)
        await store.look_again(None)
        assert await store.read_block(LEAF) == DATA


async def fetch_other(store: NodeStore) -> None:
    data = b"wasp" * 50_000
    leaf = Cid.of(RAW, data)
    incoming = await store.start_incoming(leaf, "other", [], [WantedFile("", len(data), ((leaf, 0, len(data)),), ())])
    await incoming.put_leaf(leaf, data)
    await incoming.finish()
    await trio.lowlevel.checkpoint()
