"""Publishings: paused, cut short, taken up again; revisions that read only what changed; and what may be believed of a file."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

import pytest
import trio

from p2pnode.core.ids import WorkId, id_text, parse_id
from p2pnode.core.manifest import Manifest
from p2pnode.core.record import MANIFEST
from p2pnode.core.stamp import TICK_NS
from p2pnode.errors import NotFoundError, RefusedError, StoreError, UsageError
from p2pnode.local import hashing, long_file, tree
from p2pnode.local.tree import root_cid
from p2pnode.ports import Json
from p2pnode.services.history import WorkHistory
from p2pnode.services.publish import Description, Order, Publish
from p2pnode.services.publishing import PREFIX, Publishing, Publishings
from tests.support.loopback import Hub
from tests.support.people import Person
from tests.support.waiting import until

pytestmark = pytest.mark.trio
MIB = 1 << 20


class Desk:
    """A person who publishes. `again` is what a restart of the node finds."""

    def __init__(self, person: Person, nursery: trio.Nursery) -> None:
        self.person, self.nursery = person, nursery
        self.publishings = self._new()

    def _new(self) -> Publishings:
        person = self.person
        publish = Publish(person.store, person.me, person.admission, person.clock, lambda: None)
        return Publishings(person.store, publish, person.clock, lambda name, data: person.events.append((name, data)))

    async def again(self) -> Publishings:
        self.publishings = self._new()
        await self.publishings.start(self.nursery)
        return self.publishings

    async def publish(self, path: Path, title: str = "Bees", revises: WorkId | None = None) -> Json:
        one = await self.publishings.begin(Order(str(path), Description(title), revises=revises))
        return await self.publishings.wait(one, lambda progress: None)

    async def begin(self, path: Path) -> Publishing:
        return await self.publishings.begin(Order(str(path), Description("Bees")))


@asynccontextmanager
async def a_desk() -> AsyncIterator[Desk]:
    async with trio.open_nursery() as nursery:
        desk = Desk(Person(Hub(nursery), "anna"), nursery)
        await desk.publishings.start(nursery)
        yield desk
        nursery.cancel_scope.cancel()


@pytest.fixture
def aged() -> AsyncIterator[None]:
    """Every file was at rest for long: the clock that says how old a file is runs ahead."""
    settled = tree.time.time_ns  # type: ignore[attr-defined]
    scan = tree.scan.__kwdefaults__
    with mock.patch.dict(scan, {"clock_ns": lambda: settled() + 10 * TICK_NS}):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    for number in range(40):
        (path / f"{number % 5}").mkdir(parents=True, exist_ok=True)
        (path / f"{number % 5}" / f"{number}.txt").write_bytes(b"%d" % number * 1000)
    (path / "long.bin").write_bytes(os.urandom(12 * MIB))
    return path


@asynccontextmanager
async def counting() -> AsyncIterator[list[int]]:
    """Bytes of files that are read meanwhile."""
    read, counted = hashing.read_at, [0]

    def count(descriptor: int, offset: int, part: memoryview) -> int:
        got = read(descriptor, offset, part)
        counted[0] += got
        return got

    with mock.patch.object(hashing, "read_at", count):
        yield counted


@asynccontextmanager
async def stopping_after(bytes: int, stop: Callable[[], object]) -> AsyncIterator[None]:
    """`stop` is called once, on trio's thread, when so many bytes were read; reading then goes slowly."""
    read, token = hashing.read_at, trio.lowlevel.current_trio_token()
    done = [0]

    def wait(descriptor: int, offset: int, part: memoryview) -> int:
        got = read(descriptor, offset, part)
        before, done[0] = done[0], done[0] + got
        if before < bytes <= done[0]:
            token.run_sync_soon(stop)
        if done[0] >= bytes:
            tree.time.sleep(0.05)  # type: ignore[attr-defined]
        return got

    with mock.patch.object(hashing, "read_at", wait):
        yield


def pause(desk: Desk, one: Publishing) -> None:
    desk.nursery.start_soon(desk.publishings.pause, one.id)


async def unfinished(person: Person) -> int:
    return int(
        await person.store.read_rows(
            lambda tx, db: db.execute("SELECT count(*) FROM contents WHERE state = 'building'").fetchone()[0]
        )
    )


