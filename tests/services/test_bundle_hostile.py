"""Bundles of people who mean no good, or of sticks that broke: refused or taken in part, by rule and in words, never a crash."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from p2pnode.core.bundle import decode_index, encode_records, encode_roots
from p2pnode.core.car import encode_header, encode_section
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import NO_CIRCLE, CircleId, PublicKey
from p2pnode.core.keys import KeyPair
from p2pnode.core.proposals import vouch
from p2pnode.core.records import encode_signed
from p2pnode.errors import DecodeError, P2pnodeError
from tests.support.bundles import Carrier, Page, blocks_of, carriers, make, rewrite, write

pytestmark = pytest.mark.trio


async def a_bundle(anna: Carrier, folder: Path) -> tuple[CircleId, Path]:
    circle = await anna.create()
    await anna.share(make(folder, "bees", b"bees"), "Wild Bees", circle=circle)
    await anna.share(make(folder, "ants", b"ants"), "Ants")
    await anna.write(folder / "good.car")
    return circle, folder / "good.car"


async def test_a_stick_that_was_pulled_too_early(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        circle, path = await a_bundle(anna, tmp_path)
        whole = path.read_bytes()
        short = tmp_path / "short.car"
        short.write_bytes(whole[: len(whole) * 2 // 3])
        answer = await ben.read(short, follow_all=True)
        assert "cut short" in answer["damage"]
        assert await ben.records(circle) == await anna.records(circle), "records stand first and are all here"
        assert (answer["taken"], answer["left_out"]) == (1, 1)
        assert "lacks block" in next(item["reason"] for item in answer["contents"] if item["state"] == "left_out")
        answer = await ben.read(path)
        assert answer["taken"] == 1 and answer["damage"] is None, "the rest comes with the whole file"
        short.write_bytes(whole[:300])
        with pytest.raises(DecodeError, match="no bundle"):
            await ben.read(short)


async def test_bytes_that_were_changed_cost_their_page_or_content_only(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        _, path = await a_bundle(anna, tmp_path)
        data = path.read_bytes()
        spoilt = data.replace(b"ants" * 50, b"ANTS" * 50)
        assert spoilt != data
        path.write_bytes(spoilt)
        answer = await ben.read(path, follow_all=True)
        assert (answer["taken"], answer["left_out"]) == (1, 1)
        (item,) = [item for item in answer["contents"] if item["state"] == "left_out"]
        assert item["title"] == "Ants" and "other bytes" in item["reason"]


async def test_a_changed_page_of_records_is_left_out_and_told(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        _, path = await a_bundle(anna, tmp_path)
        data = bytearray(path.read_bytes())
        at = data.index(b"Wild Bees")
        data[at] ^= 1
        path.write_bytes(data)
        answer = await ben.read(path, follow_all=True)
        assert "missing or damaged" in answer["damage"]


async def test_forged_and_foreign_records_do_not_pass_the_door(tmp_path: Path) -> None:
    stranger, mallory = KeyPair(b"s" * 32), KeyPair(b"m" * 32)
    async with carriers("anna", "ben") as (anna, ben):
        circle, path = await a_bundle(anna, tmp_path)
        held = await anna.records(circle)
        seq, created = held[0].seq, held[0].created

        def spoil(records: list[bytes]) -> list[bytes]:
            steward = held[0].author
            forged = vouch(mallory, circle=circle, whom=stranger.public, give=True, seq=seq, created=created)
            claimed = forged.body.replace(mallory.public, steward)
            foreign = vouch(
                mallory, circle=CircleId(b"f" * 32), whom=stranger.public, give=True, seq=seq, created=created
            )
            bad = bytearray(records[1])
            bad[0] ^= 1
            return [
                b"",
                b"\0" * 30_00,
                bytes(bad),
                forged.sig + claimed,
                encode_signed(foreign),
                encode_signed(forged),
                *records,
            ]

        answer = await ben.read(rewrite(path, tmp_path / "bad.car", spoil), follow_all=True)
        assert await ben.records(circle) == held
        assert answer["circles"][0]["rejected"] >= 4
        assert answer["circles"][0]["unknown"] >= 1


async def test_a_flood_of_strangers_is_passed_over(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        circle, path = await a_bundle(anna, tmp_path)
        held = await anna.records(circle)
        one = vouch(
            KeyPair(b"m" * 32),
            circle=circle,
            whom=PublicKey(bytes(32)),
            give=True,
            seq=held[0].seq,
            created=held[0].created,
        )
        flood = [one.sig + one.body.replace(bytes(32), number.to_bytes(32, "big")) for number in range(1, 1500)]
        root, blocks = blocks_of(path)
        pages: list[Page] = [
            (page.kind, page.circle, blocks.pop(page.cid)) for page in decode_index(blocks.pop(root)).pages
        ]
        pages[:0] = [("circle", circle, encode_records(flood))] * 20
        answer = await ben.read(write(tmp_path / "flood.car", pages, blocks), follow_all=True)
        assert await ben.records(circle) == held
        assert answer["circles"][0]["unknown"] >= 1499


async def test_contents_that_nobody_names_and_bombs_are_left_out(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        work = await anna.publish("Wild Bees")  # says that it is one byte
        row = await anna.store.read(lambda tx: tx.work(work))
        assert row is not None
        stray = Cid.of(RAW, b"stray")
        pages: list[Page] = [
            ("works", NO_CIRCLE, encode_records([encode_signed(row.manifest), b"rubbish", b""])),
            ("contents", NO_CIRCLE, encode_roots([stray, row.root])),
            ("contents", NO_CIRCLE, b"\xc0"),
        ]
        path = write(tmp_path / "a.car", pages, {stray: b"stray", row.root: b"Wild Bees"})
        answer = await ben.read(path)
        assert {item["state"] for item in answer["contents"]} == {"left_out"}
        assert any("no work" in item["reason"] for item in answer["contents"])
        assert any("declares" in item["reason"] for item in answer["contents"]), "larger than its manifest says"
        assert (answer["works"], answer["rejected"]) == (1, 2)
        assert await ben.store.read(lambda tx: tx.stored_bytes()) == 0


async def test_an_empty_bundle_and_what_is_none(tmp_path: Path) -> None:
    async with carriers("ben") as (ben,):
        assert (await ben.read(write(tmp_path / "empty.car", [], {})))["works"] == 0
        (tmp_path / "car.car").write_bytes(encode_header([Cid.of(RAW, b"x")]) + encode_section(Cid.of(RAW, b"x"), b"x"))
        for name in ("car.car", "none.car"):
            with pytest.raises(P2pnodeError):
                await ben.read(tmp_path / name)


@pytest.mark.parametrize("seed", range(15))
async def test_a_bundle_changed_anywhere_does_no_harm(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    async with carriers("anna", "ben") as (anna, ben):
        circle, path = await a_bundle(anna, tmp_path)
        data = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(min(len(data), 6000 if seed % 2 else len(data)))] = rng.randrange(256)
        path.write_bytes(data[: rng.randrange(len(data))] if seed % 3 == 0 else data)
        with suppress(P2pnodeError):
            await ben.read(path, follow_all=True)
        mine = await anna.records(circle)
        assert all(record in mine for record in await ben.records(circle))
