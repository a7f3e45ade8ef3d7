"""Forks of circles: who and what comes along, what does not, and cuts that are not what they say (p2pnode/docs/protocol-circles.md)."""

from __future__ import annotations

import time

import pytest

from p2pnode.core.fork_word import tell_of
from p2pnode.core.ids import CircleId, QuestionId, id_text, parse_id
from p2pnode.errors import NotFoundError, RefusedError
from p2pnode.ports import Tx
from p2pnode.services.following import Following
from p2pnode.services.notices import Notices
from tests.support.people import Person, circle_id, people

pytestmark = pytest.mark.trio


async def joined(host: Person, guest: Person, circle: CircleId, *, fork: bool = False) -> None:
    """The guest comes in by the host's invite, and holds what the host holds."""
    link = (await host.circles.invites.make(circle))["invite"]
    assert (await guest.circles.join(link, fork=fork))["state"] == "joined"
    await host.tell(guest, circle)


async def asked(person: Person, circle: CircleId) -> QuestionId:
    """The question that was asked last."""
    return QuestionId(parse_id("p", (await person.circles.proposals(circle))["items"][0]["proposal"]))


async def test_a_fork_takes_members_and_listings_along_and_the_parents_later_life_does_not_touch_it() -> None:
    async with people("anna", "ben", "cleo", "dora") as (anna, ben, cleo, dora):
        parent = await anna.create("Readers")
        await joined(anna, ben, parent)
        await joined(ben, cleo, parent)
        work = await anna.publish("A book")
        await anna.circles.work_questions.list(parent, work)
        await anna.circles.cast(await asked(anna, parent), "approve")
        await ben.tell(anna, parent)
        assert (await anna.circles.show(parent))["members"] == 3

        answer = await anna.circles.forking.fork(parent, "Slow readers")
        assert (answer["members"], answer["left_behind"]) == (3, 0)
        assert answer["inherited"] == {"vouches": 2, "works": 1, "records": 6}
        fork = circle_id(answer)
        shown = await anna.circles.show(fork)
        assert (shown["members"], shown["works"]) == (3, 1)
        assert shown["parent"]["name"] == "Readers" and shown["inherited"]["state"] == "whole"
        assert (await anna.circles.show(parent))["forks"] == [{"circle": answer["circle"], "name": "Slow readers"}]
        assert await anna.key(fork) == await anna.key(parent)

        await joined(anna, dora, parent)
        assert (await anna.circles.show(parent))["members"] == 4
        assert (await anna.circles.show(fork))["members"] == 3, "a later vouch of the parent does not count in the fork"

        await joined(anna, ben, fork, fork=True)
        theirs = await ben.circles.show(fork)
        assert (theirs["members"], theirs["works"], theirs["member"]) == (3, 1, True)
        ours = await anna.views.ask(fork, lambda view: view.explain_work(work))
        assert ours == await ben.views.ask(fork, lambda view: view.explain_work(work))


async def test_the_parents_members_hear_of_a_fork_and_come_along_by_its_id() -> None:
    async with people("anna", "ben", "cleo", "dora") as (anna, ben, cleo, dora):
        parent = await anna.create("Readers")
        await joined(anna, ben, parent)
        await joined(ben, cleo, parent)
        await anna.tell(cleo, parent)
        await ben.tell(anna, parent)
        forked = await ben.circles.forking.fork(parent, "Slow readers")
        assert forked["told"] is True and (await ben.circles.show(parent))["announced"] == []
        await ben.tell(cleo, parent)
        notices = Notices(cleo.store, cleo.clock, lambda name, data: None)
        for _ in range(2):
            await Following(cleo.store, cleo.views, cleo.me, notices, lambda name, data: None).follow(parent, None)
        (heard,) = [one for one in (await notices.list())["items"] if one["kind"] == "forked"]
        key = id_text("k", await ben.key(parent))
        assert (heard["fork"], heard["fork_name"], heard["key"]) == (forked["circle"], "Slow readers", key)
        day = time.strftime("%Y-%m-%d", time.gmtime(ben.now))
        assert heard["text"].startswith(
            f"{key[:10]} forked this circle into “Slow readers”, cut on {day}; 2 of 3 members"
        )
        (known,) = (await cleo.circles.show(parent))["announced"]
        assert (known["circle"], known["members"], known["stewards"]) == (forked["circle"], 2, 1)
        assert f"p2pnode circle join {known['circle'][:12]}" in heard["text"]

        assert (await cleo.circles.join(known["circle"][:12]))["state"] == "joined"
        fork = circle_id(forked)
        await ben.tell(cleo, fork)
        assert (await cleo.circles.show(fork))["member"] is True
        assert (await cleo.circles.show(parent))["announced"] == []
        with pytest.raises(NotFoundError, match="no fork"):
            await dora.circles.join(known["circle"])


