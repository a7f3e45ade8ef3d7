"""A node's views: ballots of others are taken one by one, of everything else the circle is read again; both say the same."""

from __future__ import annotations

import pytest

from p2pnode.core import explain
from p2pnode.core.ids import CircleId, QuestionId, parse_id
from p2pnode.core.record import Record
from p2pnode.core.records import encode_signed
from p2pnode.services.admission import Change
from p2pnode.services.views import Views
from tests.support.people import Person, people

pytestmark = pytest.mark.trio


def follow(person: Person) -> Views:
    """Views that hear of changes as the node's do."""
    views = Views(person.store, person.clock)

    def heard(change: Change) -> None:
        if change.source is None:
            views.forget(change.circle)
        else:
            views.forget(change.circle, change.added, change.dropped)

    person.admission.watch(heard)
    return views


async def said(views: Views, circle: CircleId) -> list[bytes]:
    return await views.ask(
        circle, lambda view: [explain.canonical(view.explain(one.question.id)) for one in view.questions()]
    )


async def test_ballots_of_others_are_taken_without_reading_the_circle_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with people("anna", "ben", "cleo") as (anna, ben, cleo):
        circle = await anna.create()
        for guest in (ben, cleo):
            await guest.circles.join((await anna.circles.invites.make(circle))["invite"])
            await anna.tell(guest, circle)
        asked = await anna.circles.work_questions.list(circle, await anna.publish("A book"), "")
        question = QuestionId(parse_id("p", asked["proposal"]))
        for guest in (ben, cleo):
            await anna.tell(guest, circle)
        views = follow(anna)
        await said(views, circle)
        read: list[CircleId] = []
        whole = anna.store.read

        async def counted(work):  # type: ignore[no-untyped-def]
            read.append(circle)
            return await whole(work)

        for guest, choice in ((ben, "approve"), (cleo, "reject"), (ben, "reject"), (cleo, "abstain")):
            await guest.circles.cast(question, choice)
            author = await guest.key(circle)
            (ballot,) = [one for one in await guest.records(circle) if (one.author, one.kind) == (author, "ballot")]
            await admit(anna, circle, ballot)
            with monkeypatch.context() as patch:
                patch.setattr(anna.store, "read", counted)
                now = await said(views, circle)
            assert not read, "a ballot does not make the node read the circle"
            assert now == await said(Views(anna.store, anna.clock), circle)


async def test_of_our_own_ballots_and_all_other_records_the_circle_is_read_again() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        views = follow(anna)
        asked = await anna.circles.work_questions.list(circle, await anna.publish("A book"), "")
        await said(views, circle)
        await anna.circles.cast(QuestionId(parse_id("p", asked["proposal"])), "approve")
        assert await said(views, circle) == await said(Views(anna.store, anna.clock), circle)
        await ben.circles.join((await anna.circles.invites.make(circle))["invite"])
        assert await said(views, circle) == await said(Views(anna.store, anna.clock), circle)
        assert (await views.of(circle)).is_member(await ben.key(circle))


async def admit(person: Person, circle: CircleId, record: Record) -> None:
    await person.admission.admit([encode_signed(record)], circle, person.network.peer_id)
