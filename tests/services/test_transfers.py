"""Getting a work: whoever asks, it belongs to the node; it goes on, is joined, cancelled and resumed, and ends kept and told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import WorkId, id_text, parse_id
from p2pnode.core.manifest import describe, first
from p2pnode.core.records import seq_of
from p2pnode.errors import (
    FullDiskError,
    NoRoomError,
    NotFoundError,
    P2pnodeError,
    RefusedError,
    StoreError,
    TimedOutError,
)
from p2pnode.ports import Json, Tx
from p2pnode.services import transfer_course
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.publish import Description, Publish
from p2pnode.services.search import Search
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.transfers import Transfers
from p2pnode.store.incoming import StoreIncoming
from tests.support.loopback import Hub
from tests.support.people import NOON, Person

pytestmark = pytest.mark.trio

DEADLINE_S = 15.0


class Sharer(Person):
    """A person whose node publishes, searches, serves and fetches."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(hub, name)
        self.search = Search(self.store, self.network, self.views, self.clock, lambda peers: sorted(peers))
        self.search.start()
        self.publishing = Publish(self.store, self.me, self.admission, self.clock, lambda: None)
        self.transfers = self.new_transfers()

    def serve(self) -> None:
        ServeBlocks(self.network, self.store).start()

    def new_transfers(self) -> Transfers:
        """As after a restart: only the store is carried over."""
        return Transfers(
            self.store,
            self.network,
            self.search,
            self.clock,
            lambda name, data: self.events.append((name, data)),
            lambda: None,
        )

    async def share(self, path: Path) -> Json:
        description = Description(title="Wild Bees")
        return await self.publishing.run(str(path), description, circle=None, private=False, on_progress=_ignore)

    async def get(self, what: str, path: Path | None = None, **options: Any) -> Json:
        return await self.transfers.get(what, None if path is None else str(path), on_progress=_ignore, **options)


def _ignore(progress: Json) -> None:
    pass


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Sharer, Sharer, trio.Nursery]]:
    """Anna, who has a work, and Ben; connected, Ben's transfers running. Anna serves once `serve` is called."""
    async with trio.open_nursery() as nursery:
        hub = Hub(nursery)
        anna, ben = Sharer(hub, "anna"), Sharer(hub, "ben")
        await ben.network.connect(anna.network.addresses()[0])
        await ben.transfers.start(nursery)
        with trio.fail_after(DEADLINE_S):
            yield anna, ben, nursery
        nursery.cancel_scope.cancel()


def a_book(folder: Path) -> Path:
    (folder / "book").mkdir()
    (folder / "book" / "one.txt").write_bytes(b"1" * 2_500_000)
    (folder / "book" / "two.txt").write_bytes(b"2" * 100)
    return folder / "book"


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  (what it waits for has no event; the test has a deadline)
        await trio.sleep(0.01)