async def test_word_of_a_fork_counts_only_from_a_member_about_a_fork_of_that_very_circle() -> None:
    async with people("anna", "ben", "eve") as (anna, ben, eve):
        parent = await anna.create("Readers")
        await joined(anna, ben, parent)
        await joined(anna, eve, parent)
        honest = circle_id(await eve.circles.forking.fork(parent, "Others"))
        other = await eve.create("Elsewhere")
        lie = (await eve.records(other))[0]
        key = await eve.store.read(lambda tx: eve.me.key(tx, parent))

        def write(tx: Tx) -> None:
            seq, created = tx.next_seq(key.public, eve.now)
            eve.admission.admit_own(tx, tell_of(key, parent=parent, genesis=lie, seq=seq, created=created), eve.now)

        await eve.store.write(write)
        await eve.tell(ben, parent)
        assert [one["circle"] for one in (await ben.circles.show(parent))["announced"]] == [id_text("c", honest)]
        with pytest.raises(NotFoundError):
            await ben.circles.join(id_text("c", other))
        await anna.circles.vouches.revoke(parent, key.public)
        await anna.tell(ben, parent)
        assert (await ben.circles.show(parent))["announced"] == [], "who tells of it is no member any more"


async def test_inherited_vouches_are_revoked_and_renewed_in_the_fork_alone() -> None:
    async with people("anna", "ben") as (anna, ben):
        parent = await anna.create("Readers")
        await joined(anna, ben, parent)
        fork = circle_id(await anna.circles.forking.fork(parent, "Others"))
        anna.now += 310 * 86_400
        assert await anna.circles.vouches.renew(fork) == 1
        assert (await anna.views.of(fork)).is_member(await ben.key(parent))
        await anna.circles.vouches.revoke(fork, await ben.key(parent))
        assert (await anna.circles.show(fork))["members"] == 1
        assert (await anna.circles.show(parent))["members"] == 2


async def test_somebody_who_was_never_in_the_parent_gets_all_of_it_by_sync() -> None:
    async with people("anna", "ben", "eve") as (anna, ben, eve):
        parent = await anna.create("Readers")
        await joined(anna, ben, parent)
        work = await anna.publish("A book")
        await anna.circles.work_questions.list(parent, work)
        question = await asked(anna, parent)
        await anna.circles.cast(question, "approve")
        fork = circle_id(await anna.circles.forking.fork(parent, "Others"))
        await joined(anna, eve, fork)
        shown = await eve.circles.show(fork)
        assert (shown["members"], shown["works"]) == (3, 1)
        assert [one["title"] for one in shown["listed"]] == ["A book"], "the manifest came along, too"
        await eve.circles.cast(question, "reject")
        assert (await eve.circles.show(fork))["works"] == 0, "one for, one against: not listed any more"


async def test_a_link_into_a_circle_with_our_salt_is_taken_only_on_request_and_only_into_a_fork() -> None:
    async with people("anna", "ben") as (anna, ben):
        parent = await anna.create("Readers")
        await joined(anna, ben, parent)
        fork = circle_id(await anna.circles.forking.fork(parent, "Others"))
        link = (await anna.circles.invites.make(fork))["invite"]
        with pytest.raises(RefusedError, match="is a fork of a circle of yours, or pretends to be one"):
            await ben.circles.join(link)
        assert (await ben.circles.join(link, fork=True))["state"] == "joined"


async def test_a_fork_of_a_fork_hands_on_what_it_inherited() -> None:
    async with people("anna", "ben") as (anna, ben):
        parent = await anna.create("Readers")
        await joined(anna, ben, parent)
        work = await anna.publish("A book")
        await anna.circles.work_questions.list(parent, work)
        question = await asked(anna, parent)
        await anna.circles.cast(question, "approve")
        second = circle_id(await anna.circles.forking.fork(parent, "Second"))
        third = circle_id(await anna.circles.forking.fork(second, "Third"))
        shown = await anna.circles.show(third)
        assert (shown["members"], shown["works"], shown["inherited"]["state"]) == (2, 1, "whole")
        without = circle_id(await anna.circles.forking.fork(second, "Bare", works=False))
        assert (await anna.circles.show(without))["works"] == 0