async def meta(person: Person) -> list[str]:
    return [name for name, _ in await person.store.read(lambda tx: tx.meta_with_prefix(PREFIX))]


async def test_what_was_hashed_before_a_pause_is_not_read_again(folder: Path, aged: None) -> None:
    async with a_desk() as desk:
        one = await desk.begin(folder)
        async with stopping_after(6 * MIB, lambda: pause(desk, one)):
            await one.ended.wait()
        assert (one.state, await meta(desk.person)) == ("paused", [PREFIX + one.id])
        assert await desk.person.store.read(lambda tx: tx.count_works()) == 0
        async with counting() as counted:
            answer = await desk.publishings.wait(await desk.publishings.resume(one.id), lambda progress: None)
        assert 0 < counted[0] < 12 * MIB
        assert answer["known_bytes"] + counted[0] == answer["bytes"]
        assert answer["cid"] == str(root_cid(str(folder)))
        assert (await unfinished(desk.person), await meta(desk.person)) == (0, [])


async def test_the_same_order_goes_on_where_it_was_paused(folder: Path, aged: None) -> None:
    async with a_desk() as desk:
        one = await desk.begin(folder)
        async with stopping_after(MIB, lambda: pause(desk, one)):
            await one.ended.wait()
        again = await desk.begin(folder)
        assert again is one
        assert (await desk.publishings.wait(again, lambda progress: None))["files"] == 41


async def test_who_asked_and_goes_away_pauses_it(folder: Path) -> None:
    async with a_desk() as desk:
        one = await desk.begin(folder)
        with trio.CancelScope() as scope:
            async with stopping_after(MIB, scope.cancel):
                await desk.publishings.wait(one, lambda progress: None)
        await one.ended.wait()
        assert one.state == "paused"
        assert await desk.person.store.read(lambda tx: tx.count_works()) == 0


async def test_it_goes_on_while_somebody_else_waits_or_nobody_needs_to(folder: Path) -> None:
    async with a_desk() as desk:
        order = Order(str(folder), Description("Bees"))
        for detach in (False, True):
            one = await desk.publishings.begin(order, detach=detach)
            async with trio.open_nursery() as nursery:
                if not detach:
                    nursery.start_soon(desk.publishings.wait, one, lambda progress: None)
                with trio.CancelScope() as scope:
                    async with stopping_after(MIB, scope.cancel):
                        await desk.publishings.wait(one, lambda progress: None)
                await one.ended.wait()
            assert one.state == "done"
            order = Order(str(folder), Description("Wasps"))


@pytest.mark.parametrize("times", [1, 3])
async def test_after_a_kill_it_goes_on_by_itself(folder: Path, times: int, aged: None) -> None:
    """A kill leaves the rows as they are: nobody wrote that it is paused."""
    (folder / "long.bin").write_bytes(os.urandom(30 * MIB))
    async with a_desk() as desk:
        at_once = mock.patch("p2pnode.services.publish_reading.BATCH_S", 0.0)
        with at_once, mock.patch.object(long_file, "RANGE_BYTES", MIB):
            for _ in range(times):
                async with trio.open_nursery() as nursery:
                    desk.nursery = nursery
                    await desk.again()
                    one = await desk.begin(folder)
                    async with stopping_after(6 * MIB, nursery.cancel_scope.cancel):
                        await one.ended.wait()
        assert await meta(desk.person) == [PREFIX + one.id]
        # what was killed here is only left behind: its threads end by themselves
        await until(lambda: all(thread.name != "p2pnode hashing" for thread in threading.enumerate()))
        async with trio.open_nursery() as nursery, counting() as counted:
            desk.nursery = nursery
            await desk.again()
            (one,) = desk.publishings._all.values()
            answer = await desk.publishings.wait(one, lambda progress: None)
        assert answer["cid"] == str(root_cid(str(folder)))
        assert counted[0] <= answer["bytes"] - answer["known_bytes"]
        assert answer["known_bytes"] >= MIB
        assert (await unfinished(desk.person), await meta(desk.person)) == (0, [])


