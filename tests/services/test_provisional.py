"""The roll by which a node tells whether its verdicts are provisional: by the charter in force, expulsions and what a fork inherits."""

from __future__ import annotations

import pytest

from p2pnode.core.ids import CircleId, PublicKey, QuestionId, parse_id
from p2pnode.ports import Json
from p2pnode.services import provisional
from p2pnode.services.provisional import Provisional
from tests.support.people import Person, circle_id, people

pytestmark = pytest.mark.trio


async def roll_of(person: Person, circle: CircleId) -> Provisional:
    told = Provisional(person.store, person.clock)
    await told.read_roll(circle)
    return told


async def approve(person: Person, asked: Json) -> None:
    await person.circles.cast(QuestionId(parse_id("p", asked["proposal"])), "approve")


async def test_a_steward_whom_a_later_charter_names_is_on_the_roll_without_a_vouch() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await ben.circles.join((await anna.circles.invites.make(circle))["invite"])
        later = await ben.key(circle)
        asked = await anna.circles.rule_questions.add_steward(circle, later, "", f=None)
        await anna.circles.vouches.revoke(circle, later)
        told = await roll_of(anna, circle)
        assert not told.is_member(circle, later), "only proposed"
        await approve(anna, asked)
        (ballot,) = [one for one in await anna.records(circle) if one.kind == "ballot"]
        assert told.may_change(circle, ballot)
        assert (await roll_of(anna, circle)).is_member(circle, later)


async def test_an_expelled_member_is_off_the_roll_and_a_ballot_on_a_work_counts_nobody_again() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await ben.circles.join((await anna.circles.invites.make(circle))["invite"])
        key = await ben.key(circle)
        assert (await roll_of(anna, circle)).is_member(circle, key)
        await approve(anna, await anna.circles.rule_questions.expel(circle, key, "a second key"))
        told = await roll_of(anna, circle)
        assert not told.is_member(circle, key)
        before = await anna.records(circle)
        await approve(anna, await anna.circles.work_questions.list(circle, await anna.publish("A book"), ""))
        new = [one for one in await anna.records(circle) if one not in before]
        assert sorted((one.kind, told.may_change(circle, one)) for one in new) == [
            ("ballot", False),
            ("proposal", False),
        ]


async def test_whom_a_fork_inherited_is_on_its_roll() -> None:
    async with people("anna", "ben") as (anna, ben):
        parent = await anna.create()
        await ben.circles.join((await anna.circles.invites.make(parent))["invite"])
        fork = circle_id(await anna.circles.forking.fork(parent, "Others"))
        assert (await roll_of(anna, fork)).is_member(fork, await ben.key(parent))


async def test_strangers_who_make_key_after_key_push_no_member_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provisional, "REMEMBERED_KEYS", 8)
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await ben.circles.join((await anna.circles.invites.make(circle))["invite"])
        told, member = await roll_of(anna, circle), await ben.key(circle)
        told.synced(circle, member)
        for number in range(100):
            told.synced(circle, PublicKey(number.to_bytes(32, "big")))
        assert len(told._synced[circle]) == 8 and member in told._synced[circle]
        unread = Provisional(anna.store, anna.clock)
        for number in range(100):
            unread.synced(circle, PublicKey(number.to_bytes(32, "big")))
        assert len(unread._synced[circle]) == 8, "while the roll is not known, too"