async def test_a_work_is_fetched_kept_pinned_and_told(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        anna.serve()
        published = await anna.share(a_book(tmp_path))
        answer = await ben.get(published["work"], tmp_path / "copy")
        assert (answer["bytes"], answer["providers"], answer["path"]) == (2_500_100, 1, str(tmp_path / "copy"))
        assert (tmp_path / "copy" / "one.txt").read_bytes() == b"1" * 2_500_000
        work = await ben.store.read(lambda tx: tx.work(WorkId(parse_id("w", published["work"]))))
        assert work is not None
        assert work.state == "kept"
        assert await ben.store.read(lambda tx: tx.pinned(work.root))
        assert any(item.kind == "provide" for item in await ben.store.read(lambda tx: tx.due_outbox(1e12, 100)))
        assert ("work.fetched", published["cid"]) in [(name, data.get("cid")) for name, data in ben.events]
        assert (await ben.get(published["cid"]))["providers"] == 0, "what is here is not fetched again"


async def test_content_larger_than_its_manifest_says_is_refused(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        anna.serve()
        published = await anna.share(a_book(tmp_path))
        fields = describe(title="A leaflet", root=Cid.parse(published["cid"]), bytes=1000, files=2)

        def write(tx: Tx) -> str:
            record = first(anna.me.profile, fields, nonce=bytes(16), seq=seq_of(int(NOON), 99), created=int(NOON))
            row = put_manifest(tx, record, state="own", private=False, added=NOON)
            assert row is not None
            return id_text("w", row.id)

        leaflet = await anna.store.write(write)
        with pytest.raises(RefusedError, match="at most 1000"):
            await ben.get(leaflet)
        assert await ben.store.read(lambda tx: tx.works()) == []


async def test_a_full_disk_fails_the_transfer_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two() as (anna, ben, _):
        anna.serve()
        published = await anna.share(a_book(tmp_path))
        work = await ben.search.find_work(WorkId(parse_id("w", published["work"])), timeout_s=5)
        assert work is not None

        async def full(*about: Any, **options: Any) -> Any:
            raise StoreError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(ben.store, "write", full)
            with pytest.raises(StoreError, match="full"):
                await ben.get(published["work"])
            await until(lambda: not ben.transfers.is_running(work.root))
        assert [shown["state"] for shown in ben.transfers.shown()] == ["failed"]
        assert (await ben.get(published["work"]))["bytes"] == 2_500_100, "there is room again"


@pytest.mark.parametrize(
    "error", [FullDiskError("the disk is full"), NoRoomError("no room", hint="make some", needed_bytes=1)]
)
async def test_a_disk_that_fills_up_on_the_way_makes_the_transfer_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: P2pnodeError
) -> None:
    monkeypatch.setattr(transfer_course, "ROOM_RETRY_S", 0.02)
    put_leaf, came, is_full = StoreIncoming.put_leaf, 0, True

    async def fills_up(self: StoreIncoming, cid: Cid, data: bytes) -> None:
        nonlocal came
        if came and is_full:
            raise error
        came += 1
        await put_leaf(self, cid, data)

    monkeypatch.setattr(StoreIncoming, "put_leaf", fills_up)
    async with two() as (anna, ben, nursery):
        anna.serve()
        published = await anna.share(a_book(tmp_path))
        nursery.start_soon(ben.get, published["work"])
        await until(lambda: any("waits for room" in shown["reason"] for shown in ben.transfers.shown()))
        (waiting,) = ben.transfers.shown()
        assert waiting["state"] == "queued" and error.message in waiting["reason"]
        is_full = False
        await until(lambda: ben.transfers.shown()[0]["state"] == "done")
    assert came == 3, "what had come did not come again"


async def test_nothing_is_overwritten_and_nothing_unknown_is_fetched(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        published = await anna.share(a_book(tmp_path))
        with pytest.raises(RefusedError, match="exists already"):
            await ben.get(published["work"], tmp_path)
        for unknown in ("nonsense", "w-aaaaaa", "bafynonsense"):
            with pytest.raises(NotFoundError):
                await ben.get(unknown)
        assert ben.transfers.shown() == []
        with pytest.raises(NotFoundError, match="nobody who can be reached now knows of w-") as refused:
            await ben.get(id_text("w", bytes(32)))
        assert "whole id" not in refused.value.hint, "it was whole"


async def test_who_does_not_wait_any_longer_leaves_the_transfer_running(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        published = await anna.share(a_book(tmp_path))
        with pytest.raises(TimedOutError, match="not complete after"):
            await ben.get(published["work"], timeout_s=0.1)
        assert [shown["state"] for shown in ben.transfers.shown()] in (["waiting"], ["finding"])
        anna.serve()
        await until(lambda: [shown["state"] for shown in ben.transfers.shown()] == ["done"])


async def test_two_who_want_the_same_share_one_transfer(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        published = await anna.share(a_book(tmp_path))
        answers: list[Json] = []

        async def get(what: str) -> None:
            answers.append(await ben.get(what))

        async with trio.open_nursery() as both:
            both.start_soon(get, published["work"])
            both.start_soon(get, published["cid"])
            await until(lambda: ben.transfers.shown())
            anna.serve()
        assert len(ben.transfers.shown()) == 1
        assert answers[0]["path"] == answers[1]["path"]


async def test_a_cancelled_transfer_says_so_to_who_waits_and_is_not_taken_up_again(tmp_path: Path) -> None:
    async with two() as (anna, ben, nursery):
        published = await anna.share(a_book(tmp_path))
        failed: list[RefusedError] = []

        async def get() -> None:
            try:
                await ben.get(published["work"])
            except RefusedError as error:
                failed.append(error)

        async with trio.open_nursery() as waiting:
            waiting.start_soon(get)
            await until(lambda: ben.transfers.shown())
            await ben.transfers.cancel(ben.transfers.shown()[0]["transfer"])
        assert "cancelled" in failed[0].message
        assert ben.transfers.shown()[0]["state"] == "cancelled"
        restarted = ben.new_transfers()
        await restarted.start(nursery)
        assert restarted.shown() == []
        with pytest.raises(NotFoundError):
            await ben.transfers.cancel("t-1")


async def test_what_a_stop_interrupted_goes_on_after_the_start(tmp_path: Path) -> None:
    async with two() as (anna, ben, nursery):
        published = await anna.share(a_book(tmp_path))
        async with trio.open_nursery() as run:
            stopped = ben.new_transfers()
            await stopped.start(run)
            with pytest.raises(TimedOutError):
                await stopped.get(published["work"], None, on_progress=_ignore, timeout_s=0.05)
            run.cancel_scope.cancel()
        anna.serve()
        restarted = ben.new_transfers()
        await restarted.start(nursery)
        assert [shown["work"] for shown in restarted.shown()] == [published["work"]]
        await until(lambda: restarted.shown()[0]["state"] == "done")
        works = await ben.store.read(lambda tx: tx.works())
        assert [(work.title, work.state) for work in works] == [("Wild Bees", "kept")]


@pytest.mark.parametrize("copied", [True, False])
async def test_what_is_not_as_its_author_had_it_is_told(copied: bool, tmp_path: Path) -> None:
    book = a_book(tmp_path)
    (book / "link").symlink_to("one.txt")
    (book / "two\nlines").write_bytes(b"odd")
    async with two() as (anna, ben, _):
        anna.serve()
        published = await anna.share(book)
        answer = await ben.get(published["work"], tmp_path / "copy" if copied else None)
        assert (answer["left_out"], answer["left_out_count"]) == (["link"], 1)
        assert (answer["renamed"], answer["renamed_count"]) == ([{"name": "two\nlines", "path": "two%0Alines"}], 1)
        if copied:  # the store in memory makes no library
            assert (tmp_path / "copy" / "two%0Alines").read_bytes() == b"odd"
        assert "left_out" not in await anna.get(published["work"]), "her own files lie as they are"


async def test_peers_that_have_nothing_of_it_are_not_called_its_source(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        anna.serve()
        nowhere = str(Cid.v1(RAW, bytes(32)))
        with pytest.raises(TimedOutError) as refused:
            await ben.get(nowhere, timeout_s=0.3)
        assert "from one provider" not in refused.value.message
        [shown] = ben.transfers.shown()
        assert (shown["state"], shown["bytes"]) != ("fetching", 0), shown