async def test_a_paused_one_stays_paused_over_a_restart(folder: Path) -> None:
    async with a_desk() as desk:
        one = await desk.begin(folder)
        async with stopping_after(MIB, lambda: pause(desk, one)):
            await one.ended.wait()
        (held,) = (await desk.again()).shown()
        assert (held["state"], held["publishing"], held["title"]) == ("paused", one.id, "Bees")
        await desk.publishings.cancel(one.id)
        assert (await unfinished(desk.person), await meta(desk.person)) == (0, [])
        with pytest.raises(RefusedError, match="cancelled already"):
            await desk.publishings.resume(one.id)
        with pytest.raises(NotFoundError):
            await desk.publishings.pause("p-none")


async def test_a_running_one_can_be_cancelled(folder: Path) -> None:
    async with a_desk() as desk:
        one = await desk.begin(folder)
        async with stopping_after(MIB, lambda: desk.nursery.start_soon(desk.publishings.cancel, one.id)):
            await one.ended.wait()
        assert one.state == "cancelled"
        assert (await unfinished(desk.person), await meta(desk.person)) == (0, [])


async def test_what_changed_while_it_was_paused_is_read_again(folder: Path, aged: None) -> None:
    async with a_desk() as desk:
        one = await desk.begin(folder)
        async with stopping_after(6 * MIB, lambda: pause(desk, one)):
            await one.ended.wait()
        (folder / "0" / "0.txt").write_bytes(b"another")
        (folder / "1" / "1.txt").unlink()
        (folder / "2" / "new.txt").write_bytes(b"new")
        (folder / "long.bin").write_bytes(os.urandom(12 * MIB))
        async with counting() as counted:
            answer = await desk.publishings.wait(await desk.publishings.resume(one.id), lambda progress: None)
        assert counted[0] >= 12 * MIB
        assert answer["cid"] == str(root_cid(str(folder)))
        work = await desk.person.store.read(lambda tx: tx.work(WorkId(parse_id("w", answer["work"]))))
        assert work is not None
        files = await desk.person.store.read(lambda tx: dict(tx.content_files(work.root, 100)))
        assert (len(files), files["0/0.txt"], "1/1.txt" in files) == (41, 7, False)
        assert await unfinished(desk.person) == 0


async def test_a_full_disk_pauses_it_and_says_how_to_go_on(folder: Path) -> None:
    async with a_desk() as desk:
        with mock.patch(
            "p2pnode.store.tx_publishing.PublishRows.add_files", side_effect=StoreError("the disk is full")
        ):
            one = await desk.begin(folder)
            with pytest.raises(StoreError, match="full") as raised:
                await desk.publishings.wait(one, lambda progress: None)
        assert one.id in raised.value.hint
        assert (one.state, one.reason) == ("paused", "the disk is full")
        assert (await desk.publishings.wait(await desk.publishings.resume(one.id), lambda progress: None))[
            "files"
        ] == 41


async def test_a_refused_one_is_given_up(folder: Path) -> None:
    async with a_desk() as desk:
        await desk.publish(folder)
        with pytest.raises(RefusedError, match="already published"):
            await desk.publish(folder)
        with pytest.raises(UsageError):
            await desk.publish(folder / "nowhere")
        assert sorted(one["state"] for one in desk.publishings.shown()) == ["done", "failed", "failed"]
        assert (await unfinished(desk.person), await meta(desk.person)) == (0, [])


# ---------------------------------------------------------------- revisions


async def revised(desk: Desk, folder: Path, change: Callable[[], object]) -> tuple[Json, Json, int]:
    """(first answer, answer of the revision, bytes that were read for it)."""
    first = await desk.publish(folder)
    change()
    async with counting() as counted:
        second = await desk.publish(folder, revises=WorkId(parse_id("w", first["work"])))
    return first, second, counted[0]


