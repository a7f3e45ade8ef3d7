"""Watching a published folder: what is offered and when, what is no change, and a folder that is away."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

import pytest
import trio

from p2pnode.core.ids import WorkId, parse_id
from p2pnode.core.stamp import TICK_NS
from p2pnode.errors import NotFoundError, RefusedError
from p2pnode.local import hashing, tree
from p2pnode.ports import Json, Work
from p2pnode.services.publish import Description, Order, Publish
from p2pnode.services.publishing import Publishings
from p2pnode.services.watching import Watched, Watching
from tests.support.loopback import Hub
from tests.support.people import Person

pytestmark = pytest.mark.trio


class Post:
    """A person who publishes and watches."""

    def __init__(self, person: Person, nursery: trio.Nursery) -> None:
        self.person, self.nursery = person, nursery
        publish = Publish(person.store, person.me, person.admission, person.clock, lambda: None)
        self.publishings = Publishings(person.store, publish, person.clock, self.emit)
        self.watching = self.new_watching()

    def emit(self, name: str, data: Json) -> None:
        self.person.events.append((name, data))

    def new_watching(self) -> Watching:
        return Watching(self.person.store, self.publishings, self.person.clock, self.emit)

    async def publish(self, path: Path, revises: WorkId | None = None) -> Work:
        one = await self.publishings.begin(Order(str(path), Description("Bees"), revises=revises))
        answer = await self.publishings.wait(one, lambda progress: None)
        work = await self.person.store.read(lambda tx: tx.work(WorkId(parse_id("w", answer["work"]))))
        assert work is not None
        return work

    async def look(self, one: Watched) -> Json | None:
        await self.watching.look(one.work)
        return one.offer

    def told(self) -> list[Json]:
        return [data for name, data in self.person.events if name == "work.changed"]


@asynccontextmanager
async def a_post() -> AsyncIterator[Post]:
    async with trio.open_nursery() as nursery:
        post = Post(Person(Hub(nursery), "anna"), nursery)
        await post.publishings.start(nursery)
        yield post
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """No waiting for rest, and every file was at rest for long."""
    now = tree.time.time_ns  # type: ignore[attr-defined]
    with (
        mock.patch("p2pnode.services.watching.SETTLE_S", 0.0),
        mock.patch.dict(tree.scan.__kwdefaults__, {"clock_ns": lambda: now() + 10 * TICK_NS}),
    ):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    (path / "sub").mkdir(parents=True)
    (path / "a.txt").write_bytes(b"a")
    (path / "sub" / "b.txt").write_bytes(b"b" * 2_000_000)
    os.symlink("a.txt", path / "link")
    return path


async def test_a_change_is_offered_once_and_published_by_the_person(folder: Path) -> None:
    async with a_post() as post:
        work = await post.publish(folder)
        one = await post.watching.turn_on(work, auto=False)
        assert (one.state, one.offer, post.told()) == ("watching", None, [])
        (folder / "a.txt").write_bytes(b"other")
        (folder / "new.txt").write_bytes(b"new")
        (folder / "sub" / "b.txt").unlink()
        offer = await post.look(one)
        assert offer is not None
        assert {name: offer[name] for name in ("added", "changed", "removed", "others", "bytes", "names")} == {
            "added": 1,
            "changed": 1,
            "removed": 1,
            "others": False,
            "bytes": 8,
            "names": ["a.txt", "new.txt"],
        }
        assert await post.look(one) == offer
        assert (len(post.told()), post.watching.offers(), one.state) == (1, 1, "offered")
        held = await post.person.store.read(lambda tx: tx.work(work.id))
        assert held is not None and held.root == work.root, "nothing is published by itself"
        await post.publish(folder, revises=work.id)
        assert await post.look(one) is None
        assert (one.state, post.watching.offers()) == ("watching", 0)


async def test_an_offer_survives_a_restart_and_a_change_while_nobody_ran_is_seen(folder: Path) -> None:
    async with a_post() as post:
        one = await post.watching.turn_on(await post.publish(folder), auto=False)
        (folder / "a.txt").write_bytes(b"other")
        offer = await post.look(one)
        for again in (False, True):
            post.watching = post.new_watching()
            async with trio.open_nursery() as nursery:
                await post.watching.start(nursery)
                (held,) = post.watching._all.values()
                assert held.offer == offer or again
                if again:
                    (folder / "more.txt").write_bytes(b"more")
                    await post.watching.look(held.work)
                    assert held.offer is not None and held.offer["added"] == 1
                nursery.cancel_scope.cancel()


async def test_what_is_taken_back_is_no_longer_offered(folder: Path) -> None:
    async with a_post() as post:
        one = await post.watching.turn_on(await post.publish(folder), auto=False)
        (folder / "a.txt").write_bytes(b"other")
        assert await post.look(one) is not None
        (folder / "a.txt").write_bytes(b"a")
        assert await post.look(one) is None
        assert one.state == "watching"


async def test_a_touched_file_is_no_change_and_is_read_once(folder: Path) -> None:
    async with a_post() as post:
        one = await post.watching.turn_on(await post.publish(folder), auto=False)
        os.utime(folder / "sub" / "b.txt", (1e9, 1e9))
        os.chmod(folder / "a.txt", 0o600)
        with mock.patch("p2pnode.local.glance.hash_file", wraps=hashing.hash_file) as read:
            assert await post.look(one) is None
            assert read.call_count == 2
            assert await post.look(one) is None
            assert read.call_count == 2
        assert post.told() == []


@pytest.mark.parametrize("change", ["link", "folder"])
async def test_links_and_folders_are_offered_too(folder: Path, change: str) -> None:
    async with a_post() as post:
        one = await post.watching.turn_on(await post.publish(folder), auto=False)
        if change == "link":
            (folder / "link").unlink()
            os.symlink("sub", folder / "link")
        else:
            (folder / "empty").mkdir()
        offer = await post.look(one)
        assert offer is not None and offer["others"] and not offer["changed"]


async def test_a_folder_that_is_away_is_said_to_be_and_comes_back(folder: Path, tmp_path: Path) -> None:
    async with a_post() as post:
        one = await post.watching.turn_on(await post.publish(folder), auto=True)
        shutil.move(folder, tmp_path / "away")
        assert await post.look(one) is None
        assert one.state == "away" and str(folder) in one.reason
        os.mkdir(folder)  # where a disk was mounted
        assert await post.look(one) is None
        assert one.state == "away" and "mounted" in one.reason
        os.rmdir(folder)
        shutil.move(tmp_path / "away", folder)
        assert await post.look(one) is None
        assert (one.state, post.told()) == ("watching", [])


async def test_what_is_still_changing_is_not_offered_yet(folder: Path) -> None:
    async with a_post() as post:
        one = await post.watching.turn_on(await post.publish(folder), auto=False)
        with mock.patch("p2pnode.services.watching.SETTLE_S", 1e9):
            (folder / "a.txt").write_bytes(b"once")
            assert await post.look(one) is None
            assert one.state == "settling"
            with mock.patch("p2pnode.services.watching.UNREST_S", -1.0):
                assert await post.look(one) is not None


async def test_told_so_it_publishes_by_itself(folder: Path) -> None:
    async with a_post() as post:
        work = await post.publish(folder)
        one = await post.watching.turn_on(work, auto=True)
        (folder / "a.txt").write_bytes(b"other")
        assert await post.look(one) is not None
        (running,) = [each for each in post.publishings._all.values() if each.order.revises == work.id]
        await running.ended.wait()
        assert running.state == "done"
        assert await post.look(one) is None


async def test_only_own_works_in_own_files_are_watched(folder: Path) -> None:
    async with a_post() as post:
        work = await post.publish(folder)
        with pytest.raises(NotFoundError):
            await post.watching.turn_off(work.id)
        await post.person.store.write(lambda tx: tx.set_work_state(work.id, "kept"))
        kept = await post.person.store.read(lambda tx: tx.work(work.id))
        assert kept is not None
        with pytest.raises(RefusedError):
            await post.watching.turn_on(kept, auto=False)
        await post.person.store.write(lambda tx: tx.set_work_state(work.id, "own"))
        one = await post.watching.turn_on(work, auto=False)
        await post.watching.turn_off(work.id)
        assert post.watching.of(one.work) is None
        assert await post.person.store.read(lambda tx: tx.meta_with_prefix("watch/")) == []


async def test_an_unpublished_work_is_watched_no_more(folder: Path) -> None:
    async with a_post() as post:
        one = await post.watching.turn_on(await post.publish(folder), auto=True)
        await post.person.store.write(lambda tx: tx.drop_work(one.work))
        (folder / "a.txt").write_bytes(b"other")
        assert await post.look(one) is None
        assert post.watching.shown() == []


async def test_a_lone_file_can_be_watched(folder: Path) -> None:
    async with a_post() as post:
        one = await post.watching.turn_on(await post.publish(folder / "a.txt"), auto=False)
        (folder / "a.txt").write_bytes(b"other")
        offer = await post.look(one)
        assert offer is not None and (offer["changed"], offer["removed"]) == (1, 0)
