"""Bundles: two nodes that never meet reach the same state through one file, and nothing goes along that was not asked for."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from p2pnode.core.ids import CircleId, WorkId, id_text, parse_id
from p2pnode.core.keys import KeyPair
from p2pnode.core.proposals import vouch
from p2pnode.core.records import encode_signed
from p2pnode.errors import AmbiguousError, NotFoundError, RefusedError
from p2pnode.services.bundle_export import Choice
from tests.support.bundles import carriers, make, rewrite

pytestmark = pytest.mark.trio


def carried(path: Path) -> bytes:
    return path.read_bytes()


async def test_two_that_never_meet_reach_the_same_state(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        circle = await anna.create()
        listed = await anna.share(make(tmp_path, "bees", b"bees"), "Wild Bees", circle=circle)
        await anna.share(make(tmp_path, "ants", b"ants"), "Ants")
        told = await anna.write(tmp_path / "stick.car")
        assert (told["circles"], told["works"], told["contents"], told["lacking"]) == (1, 2, 2, [])
        answer = await ben.read(tmp_path / "stick.car", follow=("readers",))
        assert answer["circles"][0]["state"] == "followed" and answer["damage"] is None
        assert (answer["taken"], answer["left_out"], answer["rejected"]) == (2, 0, 0)
        assert await anna.records(circle) == await ben.records(circle)
        assert await anna.catalogue() == await ben.catalogue()
        assert await anna.verdict(circle, listed) == await ben.verdict(circle, listed)
        for work in await ben.store.read(lambda tx: tx.works()):
            assert work.state == "kept"
            content = await ben.store.read(lambda tx, root=work.root: tx.content(root))  # type: ignore[misc]
            assert content is not None and content.state == "complete" and content.public
        again = await ben.read(tmp_path / "stick.car")
        assert (again["circles"][0]["new"], again["taken"]) == (0, 0), "once more does no harm"
        await ben.write(tmp_path / "back.car")
        assert carried(tmp_path / "back.car") != b""
        home = await anna.read(tmp_path / "back.car")
        assert (home["circles"][0]["new"], home["taken"]) == (0, 0), "and home again brings nothing new"


async def test_new_votes_are_merged_both_ways(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        circle = await anna.create()
        work = await anna.share(make(tmp_path, "bees", b"bees"), "Wild Bees", circle=circle)
        await anna.write(tmp_path / "one.car")
        await ben.read(tmp_path / "one.car", follow_all=True)
        theirs = await ben.key(circle)
        await anna.circles.vouches.give(circle, theirs)
        await anna.write(tmp_path / "two.car")
        answer = await ben.read(tmp_path / "two.car")
        assert (answer["circles"][0]["state"], answer["circles"][0]["new"]) == ("merged", 1)
        (asked,) = await ben.circles.questions.of_circle(circle)
        await ben.circles.cast(parse_id("p", asked["proposal"]), "approve")  # type: ignore[arg-type]
        await ben.write(tmp_path / "three.car", Choice(circles=(circle,)))
        assert (await anna.read(tmp_path / "three.car"))["circles"][0]["new"] == 1
        assert await anna.verdict(circle, work) == await ben.verdict(circle, work)
        assert (await anna.verdict(circle, work))["cast"]["approve"] == 2


async def test_a_circle_is_entered_only_if_it_is_followed(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await anna.share(make(tmp_path, "bees", b"bees"), "Wild Bees", circle=circle)
        await anna.write(tmp_path / "a.car")
        answer = await ben.read(tmp_path / "a.car")
        assert answer["circles"][0]["state"] == "left_out" and "not in it" in answer["circles"][0]["reason"]
        assert await ben.store.read(lambda tx: tx.circles()) == []
        assert answer["taken"] == 1, "works are read without being in the circle"
        with pytest.raises(NotFoundError, match="Writers"):
            await ben.read(tmp_path / "a.car", follow=("Writers",))
        short = id_text("c", circle)[:10]
        assert (await ben.read(tmp_path / "a.car", follow=(short,)))["circles"][0]["state"] == "followed"


async def test_names_and_salts_that_are_taken_keep_a_circle_out(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        first, second = await anna.create(), await ben.create()
        await anna.write(tmp_path / "a.car", Choice(circles=(first,)))
        answer = await ben.read(tmp_path / "a.car", follow_all=True)
        assert "of that name" in answer["circles"][0]["reason"]
        assert await ben.store.read(lambda tx: tx.circles()) == [second]
        salt = await anna.store.read(lambda tx: tx.circle_salt(first))
        await ben.store.write(lambda tx: tx.add_circle(CircleId(b"x" * 32), salt or b"", 0.0))
        await ben.store.write(lambda tx: tx.remove_circle(second))
        assert "pretends to be a fork" in (await ben.read(tmp_path / "a.car", follow_all=True))["circles"][0]["reason"]


async def test_a_fork_of_ones_own_circle_comes_in_by_a_bundle_when_it_is_followed(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await anna.write(tmp_path / "first.car")
        await ben.read(tmp_path / "first.car", follow_all=True)
        await anna.circles.vouches.give(circle, await ben.key(circle))
        forked = await anna.circles.forking.fork(circle, "Slow readers")
        fork = CircleId(parse_id("c", forked["circle"]))
        await anna.write(tmp_path / "a.car")
        told = {one["name"]: one for one in (await ben.read(tmp_path / "a.car"))["circles"]}
        assert told["Readers"]["state"] == "merged"
        assert told["Slow readers"]["state"] == "left_out"
        assert told["Slow readers"]["fork_of"] == id_text("c", circle)
        assert told["Slow readers"]["reason"] == "it is a fork of your circle Readers"
        told = {one["name"]: one for one in (await ben.read(tmp_path / "a.car", follow=("Slow readers",)))["circles"]}
        assert told["Slow readers"]["state"] == "followed"
        shown = await ben.circles.show(fork)
        assert (shown["members"], shown["member"], shown["inherited"]["state"]) == (2, True, "whole")


async def test_what_is_private_stays_unless_asked_for(tmp_path: Path) -> None:
    async with carriers("anna", "ben") as (anna, ben):
        circle = await anna.create()
        diary = await anna.share(make(tmp_path, "diary", b"secret words"), "Diary", private=True)
        ants = await anna.share(make(tmp_path, "ants", b"ants"), "Ants")
        await anna.write(tmp_path / "all.car")
        await anna.write(tmp_path / "ants.car", Choice(works=(ants,)))
        salt = await anna.store.read(lambda tx: tx.circle_salt(circle))
        seed = anna.me.profile.seed if hasattr(anna.me.profile, "seed") else b"?" * 32
        for name in ("all.car", "ants.car"):
            assert b"secret words" not in carried(tmp_path / name) and b"Diary" not in carried(tmp_path / name)
            assert seed not in carried(tmp_path / name)
        assert salt is not None and salt not in carried(tmp_path / "ants.car"), (
            "a work does not bring its owner's circles"
        )
        with pytest.raises(RefusedError, match="private"):
            await anna.write(tmp_path / "no.car", Choice(works=(diary,)))
        await anna.write(tmp_path / "yes.car", Choice(works=(diary,), private=True))
        await ben.read(tmp_path / "yes.car")
        assert [work["title"] for work in await ben.catalogue()] == ["Diary"]


async def test_importing_ones_own_private_work_shows_it_to_nobody(tmp_path: Path) -> None:
    async with carriers("anna") as (anna,):
        diary = await anna.share(make(tmp_path, "diary", b"secret words"), "Diary", private=True)
        await anna.write(tmp_path / "a.car", Choice(works=(diary,), private=True))
        await anna.read(tmp_path / "a.car")
        work = await anna.store.read(lambda tx: tx.work(diary))
        assert work is not None and work.private and work.state == "own"
        assert await anna.store.read_block(work.root, public_only=True) is None


async def test_choices_that_cannot_be(tmp_path: Path) -> None:
    async with carriers("anna") as (anna,):
        with pytest.raises(RefusedError, match="nothing"):
            await anna.write(tmp_path / "a.car")
        with pytest.raises(NotFoundError):
            await anna.write(tmp_path / "a.car", Choice(works=(WorkId(bytes(32)),)))
        await anna.publish("Only described")
        told = await anna.write(tmp_path / "a.car")
        assert (told["lacking"], told["contents"]) == (["Only described"], 0)
        with pytest.raises(RefusedError, match="exists"):
            await anna.write(tmp_path / "a.car")
        await anna.store.write(lambda tx: tx.add_circle(CircleId(b"w" * 32), bytes(32), 0.0))
        assert (await anna.write(tmp_path / "b.car"))["works"] == 1, (
            "a circle whose charter is still on its way is no hindrance"
        )


async def test_two_circles_of_one_name_in_a_bundle(tmp_path: Path) -> None:
    async with carriers("anna", "ben", "carla") as (anna, ben, carla):
        first, second = await anna.create(), await ben.create()
        for record in await ben.records(second):
            await anna.store.write(lambda tx, record=record: tx.put_record(record))  # type: ignore[misc]
        await anna.store.write(lambda tx: tx.add_circle(second, bytes(32), 0.0))
        await anna.write(tmp_path / "a.car")
        with pytest.raises(AmbiguousError):
            await carla.read(tmp_path / "a.car", follow=("readers",))
        answer = await carla.read(tmp_path / "a.car", follow=(id_text("c", first),))
        states = {item["circle"]: item["state"] for item in answer["circles"]}
        assert states == {id_text("c", first): "followed", id_text("c", second): "left_out"}


async def test_records_in_any_order(tmp_path: Path) -> None:
    """A chain of vouches, backwards: linear in what it costs, whole in what it brings."""
    people = [KeyPair(bytes([number // 256, number % 256]) * 16) for number in range(300)]
    async with carriers("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await anna.circles.vouches.give(circle, people[0].public)
        day = (await anna.records(circle))[0]
        chain = [
            vouch(one, circle=circle, whom=next_.public, give=True, seq=day.seq, created=day.created)
            for one, next_ in itertools.pairwise(people)
        ]
        await anna.admission.admit([encode_signed(record) for record in chain], circle, anna.network.peer_id)
        held = await anna.records(circle)
        assert len(held) == 301
        await anna.write(tmp_path / "a.car")
        rewrite(tmp_path / "a.car", tmp_path / "b.car", lambda records: records[::-1])
        answer = await ben.read(tmp_path / "b.car", follow_all=True)
        assert answer["circles"][0]["unknown"] == 0
        assert await ben.records(circle) == held
