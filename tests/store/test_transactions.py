"""Whole or not at all, one writer, steady snapshots, callers that go away: the contract of both stores."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pnode.core.ids import NO_CIRCLE
from p2pnode.errors import StoreError, TimedOutError
from p2pnode.ports import Tx
from p2pnode.store.database import ThreadEngine
from p2pnode.store.node_store import NodeStore
from p2pnode.store.sqlite import open_store
from tests.store.samples import NOW, Clock, key, record


class Mistake(Exception):
    pass


@pytest.mark.trio
@pytest.mark.parametrize("durable", [True, False])
async def test_an_exception_undoes_everything(store: NodeStore, durable: bool) -> None:
    def half(tx: Tx) -> None:
        tx.put_record(record())
        tx.next_seq(key("ada"), NOW)
        tx.set_meta("a", b"1")
        raise Mistake

    with pytest.raises(Mistake):
        await store.write(half, durable=durable)
    assert await store.read(lambda tx: (tx.records(NO_CIRCLE), tx.get_meta("a"))) == ([], None)
    assert await store.write(lambda tx: tx.put_record(record()))


@pytest.mark.trio
async def test_reading_cannot_change_anything(store: NodeStore) -> None:
    with pytest.raises(StoreError):
        await store.read(lambda tx: tx.put_record(record()))
    assert await store.read(lambda tx: tx.records(NO_CIRCLE)) == []
    assert await store.write(lambda tx: tx.put_record(record()))


@pytest.mark.trio
async def test_many_writers_take_turns(store: NodeStore) -> None:
    got: list[int] = []

    async def one() -> None:
        got.append((await store.write(lambda tx: tx.next_seq(key("ada"), NOW), durable=False))[0])

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(one)
    assert len(set(got)) == 50


@pytest.mark.trio
async def test_a_cancelled_caller_leaves_whole_transactions(store: NodeStore) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.write(lambda tx: tx.set_meta("before", b"1"))
    assert await store.read(lambda tx: tx.get_meta("before")) is None  # it never began


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "node.db", tmp_path / "library"


@pytest.mark.trio
async def test_a_transaction_that_began_is_finished_for_a_caller_that_is_cancelled(paths: tuple[Path, Path]) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        tx.set_meta("a", b"1")
        began.set()
        assert go_on.wait(10)
        tx.set_meta("b", b"2")

    async with open_store(*paths, 1 << 30, 0, Clock()) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.write, slow)
            await trio.to_thread.run_sync(began.wait, 10)
            nursery.cancel_scope.cancel()
            go_on.set()
        assert await store.read(lambda tx: (tx.get_meta("a"), tx.get_meta("b"))) == (b"1", b"2")


@pytest.mark.trio
async def test_a_reader_sees_one_snapshot_while_a_writer_commits(paths: tuple[Path, Path]) -> None:
    looked, written = threading.Event(), threading.Event()
    seen: list[bytes | None] = []

    def twice(tx: Tx) -> None:
        seen.append(tx.get_meta("a"))
        looked.set()
        assert written.wait(10)
        seen.append(tx.get_meta("a"))

    async with open_store(*paths, 1 << 30, 0, Clock()) as store, trio.open_nursery() as nursery:
        await store.write(lambda tx: tx.set_meta("a", b"1"))
        nursery.start_soon(store.read, twice)
        await trio.to_thread.run_sync(looked.wait, 10)
        await store.write(lambda tx: tx.set_meta("a", b"2"))
        written.set()
    assert seen == [b"1", b"1"]


@pytest.mark.trio
async def test_the_loop_goes_on_while_a_transaction_runs(paths: tuple[Path, Path]) -> None:
    go_on = threading.Event()
    async with open_store(*paths, 1 << 30, 0, Clock()) as store, trio.open_nursery() as nursery:
        nursery.start_soon(store.write, lambda tx: go_on.wait(10))
        await trio.testing.wait_all_tasks_blocked()
        assert await store.read(lambda tx: tx.get_meta("a")) is None  # readers neither
        go_on.set()


@pytest.mark.trio
async def test_a_file_that_does_not_answer_is_left_behind_at_the_deadline(paths: tuple[Path, Path]) -> None:
    go_on = threading.Event()
    engine = ThreadEngine(str(paths[0]))
    try:
        with pytest.raises(TimedOutError) as caught:
            await engine.look_up(lambda db: None, lambda found: go_on.wait(10), deadline_s=0.01)
        assert caught.value.hint
        assert await engine.read(lambda db: db.execute("SELECT 1").fetchone()) == (1,)
    finally:
        go_on.set()
        await engine.aclose()


@pytest.mark.trio
async def test_a_closed_store_says_so(paths: tuple[Path, Path]) -> None:
    async with open_store(*paths, 1 << 30, 0, Clock()) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        await store.write(lambda tx: None)
    with pytest.raises(StoreError, match="closed"):
        await store.read(lambda tx: None)
