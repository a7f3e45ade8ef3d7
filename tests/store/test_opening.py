"""Opening a store on a disk: what persists, who may not open it, and what is said when it cannot be opened."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from p2pnode.core.ids import NO_CIRCLE, PeerId
from p2pnode.errors import P2pnodeError, RefusedError, StoreError
from p2pnode.ports import Tx
from p2pnode.store.database import connect
from p2pnode.store.migrate import migrations, schema_version
from p2pnode.store.node_store import NodeStore
from p2pnode.store.sqlite import open_store
from tests.store.samples import NOW, Clock, key, record, work
from tests.store.test_incoming import SAMPLE, begin, fetch


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[NodeStore]:
    async with open_store(home / "node.db", home / "library", 1 << 30, 0, Clock()) as store:
        yield store


@pytest.mark.trio
async def test_everything_is_there_again(tmp_path: Path) -> None:
    def put(tx: Tx) -> None:
        tx.put_record(record())
        tx.put_work(work(), summary="s", tags=["t"], words=[])
        tx.pin(SAMPLE.root)
        tx.enqueue("gossip", b"x", 1.0)
        tx.set_meta("port", b"4001")

    async with opened(tmp_path) as store:
        await store.write(put)
        seq = (await store.write(lambda tx: tx.next_seq(key("ada"), NOW)))[0]
        await store.address_book.remember(peer := PeerId("p"), ["/dns/a"], answered=True)
        await store.provider_records.add(bytes(32), peer, ["/dns/a"], NOW)
        content = await fetch(store)
    async with opened(tmp_path) as store:
        assert await store.read(lambda tx: tx.records(NO_CIRCLE)) == [record()]
        assert await store.read(lambda tx: tx.search("tale", limit=9)) == [work()]
        assert await store.read(lambda tx: tx.pinned(SAMPLE.root))
        assert [i.payload for i in await store.read(lambda tx: tx.due_outbox(9.0, 9))] == [b"x"]
        assert await store.read(lambda tx: tx.get_meta("port")) == b"4001"
        assert (await store.write(lambda tx: tx.next_seq(key("ada"), NOW)))[0] > seq
        assert await store.address_book.addresses(peer) == ["/dns/a"]
        assert await store.provider_records.get(bytes(32), NOW) == [(peer, ["/dns/a"])]
        assert await store.read(lambda tx: tx.content(SAMPLE.root)) == content
        for cid, data in SAMPLE.leaves.items():
            assert await store.read_block(cid) == data


@pytest.mark.trio
async def test_a_database_that_was_moved_away_does_not_bring_numbers_back(tmp_path: Path) -> None:
    """The identity is older than the database then: what was signed today must not get a number twice."""
    async with opened(tmp_path) as store:
        signed = [(await store.write(lambda tx: tx.next_seq(key("ada"), NOW)))[0] for _ in range(20)]
    (tmp_path / "node.db").rename(tmp_path / "away.db")
    async with opened(tmp_path) as store:
        seq, created = await store.write(lambda tx: tx.next_seq(key("ada"), NOW + 60))
    assert seq > 20_000 << 16
    assert created == int(NOW) + 60
    async with opened(tmp_path) as store:
        await store.write_rows(lambda tx, _: tx.set_seq_floor(NOW + 60))
        assert (await store.write(lambda tx: tx.next_seq(key("ada"), NOW + 61)))[0] > max(signed)


@pytest.mark.trio
async def test_a_home_may_move(tmp_path: Path) -> None:
    async with opened(tmp_path / "old") as store:
        await fetch(store)
    (tmp_path / "old").rename(tmp_path / "new")
    async with opened(tmp_path / "new") as store:
        for cid, data in SAMPLE.leaves.items():
            assert await store.read_block(cid) == data


@pytest.mark.trio
async def test_finished_files_are_read_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        content = await fetch(store)
    for path in SAMPLE.contents:
        assert (Path(content.base) / path).stat().st_mode & 0o777 == 0o444


@pytest.mark.trio
async def test_publishing_that_was_cut_short_leaves_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        before = await store.read(lambda tx: tx.stored_bytes())

        def half(tx: Tx) -> None:
            id = tx.begin_content("/somewhere", owned=False, public=True)
            tx.add_leaves(id, tx.add_file(id, "a", 7, 0), [(next(iter(SAMPLE.leaves)), 0, 7)])
            tx.add_blocks(id, SAMPLE.blocks)

        await store.write(half)
    async with opened(tmp_path) as store:
        assert await store.read(lambda tx: tx.has([SAMPLE.root, *SAMPLE.leaves])) == set()
        assert await store.read(lambda tx: tx.stored_bytes()) == before


@pytest.mark.trio
async def test_a_fetch_is_resumed_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        incoming = await begin(store)
        saved = incoming.missing[:3]
        for cid in saved:
            await incoming.put_leaf(cid, SAMPLE.leaves[cid])
        await incoming.checkpoint()
        await incoming.put_leaf(incoming.missing[0], SAMPLE.leaves[incoming.missing[0]])  # never saved
        every = len(SAMPLE.leaves)
    async with opened(tmp_path) as store:
        incoming = await begin(store)
        assert len(incoming.missing) == every - 3 and not set(saved) & set(incoming.missing)
        assert await store.read_block(saved[0], public_only=True) == SAMPLE.leaves[saved[0]]
        await fetch(store)
    assert os.listdir(tmp_path / "library") == ["A tale"]


@pytest.mark.trio
@pytest.mark.parametrize("remove", ["one file", "all"])
async def test_files_removed_from_an_unfinished_fetch_are_fetched_again(tmp_path: Path, remove: str) -> None:
    async with opened(tmp_path) as store:
        incoming = await begin(store)
        for cid in incoming.missing[:4]:
            await incoming.put_leaf(cid, SAMPLE.leaves[cid])
        await incoming.checkpoint()
    (folder,) = (tmp_path / "library").iterdir()
    if remove == "all":
        shutil.rmtree(folder)
    else:
        (folder / "big").unlink()
    async with opened(tmp_path) as store:
        if remove == "all":  # then it does not even claim to have them
            assert await store.read(lambda tx: tx.has([SAMPLE.files[0].leaves[0][0]])) == set()
        content = await fetch(store)
        for path, data in SAMPLE.contents.items():
            assert (Path(content.base) / path).read_bytes() == data


@pytest.mark.trio
async def test_a_file_removed_during_a_fetch_is_noticed_at_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        incoming = await begin(store)
        for cid in incoming.missing:
            await incoming.put_leaf(cid, SAMPLE.leaves[cid])
        await incoming.checkpoint()
        (folder,) = (tmp_path / "library").iterdir()
        (folder / "big again").unlink()
        with pytest.raises(StoreError, match="big again"):
            await incoming.finish()
        content = await fetch(store)
        assert (Path(content.base) / "big again").read_bytes() == SAMPLE.contents["big again"]


@pytest.mark.trio
async def test_strays_are_removed_and_the_rest_of_the_library_is_left_alone(tmp_path: Path) -> None:
    library = tmp_path / "library"
    (library / ".incoming-0123456789abcdef.77" / "deep").mkdir(parents=True)
    (library / ".incoming-0123456789abcdef.77" / "deep" / "x").write_bytes(b"x")
    (library / ".incoming-link").symlink_to(tmp_path / "beyond")
    (tmp_path / "beyond").mkdir()
    (tmp_path / "beyond" / "precious").write_bytes(b"x")
    (library / "mine.txt").write_bytes(b"mine")
    async with opened(tmp_path):
        assert sorted(os.listdir(library)) == ["mine.txt"]
    assert os.listdir(tmp_path / "beyond") == ["precious"]


@pytest.mark.trio
async def test_fetched_files_never_go_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    async with opened(tmp_path) as store:
        incoming = await begin(store)
        (folder,) = (tmp_path / "library").iterdir()
        (folder / "big").symlink_to(outside / "victim")
        (folder / "deep").symlink_to(outside)
        with pytest.raises(StoreError):
            for cid in incoming.missing:
                await incoming.put_leaf(cid, SAMPLE.leaves[cid])
            await incoming.finish()
        (folder / "big").unlink()
        with pytest.raises(StoreError):
            for cid in incoming.missing:
                await incoming.put_leaf(cid, SAMPLE.leaves[cid])
            await incoming.finish()
    assert os.listdir(outside) == []


@pytest.mark.trio
async def test_a_second_opener_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(RefusedError, match=str(os.getpid())) as caught:
            async with opened(tmp_path):
                raise AssertionError
        assert "p2pnode stop" in caught.value.hint
    async with opened(tmp_path):
        pass


@pytest.mark.trio
async def test_a_database_locked_by_another_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pnode.store.database.BUSY_TIMEOUT_S", 0.01)
    async with opened(tmp_path) as store:
        other = sqlite3.connect(tmp_path / "node.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as caught:
            await store.write(lambda tx: tx.pin(SAMPLE.root))
        assert "another program" in caught.value.hint
        other.execute("ROLLBACK")
        other.close()
        await store.write(lambda tx: tx.pin(SAMPLE.root))


@pytest.mark.trio
@pytest.mark.parametrize("damage", ["text", "header", "pages"])
async def test_a_damaged_database_is_said_with_what_to_do(tmp_path: Path, damage: str) -> None:
    async with opened(tmp_path) as store:
        await store.write(lambda tx: [tx.put_record(record(created=n)) for n in range(2000)])
    path = tmp_path / "node.db"
    data = bytearray(path.read_bytes())
    if damage == "text":
        data = bytearray(b"This is no database, it is a letter to my aunt. " * 200)
    elif damage == "header":
        data[:100] = bytes(100)
    else:
        data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError) as caught:
        async with opened(tmp_path) as store:
            await store.read(lambda tx: tx.records(NO_CIRCLE))
    assert "damaged" in caught.value.hint
    assert path.exists()


@pytest.mark.trio
async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "node.db") as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    with pytest.raises(StoreError, match="schema 999") as caught:
        async with opened(tmp_path):
            raise AssertionError
    assert "newer p2pnode" in caught.value.hint


def test_migrations_lead_from_nothing_to_the_newest_schema(tmp_path: Path) -> None:
    connection = connect(str(tmp_path / "node.db"))
    assert schema_version(connection) == len(migrations()) >= 1
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    tables = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE TABLE %'")
    ours = [sql for (sql,) in tables if "works_text" not in sql and "sqlite_sequence" not in sql]
    assert ours and all("STRICT" in sql for sql in ours)
    connection.close()


def test_a_migration_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [*migrations(), (len(migrations()) + 1, "CREATE TABLE fresh (x); INSERT INTO nowhere VALUES (1);")]
    monkeypatch.setattr("p2pnode.store.migrate.migrations", lambda: broken)
    with pytest.raises(sqlite3.Error):
        connect(str(tmp_path / "node.db"))
    monkeypatch.undo()
    connection = connect(str(tmp_path / "node.db"))
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'fresh'").fetchone() == (0,)
    connection.close()


READ_ONLY_CHILD = """
import os, sys, trio
from pathlib import Path
from p2pnode.errors import StoreError
from tests.store.test_opening import opened
os.setuid(65534)
async def main():
    try:
        async with opened(Path(sys.argv[1])) as store:
            await store.write(lambda tx: tx.set_meta("a", b"1"))
    except StoreError as error:
        print(error.hint)
