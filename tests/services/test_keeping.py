"""What a person decides about what is kept: unpublish, pin, unpin, remove; and what goes by itself when space is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import PeerId, WorkId, parse_id
from p2pnode.core.words import word_key
from p2pnode.errors import NotFoundError, RefusedError
from p2pnode.ports import Json, Stock, Work
from p2pnode.services.keeping import Keeping
from p2pnode.services.keeping_copies import COPY_VALID_S, Copies
from p2pnode.services.keeping_space import BUSY, LAST_COPY, OWN, PINNED, Space, judge
from p2pnode.services.keeping_verify import Checking
from p2pnode.services.outbox import root_key
from p2pnode.services.publish import Description
from tests.services.test_transfers import Sharer
from tests.store.samples import bytes_of
from tests.support.loopback import Hub
from tests.support.people import NOON

pytestmark = pytest.mark.trio

DEADLINE_S = 20.0
DAY_S = 86_400.0


class Keeper(Sharer):
    """A person with all of what keeping needs."""

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(hub, name)
        self.keeping = Keeping(self.store, self.network, self.transfers, self._told)
        self.copies = Copies(self.store, self.network, self.clock)
        self.checking = Checking(self.store, self.transfers, self.clock, self._told)
        self.checking.start()

    def _told(self, name: str, data: Json) -> None:
        self.events.append((name, data))

    def space(self, quota_bytes: int = 1 << 40) -> Space:
        self.store._quota_bytes = quota_bytes
        space = Space(
            self.store,
            self.keeping,
            self.copies,
            self.clock,
            self.transfers.shown,
            quota_bytes=quota_bytes,
            floor_bytes=0,
        )
        self.store.when_full(space.make_room)
        return space

    async def publish_file(self, path: Path, title: str, *, private: bool = False) -> Json:
        return await self.publishing.run(
            str(path), Description(title=title), circle=None, private=private, on_progress=lambda progress: None
        )

    async def held(self, published: Json) -> Work:
        work = await self.store.read(lambda tx: tx.work(WorkId(parse_id("w", published["work"]))))
        assert work is not None
        return work


@asynccontextmanager
async def keepers(*names: str) -> AsyncIterator[list[Keeper]]:
    """Everybody serves, and is connected to the first."""
    async with trio.open_nursery() as nursery:
        hub = Hub(nursery)
        everybody = [Keeper(hub, name) for name in names]
        for one in everybody:
            one.serve()
            await one.transfers.start(nursery)
        for one in everybody[1:]:
            await one.network.connect(everybody[0].network.addresses()[0])
        with trio.fail_after(DEADLINE_S):
            yield everybody
        nursery.cancel_scope.cancel()


def a_file(folder: Path, name: str, size: int = 300_000) -> Path:
    path = folder / name
    path.write_bytes(bytes_of(size, name))
    return path


async def test_what_is_unpublished_is_neither_served_nor_told_and_its_files_stay(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(path := a_file(tmp_path, "a.txt"), "A")
        root = Cid.parse(published["cid"])
        await anna.network.provide(root_key(root))
        answer = await anna.keeping.unpublish(published["work"])
        assert (answer["title"], answer["shared_with"], answer["in_circle"]) == ("A", [], False)
        assert path.read_bytes() == bytes_of(300_000, "a.txt")
        assert await anna.store.read_block(root, public_only=True) is None
        assert await anna.store.read(lambda tx: tx.stored_bytes()) == 0
        assert not await anna.store.read(lambda tx: tx.pinned(root))
        assert await anna.store.read(lambda tx: tx.works()) == []
        assert await anna.store.read(lambda tx: tx.due_outbox(1e12, 99)) == [], "nothing of it is still to be told"
        assert await ben.network.find_providers(root_key(root)) == []
        assert await ben.search.find_work(WorkId(parse_id("w", published["work"])), timeout_s=1) is None
        assert ("work.unpublished", published["work"]) in [(name, data.get("work")) for name, data in anna.events]
        with pytest.raises(RefusedError, match="not published here"):
            await anna.keeping.unpublish(published["work"])
        again = await anna.publish_file(path, "A")
        assert again["cid"] == published["cid"]
        assert again["work"] != published["work"], "a new work, as its help says"


async def test_a_word_is_told_as_long_as_another_work_has_it(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        first = await anna.publish_file(a_file(tmp_path, "a.txt"), "Common Seagull")
        await anna.publish_file(a_file(tmp_path, "b.txt"), "Common Cormorant")
        words = [word_key(word) for word in ("common", "seagull", "cormorant")]
        anna.network.answer_for(words)
        await anna.keeping.unpublish(first["work"])
        assert [anna.network.answers_for(word) for word in words] == [True, False, True]
        assert await ben.network.find_providers(words[1]) == []


async def test_two_works_of_one_content_are_let_go_one_by_one(tmp_path: Path) -> None:
    async with keepers("anna") as (anna,):
        path = a_file(tmp_path, "a.txt")
        public, private = await anna.publish_file(path, "A"), await anna.publish_file(path, "B", private=True)
        root = Cid.parse(public["cid"])
        answer = await anna.keeping.unpublish(public["work"])
        assert answer["shared_with"] == [private["work"]]
        assert await anna.store.read_block(root, public_only=True) is None, "what is left is private"
        assert await anna.store.read_block(root) is not None
        await anna.keeping.unpublish(private["work"])
        assert await anna.store.read_block(root) is None


async def test_a_fetched_work_is_removed_at_once_and_may_be_fetched_again(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "a.txt"), "A")
        got = await ben.get(published["work"])
        owned = await ben.store.read(lambda tx: tx.stored_bytes())
        assert owned >= 300_000
        answer = await ben.keeping.remove(published["work"])
        assert (answer["freed_bytes"], answer["shared_bytes"]) == (owned, 0)
        assert answer["undo"] == f"p2pnode get {published['work']}"
        assert await ben.store.read(lambda tx: tx.stored_bytes()) == 0
        assert ben.store.area.entries == {}
        assert (await ben.held(published)).state == "heard"
        assert await ben.store.read(lambda tx: tx.due_outbox(1e12, 99)) == []
        with pytest.raises(NotFoundError, match="not kept here"):
            await ben.keeping.remove(published["work"])
        assert (await ben.get(published["work"]))["bytes"] == got["bytes"]
        assert (await ben.keeping.remove(published["cid"]))["work"] == published["work"], "its CID will do"


async def test_bytes_that_two_works_share_stay_with_the_other(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        same = bytes_of(50_000, "same")
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "same.bin").write_bytes(same)
            (tmp_path / name / "own.bin").write_bytes(bytes_of(60_000, name))
        one = await anna.publish_file(tmp_path / "one", "One")
        two = await anna.publish_file(tmp_path / "two", "Two")
        await ben.get(one["work"])
        alone = await ben.store.read(lambda tx: tx.stored_bytes())
        await ben.get(two["work"])
        answer = await ben.keeping.remove(one["work"])
        assert answer["shared_bytes"] == len(same), "the small leaf's row; files are never shared"
        assert answer["freed_bytes"] == alone - len(same)
        for cid in await ben.store.read(lambda tx: tx.sample(Cid.parse(two["cid"]), 99)):
            assert await ben.store.read_block(cid, public_only=True) is not None
        assert (await ben.get(two["work"], tmp_path / "copy"))["bytes"] == 110_000


async def test_own_works_are_not_removed_and_others_not_unpublished(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "a.txt"), "A")
        for text in (published["work"], published["cid"]):
            with pytest.raises(RefusedError) as caught:
                await anna.keeping.remove(text)
            assert "unpublish" in caught.value.hint
        await ben.get(published["work"])
        with pytest.raises(RefusedError, match="not your own") as caught:
            await ben.keeping.unpublish(published["work"])
        assert "remove" in caught.value.hint
        for call in (ben.keeping.remove, ben.keeping.pin, ben.keeping.unpin, ben.keeping.unpublish):
            with pytest.raises(NotFoundError):
                await call("nonsense")


async def test_removing_what_is_being_fetched_stops_the_transfer(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "a.bin", 3_000_000), "A")
        anna.hub.break_after = 1_500_000
        async with trio.open_nursery() as nursery:

            async def get() -> None:
                with pytest.raises(RefusedError, match="cancelled"):
                    await ben.get(published["work"])

            nursery.start_soon(get)
            while not await ben.store.read(lambda tx: tx.stock()):  # noqa: ASYNC110
                await trio.sleep(0.01)
            answer = await ben.keeping.remove(published["work"])
        assert answer["freed_bytes"] > 0
        assert await ben.store.read(lambda tx: (tx.stored_bytes(), tx.stock())) == (0, [])
        assert ben.store.area.entries == {}
        anna.hub.break_after = None
        assert (await ben.get(published["work"]))["bytes"] == 3_000_000


async def test_pinning_what_is_here(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "a.txt"), "A")
        with pytest.raises(NotFoundError) as caught:
            await ben.keeping.pin(published["work"])
        assert "get" in caught.value.hint
        await ben.get(published["work"])
        root = Cid.parse(published["cid"])
        assert (await ben.keeping.unpin(published["work"]))["pinned"] is False
        assert not await ben.store.read(lambda tx: tx.pinned(root))
        assert (await ben.keeping.pin(published["cid"]))["pinned"] is True
        assert await ben.store.read(lambda tx: tx.pinned(root))


# ---------------------------------------------------------------- the order, and making room


def a_stock(number: int, **changes: object) -> Stock:
    values: dict[str, object] = {
        "root": Cid.of(0x55, b"%d" % number), "state": "complete", "files_bytes": 1000, "rows_bytes": 10, "in_place": False, "owned": True,
        "pinned": False, "used": NOON, "path": "", "damaged": 0, "copies": ((PeerId("a"), NOON),),
    }  # fmt: skip
    return Stock(**{**values, **changes})  # type: ignore[arg-type]


async def test_the_order_in_which_works_go() -> None:
    two = ((PeerId("a"), NOON), (PeerId("b"), NOON))
    expected = [
        a_stock(1, state="partial", used=NOON, copies=()),
        a_stock(2, used=0.0),
        a_stock(3, used=NOON - 2 * DAY_S),
        a_stock(4, copies=two),
        a_stock(5, files_bytes=5000),
        a_stock(6),
    ]
    stays = [
        (a_stock(7, pinned=True), PINNED),
        (a_stock(8, in_place=True), OWN),
        (a_stock(9, copies=()), LAST_COPY),
        (a_stock(10, copies=((PeerId("a"), NOON - COPY_VALID_S - 1),)), LAST_COPY),
        (busy := a_stock(11), BUSY),
    ]
    judged = judge([s for s, _ in stays] + expected[::-1], NOON, lambda root: root == busy.root)
    assert [(one.order, one.stock.root) for one in judged[:6]] == [(n, s.root) for n, s in enumerate(expected, 1)]
    assert [(one.stock.root, one.reason, one.order) for one in judged[6:]] == [(s.root, why, None) for s, why in stays]


async def three_works(anna: Keeper, ben: Keeper, folder: Path) -> list[Json]:
    """Ben has fetched One on the first day, Two on the second; both are unpinned; Three is still to come."""
    works = [await anna.publish_file(a_file(folder, name), name) for name in ("One", "Two", "Three")]
    for work in works[:2]:
        await ben.get(work["work"])
        root = Cid.parse(work["cid"])
        await ben.store.write(lambda tx, root=root: tx.set_used(root, ben.now))  # type: ignore[misc]
        await ben.keeping.unpin(work["work"])
        ben.now += DAY_S
    return works


async def test_room_is_made_by_the_rule_and_no_further(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        one, two, three = await three_works(anna, ben, tmp_path)
        space = ben.space(quota_bytes=700_000)
        assert (await ben.get(three["work"]))["bytes"] == 300_000
        assert [(await ben.held(work)).state for work in (one, two, three)] == ["heard", "kept", "kept"]
        assert await ben.store.read(lambda tx: tx.stored_bytes()) <= 700_000
        ((_, told),) = [event for event in ben.events if event[0] == "work.removed"]
        assert (told["title"], told["reason"]) == ("One", "space was needed; it was not pinned")
        shown = {item["works"][0]["title"]: item for item in (await space.show())["items"]}
        assert (shown["Two"]["evictable"], shown["Three"]["reason"]) == (False, PINNED)
        assert shown["Two"]["reason"] == LAST_COPY, "nobody was asked for it yet"
        assert await ben.copies.look((await ben.store.read(lambda tx: tx.stock(Cid.parse(two["cid"]))))[0]) == 1
        shown = {item["works"][0]["title"]: item for item in (await space.show())["items"]}
        assert (shown["Two"]["evictable"], shown["Two"]["order"], shown["Two"]["copies"]) == (True, 1, 1)


@pytest.mark.parametrize("why", ["pinned", "last copy", "too little"])
async def test_when_the_rule_forbids_it_nothing_goes_and_the_fetch_is_refused(tmp_path: Path, why: str) -> None:
    async with keepers("anna", "ben", "cleo") as (anna, ben, cleo):
        one, two, three = await three_works(anna, ben, tmp_path)
        ben.space(quota_bytes=700_000 if why != "too little" else 200_000)
        if why == "pinned":
            for work in (one, two):
                await ben.keeping.pin(work["work"])
        elif why == "last copy":  # Anna has them no more; Cleo, who only claims to, does not count
            await cleo.get(three["work"])
            for work in (one, two):
                await anna.keeping.unpublish(work["work"])
                await cleo.network.provide(root_key(Cid.parse(work["cid"])))
        with pytest.raises(RefusedError, match=r"the store owns 0\.\d MiB|the store owns \d+ bytes") as caught:
            await ben.get(three["work"])
        assert "p2pnode storage" in caught.value.hint
        assert [(await ben.held(work)).state for work in (one, two)] == ["kept", "kept"]
        for work in (one, two):
            assert await ben.store.read_block(Cid.parse(work["cid"])) is not None


async def test_who_has_only_a_part_is_no_copy(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "a.bin", 4_000_000), "A")
        await ben.get(published["work"])
        root = Cid.parse(published["cid"])
        (stock,) = await ben.store.read(lambda tx: tx.stock(root))
        assert await ben.copies.look(stock) == 1
        (tmp_path / "a.bin").write_bytes(bytes_of(1_500_000, "a.bin"))  # it has become shorter
        (stock,) = await ben.store.read(lambda tx: tx.stock(root))
        assert await ben.copies.look(stock) == 1, "seen within the hour"
        ben.now += 2 * 3600
        assert await ben.copies.look(stock) == 0
        assert (await ben.store.read(lambda tx: tx.stock(root)))[0].copies == ()