async def test_a_revision_reads_only_what_changed(folder: Path, aged: None) -> None:
    async with a_desk() as desk:
        first, second, read = await revised(desk, folder, lambda: (folder / "0" / "0.txt").write_bytes(b"another"))
        assert read == len(b"another")
        assert second["work"] == first["work"] and second["cid"] == str(root_cid(str(folder))) != first["cid"]
        work = WorkId(parse_id("w", first["work"]))
        records = await desk.person.store.read(lambda tx: tx.records(bytes(32), kinds=[MANIFEST]))  # type: ignore[arg-type]
        one, two = (Manifest.of(record) for record in records)
        assert (one.work, two.work, two.base) == (work, work, one.record), "the history is kept"
        assert id_text("r", two.record) == second["revision"]
        held = await desk.person.store.read(lambda tx: tx.work(work))
        assert held is not None and (str(held.root), held.state, held.title) == (second["cid"], "own", "Bees")
        history = await WorkHistory(desk.person.store, desk.person.views, desk.person.me).of(held, None)
        assert [told["record"] for told in history["revisions"]] == [id_text("r", one.record), id_text("r", two.record)]
        leaf = root_cid(str(folder / "3" / "3.txt"))
        assert await desk.person.store.read_block(leaf, public_only=True) == b"3" * 1000


async def test_nothing_is_left_of_the_content_before(folder: Path) -> None:
    async with a_desk() as desk:
        first, second, _ = await revised(desk, folder, lambda: (folder / "new.txt").write_bytes(b"new"))
        counts = await desk.person.store.read_rows(
            lambda tx, db: [
                db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("contents", "bases", "files", "pins")
            ]
        )
        assert counts == [1, 1, second["files"], 1] and first["files"] == second["files"] - 1


async def test_two_revisions_within_one_second_stand_in_order(folder: Path) -> None:
    async with a_desk() as desk:
        first, _, _ = await revised(desk, folder, lambda: (folder / "0" / "0.txt").write_bytes(b"2"))
        work = WorkId(parse_id("w", first["work"]))
        for number in range(3, 8):
            (folder / "0" / "0.txt").write_bytes(b"%d" % number)
            answer = await desk.publish(folder, revises=work)
            held = await desk.person.store.read(lambda tx: tx.work(work))
            assert held is not None and str(held.root) == answer["cid"] == str(root_cid(str(folder)))


async def test_a_revision_without_a_change_is_refused_and_changes_nothing(folder: Path, aged: None) -> None:
    async with a_desk() as desk:
        first = await desk.publish(folder)
        work = WorkId(parse_id("w", first["work"]))
        with pytest.raises(RefusedError, match="nothing has changed"):
            await desk.publish(folder, revises=work)
        assert await desk.person.store.read_block(root_cid(str(folder / "0" / "0.txt"))) == b"0" * 1000
        renamed = await desk.publish(folder, "Honey bees", revises=work)
        assert (renamed["work"], renamed["cid"]) == (first["work"], first["cid"])
        assert await desk.person.store.read_block(root_cid(str(folder / "0" / "0.txt"))) == b"0" * 1000


async def test_only_its_author_revises_a_work(folder: Path) -> None:
    async with a_desk() as desk:
        first = await desk.publish(folder)
        work = WorkId(parse_id("w", first["work"]))
        await desk.person.store.write(lambda tx: tx.set_work_state(work, "kept"))
        with pytest.raises(RefusedError, match="only the author"):
            await desk.publish(folder, revises=work)
        with pytest.raises(NotFoundError):
            await desk.publish(folder, revises=WorkId(bytes(32)))


# ---------------------------------------------------------------- racily clean


async def test_a_file_that_changes_within_a_tick_of_the_clock_is_read_again(tmp_path: Path) -> None:
    """Size, times and inode as before: a stamp proves nothing of a file that was young when it was read."""
    path = tmp_path / "in"
    path.mkdir()
    (path / "note").write_bytes(b"before")
    real = os.stat(path / "note")
    frozen = [os.stat_result([*real[:10]], {name: getattr(real, name) for name in ("st_mtime_ns", "st_ctime_ns")})]

    def same(stat: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def of(*arguments: object, **options: object) -> os.stat_result:
            found = stat(*arguments, **options)
            return frozen[0] if found.st_ino == real.st_ino else found

        return of

    async with a_desk() as desk:
        with mock.patch.multiple(os, fstat=same(os.fstat), stat=same(os.stat)):
            first = await desk.publish(path)
            (path / "note").write_bytes(b"after!")
            second = await desk.publish(path, revises=WorkId(parse_id("w", first["work"])))
            assert second["cid"] == str(root_cid(str(path))) != first["cid"]
