"""Publishing: what is committed together, what is refused, and that nothing is left of what failed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.core.ids import CircleId, WorkId, parse_id
from p2pnode.core.manifest import Manifest
from p2pnode.core.record import BALLOT, MANIFEST, PROPOSAL
from p2pnode.errors import RefusedError, UsageError
from p2pnode.local.tree import root_cid
from p2pnode.ports import Json
from p2pnode.services.outbox import provide_keys
from p2pnode.services.publish import Description, Publish
from tests.support.loopback import Hub
from tests.support.people import Person

pytestmark = pytest.mark.trio


@asynccontextmanager
async def anna() -> AsyncIterator[tuple[Person, Publish]]:
    async with trio.open_nursery() as nursery:
        person = Person(Hub(nursery), "anna")
        yield person, Publish(person.store, person.me, person.admission, person.clock, lambda: None)
        nursery.cancel_scope.cancel()


async def publish(publishing: Publish, path: Path, title: str = "Bees", **options: Any) -> Json:
    given: dict[str, Any] = {"circle": None, "private": False, "on_progress": lambda progress: None} | options
    licence = given.pop("licence", "")
    return await publishing.run(str(path), Description(title=title, licence=licence, tags=["insects"]), **given)


def a_folder(path: Path) -> Path:
    (path / "in" / "deep").mkdir(parents=True)
    (path / "in" / "a.txt").write_text("a")
    (path / "in" / "deep" / "b.txt").write_text("b" * 3_000_000)
    return path / "in"


def due(person: Person, kind: str) -> Any:
    return person.store.read(lambda tx: [item.payload for item in tx.due_outbox(1e12, 100) if item.kind == kind])


async def test_a_public_work_is_signed_pinned_and_queued_in_one_go(tmp_path: Path) -> None:
    async with anna() as (person, publishing):
        path = a_folder(tmp_path)
        answer = await publish(publishing, path, licence="cc-by-4.0")
        assert (answer["bytes"], answer["files"], answer["skipped"]) == (3_000_001, 2, [])
        assert answer["cid"] == str(root_cid(str(path)))
        work = await person.store.read(lambda tx: tx.work(WorkId(parse_id("w", answer["work"]))))
        assert work is not None
        assert (work.state, work.private, work.licence, work.author) == (
            "own",
            False,
            "CC-BY-4.0",
            person.me.profile.public,
        )
        assert Manifest.of(work.manifest).tags == ("insects",)
        assert await person.store.read(lambda tx: tx.pinned(work.root))
        assert sorted(await due(person, "provide")) == sorted(provide_keys(work))
        files = await person.store.read(lambda tx: tx.content_files(work.root, 10))
        assert sorted(files) == [("a.txt", 1), ("deep/b.txt", 3_000_000)]
        leaf = root_cid(str(path / "a.txt"))
        assert await person.store.read_block(leaf, public_only=True) == b"a"


async def test_a_private_work_can_be_made_public_under_its_title(tmp_path: Path) -> None:
    async with anna() as (person, publishing):
        folder = a_folder(tmp_path)
        private = await publish(publishing, folder, private=True)
        public = await publish(publishing, folder)
        assert public["work"] != private["work"]
        assert await person.store.read_block(root_cid(str(folder / "a.txt")), public_only=True) == b"a"
        for again in (True, False):
            with pytest.raises(RefusedError, match="already published"):
                await publish(publishing, folder, private=again)


async def test_a_private_work_is_told_to_nobody(tmp_path: Path) -> None:
    async with anna() as (person, publishing):
        answer = await publish(publishing, a_folder(tmp_path), private=True)
        assert await due(person, "provide") == await due(person, "gossip") == []
        leaf = root_cid(str(tmp_path / "in" / "a.txt"))
        assert await person.store.read_block(leaf) == b"a"
        assert await person.store.read_block(leaf, public_only=True) is None
        assert answer["signed_as"] == "profile"


async def test_in_a_circle_manifest_proposal_and_ballot_come_together(tmp_path: Path) -> None:
    async with anna() as (person, publishing):
        circle: CircleId = await person.create()
        answer = await publish(publishing, a_folder(tmp_path), circle=circle)
        kinds = [record.kind for record in await person.store.read(lambda tx: tx.records(circle))]
        assert sorted(kinds) == sorted([MANIFEST, PROPOSAL, BALLOT])
        work = WorkId(parse_id("w", answer["work"]))
        assert (await person.views.of(circle)).work_verdict(work).verdict == "listed"
        row = await person.store.read(lambda tx: tx.work(work))
        assert row is not None
        assert (row.state, row.circle) == ("own", circle)
        assert row.author != person.me.profile.public, "in a circle the pseudonym signs"


async def test_what_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    async with anna() as (person, publishing):
        path = a_folder(tmp_path)
        await publish(publishing, path)
        before = await person.store.read(lambda tx: (tx.count_works(), tx.stored_bytes()))
        with pytest.raises(RefusedError, match="already published"):
            await publish(publishing, path)
        for wrong in (
            {"title": "  "},
            {"licence": "no such licence"},
            {"circle": CircleId(bytes(32)), "private": True},
        ):
            with pytest.raises(UsageError):
                await publish(publishing, path, **wrong)
        with pytest.raises(UsageError, match="cannot be read"):
            await publish(publishing, tmp_path / "nowhere")
        assert await person.store.read(lambda tx: (tx.count_works(), tx.stored_bytes())) == before
        assert await unfinished(person) == 0


async def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    async with anna() as (person, publishing):
        big = tmp_path / "big"
        big.touch()
        os.truncate(big, 1 << 30)
        with trio.CancelScope() as scope:
            await publish(publishing, big, on_progress=lambda progress: scope.cancel())
        assert scope.cancelled_caught
        assert await unfinished(person) == 0
        assert await person.store.read(lambda tx: tx.count_works()) == 0


async def test_the_same_content_under_another_title_is_another_work(tmp_path: Path) -> None:
    async with anna() as (person, publishing):
        path = a_folder(tmp_path)
        one, other = await publish(publishing, path), await publish(publishing, path, "Wasps")
        assert one["work"] != other["work"]
        assert one["cid"] == other["cid"]
        assert await unfinished(person) == 0


async def unfinished(person: Person) -> int:
    """Contents in the store that are neither complete nor being fetched."""
    return int(
        await person.store.read_rows(
            lambda tx, db: db.execute("SELECT count(*) FROM contents WHERE state = 'building'").fetchone()[0]
        )
    )
