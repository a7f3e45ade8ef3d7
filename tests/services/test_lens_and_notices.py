"""One's own marks, a circle's eyes, and what is kept of what concerns oneself."""

from __future__ import annotations

import pytest

from p2pnode.core.ids import CircleId, QuestionId, WorkId, id_text, parse_id
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.ports import Json
from p2pnode.services import notices as notices_module
from p2pnode.services.catalogue import hit, verdicts
from p2pnode.services.following import Following
from p2pnode.services.lens import Lens, refuse_blocked, see_all
from p2pnode.services.notices import Notices
from p2pnode.services.search import Question, _held
from tests.support.people import Person, people

pytestmark = pytest.mark.trio


async def hits(person: Person) -> list[Json]:
    rows = await person.store.read(lambda tx: tx.works(states=("own", "kept", "heard")))
    said = await verdicts(person.store, person.views, [row.id for row in rows])
    return [hit(row, said[row.id], local=True) for row in rows]


async def titles(person: Person, lens: Lens, through: str | None = None, *, all: bool = False) -> list[str]:
    see = await lens.sight(through, all=all)
    return sorted(str(one["title"]) for one in see_all(await hits(person), see))


async def adopt(person: Person, answer: Json) -> None:
    await person.circles.cast(QuestionId(parse_id("p", answer["proposal"])), "approve")


async def library(person: Person) -> tuple[CircleId, WorkId, WorkId]:
    circle = await person.create("Readers")
    listed, other = await person.publish("A bok"), await person.publish("Other")
    await adopt(person, await person.circles.work_questions.list(circle, listed))
    return circle, listed, other


async def test_what_is_hidden_or_blocked_is_not_shown_unless_all_is_asked_for() -> None:
    async with people("anna") as (anna,):
        lens, (_, listed, other) = Lens(anna.store), await library(anna)
        await lens.mark(listed, "hide")
        await lens.mark(other, "block")
        assert await titles(anna, lens) == []
        assert await titles(anna, lens, all=True) == ["A bok", "Other"]
        assert [one["mark"] for one in (await lens.marked())["items"]].count("hide") == 1
        await lens.mark(other, None)
        assert await titles(anna, lens) == ["Other"]
        with pytest.raises(UsageError, match="no mark"):
            await lens.mark(other, "burn")


async def test_a_circles_eyes_see_what_it_lists_as_it_describes_it_and_what_one_keeps() -> None:
    async with people("anna") as (anna,):
        lens, (circle, listed, other) = Lens(anna.store), await library(anna)
        assert await titles(anna, lens, "Readers") == ["A bok"]
        await adopt(anna, await anna.circles.work_questions.edit(circle, listed, {"title": "A book"}, ""))
        assert await titles(anna, lens, "readers") == ["A book"] and await titles(anna, lens, "me") == [
            "A bok",
            "Other",
        ]
        await lens.mark(other, "keep")
        assert await titles(anna, lens, id_text("c", circle)) == ["A book", "Other"]
        await adopt(anna, await anna.circles.work_questions.takedown(circle, listed, "no"))
        assert await titles(anna, lens, "Readers") == ["Other"]
        await lens.mark(listed, "keep")
        assert await titles(anna, lens, "Readers") == ["A bok", "Other"]
        with pytest.raises(NotFoundError):
            await lens.sight("Nobody")


async def test_a_blocked_work_is_neither_fetched_nor_told_to_others() -> None:
    async with people("anna") as (anna,):
        lens, (_, listed, _) = Lens(anna.store), await library(anna)
        question = Question(text="bok")
        assert len(await anna.store.read(lambda tx: _held(tx, question))) == 1
        await lens.mark(listed, "block")
        assert await anna.store.read(lambda tx: _held(tx, question)) == []
        assert await anna.store.read(lambda tx: _held(tx, Question(text="", work=listed))) == []
        with pytest.raises(RefusedError, match="blocked"):
            await anna.store.read(lambda tx: refuse_blocked(tx, listed))


async def test_a_newcomer_is_told_once_who_vouches_also_when_the_node_was_stopped_in_between() -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        notices = Notices(ben.store, ben.clock, lambda name, data: None)
        await ben.circles.join((await anna.circles.invites.make(circle))["invite"])
        for _ in range(2):  # nothing was told so far; then nothing new happens
            following = Following(ben.store, ben.views, ben.me, notices, lambda name, data: None)
            await following.follow(circle, None)
        kept = (await notices.list())["items"]
        assert [one["kind"] for one in kept] == ["one_voucher", "member"]
        founder = id_text("k", await anna.key(circle))
        assert kept[1]["text"] == f"You are a member of this circle now: {founder[:10]} vouches for you."
        assert kept[1]["key"] == founder and "ask a second one" in kept[0]["text"]


async def test_what_concerns_me_is_kept_told_bounded_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    async with people("anna", "ben") as (anna, ben):
        circle = await anna.create()
        await ben.circles.join((await anna.circles.invites.make(circle))["invite"])
        told: list[Json] = []

        def emit(name: str, data: Json) -> None:
            told.append({"name": name} | data)

        notices = Notices(ben.store, ben.clock, emit)
        following = Following(ben.store, ben.views, ben.me, notices, emit)
        work = await ben.publish("A book")
        question = await ben.circles.work_questions.list(circle, work)
        await ben.tell(anna, circle)
        await following.follow(circle, None)
        await notices.clear()
        told.clear()
        for choice in ("approve", "reject") * 2:
            before = await ben.views.of(circle)
            await anna.circles.cast(QuestionId(parse_id("p", question["proposal"])), choice)
            await anna.tell(ben, circle)
            await following.follow(circle, before)
        kept = (await notices.list())["items"]
        assert [one["kind"] for one in kept] == ["verdict", "undone", "verdict", "decided"] * 2
        assert kept[-1]["title"] == "A book" and kept[-1]["proposal"] == question["proposal"]
        assert "listed" in kept[2]["text"] and kept[0]["circle_name"] == "Readers"
        assert [one["name"] for one in told] == ["verdict.changed", "notice.added", "notice.added"] * 4
        await following.follow(circle, before)
        assert len(told) == 12, "the same change is told once, however often its records came"
        monkeypatch.setattr(notices_module, "MAX_NOTICES", 3)
        before = await ben.views.of(circle)
        await anna.circles.cast(QuestionId(parse_id("p", question["proposal"])), "approve")
        await anna.tell(ben, circle)
        await following.follow(circle, before)
        assert [one["kind"] for one in (await notices.list())["items"]] == ["verdict", "decided", "verdict"]
        assert (await notices.clear())["cleared"] == 3 and (await notices.list())["items"] == []
