"""Verify: asked for and by itself; damage is told in words, mended from peers, and a file of the user's is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from p2pnode.core.cid import Cid
from p2pnode.errors import ChangedError, NotFoundError
from p2pnode.ports import Json
from p2pnode.services import keeping_verify
from p2pnode.services.keeping_verify import POSITION
from tests.services.test_keeping import Keeper, a_file, keepers
from tests.store.samples import bytes_of
from tests.support.waiting import until

pytestmark = pytest.mark.trio


def rot(keeper: Keeper, name: str, at: int = 1_200_000) -> None:
    """Flip a byte of a file in the library."""
    content = keeper.store.area.entries[name]
    assert content is not None
    content[at] ^= 1


async def verified(keeper: Keeper, text: str | None = None, *, repair: bool = False) -> Json:
    told: list[Json] = []
    answer = await keeper.checking.verify(text, repair=repair, on_progress=told.append)
    assert told, "it says how far it is"
    return answer


async def test_rot_is_told_and_mended_from_who_has_it(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "A", 3_000_000), "A")
        got = await ben.get(published["work"])
        whole = await verified(ben, published["work"])
        assert (whole["damaged_blocks"], whole["items"], whole["repairs"]) == (0, [], [])
        assert whole["bytes"] >= 3_000_000
        rot(ben, "A")
        answer = await verified(ben)
        (item,) = answer["items"]
        assert (item["blocks"], item["reason"], item["path"], item["owned"]) == (1, "changed", got["path"], True)
        assert item["works"] == [{"work": published["work"], "title": "A"}]
        assert "not those that were published" in item["words"]
        (leaf,) = [one.offset for one in await ben.store.read(lambda tx: tx.damage(Cid.parse(published["cid"]), 9))]
        assert leaf == 1 << 20
        again = await verified(ben, published["cid"], repair=True)
        assert (again["damaged_blocks"], [one["state"] for one in again["repairs"]]) == (0, ["repaired"])
        assert bytes(ben.store.area.entries["A"] or b"") == bytes_of(3_000_000, "A")
        assert "content.mended" in [name for name, _ in ben.events]


async def test_what_is_damaged_is_mended_by_get_too_and_stays_unpinned(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "A", 3_000_000), "A")
        await ben.get(published["work"])
        await ben.keeping.unpin(published["work"])
        rot(ben, "A")
        await verified(ben)
        await verified(ben, repair=True)
        root = Cid.parse(published["cid"])
        assert not await ben.store.read(lambda tx: tx.pinned(root))
        rot(ben, "A", 0)
        with pytest.raises(ChangedError):
            for cid in await ben.store.read(lambda tx: tx.sample(root, 99)):
                await ben.store.read_block(cid)
        assert (await ben.get(published["work"]))["providers"] == 1, "get mends what a reader ran into"
        assert bytes(ben.store.area.entries["A"] or b"") == bytes_of(3_000_000, "A")


async def test_a_repair_that_nobody_can_help_with_waits_in_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping_verify, "REPAIR_WAIT_S", 0.2)
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "A", 3_000_000), "A")
        await ben.get(published["work"])
        anna.network.online = False
        rot(ben, "A")
        answer = await verified(ben, repair=True)
        assert [one["state"] for one in answer["repairs"]] == ["waiting"]
        assert answer["damaged_blocks"] == 1
        assert await ben.store.read_block(Cid.parse(published["cid"]), public_only=True), "the rest is served"


async def test_a_file_of_ones_own_that_changed_is_told_and_left_alone(tmp_path: Path) -> None:
    async with keepers("anna") as (anna,):
        path = a_file(tmp_path, "mine.txt", 2_000_000)
        published = await anna.publish_file(path, "Mine")
        path.write_bytes(b"edited")
        answer = await verified(anna, published["work"], repair=True)
        assert [(item["path"], item["owned"], item["reason"]) for item in answer["items"]] == [
            (str(path), False, "short")
        ]
        assert answer["damaged_blocks"] == 2
        assert all("publish it again" in item["words"] for item in answer["items"])
        assert [one["state"] for one in answer["repairs"]] == ["left"]
        assert path.read_bytes() == b"edited"
        assert (await anna.publish_file(path, "Mine"))["cid"] != published["cid"]


async def test_what_is_private_is_not_asked_of_others(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, _):
        published = await anna.publish_file(a_file(tmp_path, "a", 3_000_000), "A", private=True)
        root = Cid.parse(published["cid"])
        await anna.store.write_rows(lambda tx, db: db.execute("UPDATE blocks SET data = x'00'"))
        answer = await verified(anna, repair=True)
        assert [(one["state"], one["reason"]) for one in answer["repairs"]] == [
            ("left", "it is private: nobody else has it")
        ]
        with pytest.raises(ChangedError, match="private"):
            await anna.get(published["work"])
        assert not (await anna.store.read(lambda tx: tx.content(root))).public  # type: ignore[union-attr]
        assert anna.network.opened == []


async def test_nothing_to_verify_is_said() -> None:
    async with keepers("anna") as (anna,):
        assert (await verified(anna))["damaged_blocks"] == 0
        with pytest.raises(NotFoundError):
            await verified(anna, "w-aaaaaa")
        with pytest.raises(NotFoundError, match="is not here"):
            await verified(anna, str(Cid.of(0x55, b"x")))


async def test_a_little_is_read_every_day_and_the_place_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, quick in {"TICK_S": 0.01, "LOOK_AGAIN_S": 0.01, "IDLE_RATE_BYTES_S": 1 << 30}.items():
        monkeypatch.setattr(keeping_verify, name, quick)
    monkeypatch.setattr(keeping_verify, "IDLE_STEP_BYTES", 1 << 20)
    monkeypatch.setattr(keeping_verify, "DAILY_BYTES", 3 << 20)
    async with keepers("anna", "ben") as (anna, ben), trio.open_nursery() as nursery:
        published = await anna.publish_file(a_file(tmp_path, "A", 5_000_000), "A")
        await ben.get(published["work"])
        rot(ben, "A", 4_500_000)
        nursery.start_soon(ben.checking.run)

        async def position() -> list[int]:
            return list(json.loads(await ben.store.read(lambda tx: tx.get_meta(POSITION)) or b"[0, 0, 0, 0, 0]"))

        async def told(name: str) -> Json:
            await until(lambda: any(one == name for one, _ in ben.events))
            return next(data for one, data in ben.events if one == name)

        while (await position())[4] < 3 << 20:  # noqa: ASYNC110
            await trio.sleep(0.01)
        first = await position()
        reads = ben.store.verify_some
        monkeypatch.setattr(ben.store, "verify_some", None)  # that was today's: it reads no more
        await trio.sleep(0.1)
        assert await position() == first
        assert "content.damaged" not in [name for name, _ in ben.events]
        monkeypatch.setattr(ben.store, "verify_some", reads)
        ben.now += 86_400
        damage = await told("content.damaged")
        assert (damage["works"][0]["title"], damage["blocks"], damage["reason"]) == ("A", 1, "changed")
        await told("content.mended")
        assert bytes(ben.store.area.entries["A"] or b"") == bytes_of(5_000_000, "A")
        nursery.cancel_scope.cancel()


async def test_what_is_fetched_read_or_served_counts_as_used(tmp_path: Path) -> None:
    async with keepers("anna", "ben") as (anna, ben):
        published = await anna.publish_file(a_file(tmp_path, "A", 3_000_000), "A")
        root = Cid.parse(published["cid"])

        async def used(keeper: Keeper) -> float:
            await keeper.store.note_used()
            return (await keeper.store.read(lambda tx: tx.stock(root)))[0].used

        assert await used(anna) == 0.0
        ben.now += 5.0
        await ben.get(published["work"])
        assert (await used(anna), await used(ben)) == (anna.now, ben.now)
        ben.now += 60.0
        await ben.get(published["work"], tmp_path / "copy")
        assert await used(ben) == ben.now
