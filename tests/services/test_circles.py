"""Founding, showing, leaving; vouching, revoking, renewing."""

from __future__ import annotations

import pytest

from p2pnode.core.ids import CIRCLE_PREFIX, KEY_PREFIX, id_text
from p2pnode.core.records import decode_signed
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from tests.support.people import Person, people

pytestmark = pytest.mark.trio
DAY_S = 86_400


async def joined(host: Person, guest: Person, circle: bytes) -> None:
    invite = (await host.circles.invites.make(circle))["invite"]  # type: ignore[arg-type]
    assert (await guest.circles.join(invite))["state"] == "joined"


async def test_the_founder_is_steward_and_sole_member_under_a_pseudonym() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create(" Readers ")
        shown = await anna.circles.show(circle)
        me = id_text(KEY_PREFIX, await anna.key(circle))
        assert (shown["name"], shown["members"], shown["works"], shown["proposals"]) == ("Readers", 1, 0, 0)
        assert shown["stewards"] == [me] == [shown["me"]]
        assert shown["roll"] == [{"key": me, "hops": 0, "vouched_by": 0, "steward": True, "me": True}]
        assert me != id_text(KEY_PREFIX, anna.me.profile.public)
        assert (shown["open"], shown["listed"], shown["provisional"], shown["member"]) == ([], [], False, True)


async def test_two_circles_of_one_person_share_no_key() -> None:
    async with people("anna") as (anna,):
        one, other = await anna.create("One"), await anna.create("Other")
        assert await anna.key(one) != await anna.key(other)
        items = (await anna.circles.list())["items"]
        assert {(item["name"], item["members"], item["state"]) for item in items} == {
            ("One", 1, "joined"),
            ("Other", 1, "joined"),
        }


async def test_a_founded_circle_is_on_the_disk_with_its_charter_and_told() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        [genesis] = await anna.records(circle)
        assert genesis.id == circle
        assert [payload for kind, payload in await anna.outbox() if kind == "gossip"] == [
            circle + genesis.sig + genesis.body
        ]


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
async def test_a_name_that_is_none_founds_nothing(name: str) -> None:
    async with people("anna") as (anna,):
        with pytest.raises(UsageError):
            await anna.circles.create(name)
        assert (await anna.circles.list())["items"] == []


async def test_leaving_takes_everything_but_our_own_records() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        work = await ben.publish("A book")
        await ben.circles.work_questions.list(circle, work)
        before = {record.seq for record in await ben.records(circle) if record.author == await ben.key(circle)}
        await ben.circles.leave(circle)
        assert (await ben.circles.list())["items"] == []
        with pytest.raises(NotFoundError):
            await ben.circles.show(circle)
        with pytest.raises(NotFoundError):
            await ben.circles.work_questions.list(circle, work)
        await joined(anna, ben, circle)
        other = await ben.publish("Another")
        await ben.circles.work_questions.list(circle, other)
        after = [record.seq for record in await ben.records(circle) if record.author == await ben.key(circle)]
        assert len(after) == len(set(after)) and max(after) > max(before), "no number is used twice"


async def test_a_vouch_makes_a_member_and_its_revocation_unmakes_one() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        key = await ben.key(circle)
        assert (await anna.circles.show(circle))["members"] == 2
        first = await anna.circles.vouches.give(circle, key)
        assert first == await anna.circles.vouches.give(circle, key), "a fresh vouch is not signed again"
        await anna.circles.vouches.revoke(circle, key)
        assert (await anna.circles.show(circle))["members"] == 1
        await anna.tell(ben, circle)
        assert (await ben.circles.show(circle))["member"] is False
        assert await anna.circles.vouches.give(circle, key) != first
        assert (await anna.circles.show(circle))["members"] == 2
        with pytest.raises(NotFoundError):
            await anna.circles.vouches.revoke(circle, (await ben.key(circle))[::-1])


async def test_nobody_vouches_for_himself_or_as_a_stranger() -> None:
    async with people("anna", "ben", "cleo") as (anna, ben, cleo):
        circle = await anna.create()
        await joined(anna, ben, circle)
        with pytest.raises(UsageError, match="himself"):
            await ben.circles.vouches.give(circle, await ben.key(circle))
        await joined(anna, cleo, circle)
        await anna.circles.vouches.revoke(circle, await ben.key(circle))
        await anna.tell(ben, circle)
        with pytest.raises(RefusedError, match="carry nobody"):
            await ben.circles.vouches.give(circle, await cleo.key(circle))


async def test_vouches_are_renewed_before_they_run_out_and_not_after() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        key = await ben.key(circle)
        anna.now += 299 * DAY_S
        assert await anna.circles.vouches.renew(circle) == 0
        anna.now += 2 * DAY_S
        assert await anna.circles.vouches.renew(circle) == 1
        assert await anna.circles.vouches.renew(circle) == 0
        anna.now += 100 * DAY_S
        assert (await anna.views.of(circle)).is_member(key), "401 days after the first vouch"
        anna.now += 300 * DAY_S
        assert not (await anna.views.of(circle)).is_member(key)
        assert await anna.circles.vouches.renew(circle) == 0, "what has run out may have been left to"
        await anna.circles.vouches.give(circle, key)
        assert (await anna.views.of(circle)).is_member(key)


async def test_a_revoked_vouch_is_not_renewed() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        await anna.circles.vouches.revoke(circle, await ben.key(circle))
        anna.now += 320 * DAY_S
        assert await anna.circles.vouches.renew(circle) == 0


async def test_everything_signed_in_a_circle_is_signed_by_its_pseudonym() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await joined(anna, ben, circle)
        work = await anna.publish("A book")
        question = await anna.circles.work_questions.list(circle, work)
        assert question["proposal"].startswith("p-")
        profile = anna.me.profile.public
        for record in await anna.records(circle):
            assert profile not in record.body and decode_signed(record.sig + record.body) == record
        assert id_text(CIRCLE_PREFIX, circle) == (await anna.circles.list())["items"][0]["circle"]


async def test_two_circles_of_one_name_cannot_be_told_apart_so_the_second_is_refused() -> None:
    async with people("anna") as (anna,):
        await anna.create("Readers")
        with pytest.raises(RefusedError, match="already"):
            await anna.circles.create(" readers ")
        assert len((await anna.circles.list())["items"]) == 1


async def test_the_only_steward_of_others_is_asked_before_leaving() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create("Readers")
        await joined(anna, ben, circle)
        with pytest.raises(RefusedError, match="only steward") as refused:
            await anna.circles.leave(circle)
        assert refused.value.hint == f"if you mean it: p2pnode circle leave {id_text(CIRCLE_PREFIX, circle)} --force"
        assert len((await anna.circles.list())["items"]) == 1
        await anna.circles.leave(circle, force=True)
        assert (await anna.circles.list())["items"] == []