trio.run(main)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.trio
@pytest.mark.parametrize("what", ["home", "database"])
async def test_a_home_that_cannot_be_written_is_said(tmp_path: Path, what: str) -> None:
    async with opened(tmp_path):
        pass
    for folder in [tmp_path, *tmp_path.parents]:
        if folder != Path("/") and folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(0o755)
    if what == "database":  # everything is his, but the file is not
        for path in (tmp_path, tmp_path / "library", tmp_path / "node.db.lock"):
            os.chown(path, 65534, 65534)
    result = await trio.to_thread.run_sync(
        lambda: subprocess.run(
            [sys.executable, "-c", READ_ONLY_CHILD, str(tmp_path)], capture_output=True, text=True, timeout=60
        )
    )
    assert "writable" in result.stdout, result


@pytest.mark.trio
async def test_a_folder_in_place_of_the_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "node.db").mkdir()
    with pytest.raises(P2pnodeError) as caught:
        async with opened(tmp_path):
            raise AssertionError
    assert isinstance(caught.value, StoreError) and caught.value.hint


@pytest.mark.trio
async def test_a_file_where_the_library_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "works").write_text("mine")
    with pytest.raises(StoreError) as caught:
        async with open_store(str(tmp_path / "node.db"), str(tmp_path / "works"), 10**9, 0, lambda: 0.0):
            pass
    assert str(tmp_path / "works") in caught.value.message and "name another folder" in (caught.value.hint or "")
    assert (tmp_path / "works").read_text() == "mine"
