"""Editing, reverting, taking down and appealing: what people say, and what the circle makes of a work by it."""

from __future__ import annotations

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import CircleId, QuestionId, WorkId, parse_id
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.ports import Json
from p2pnode.services.api.questions import read_changes
from tests.support.people import Person, people

pytestmark = pytest.mark.trio


def question_of(answer: Json) -> QuestionId:
    return QuestionId(parse_id("p", answer["proposal"]))


async def adopt(person: Person, answer: Json) -> QuestionId:
    """A lone founder's approval decides."""
    question = question_of(answer)
    await person.circles.cast(question, "approve")
    return question


async def listed(person: Person, title: str = "A book") -> tuple[CircleId, WorkId]:
    circle = await person.create()
    work = await person.publish(title)
    await adopt(person, await person.circles.work_questions.list(circle, work))
    return circle, work


async def fields(person: Person, circle: CircleId, work: WorkId) -> dict[str, object]:
    return dict((await person.views.of(circle)).outlook(work).history.fields)


async def said(person: Person, circle: CircleId, work: WorkId) -> str:
    return (await person.views.of(circle)).work_verdict(work).verdict


async def test_an_edit_is_proposed_adopted_built_on_and_reverted() -> None:
    async with people("anna") as (anna,):
        circle, work = await listed(anna)
        asks = anna.circles.work_questions
        one = await adopt(anna, await asks.edit(circle, work, {"title": "A good book"}, "typo"))
        await adopt(anna, await asks.edit(circle, work, {"title": "The best book", "summary": "of all"}, ""))
        assert await fields(anna, circle, work) == {"title": "The best book", "summary": "of all"}
        await adopt(anna, await asks.revert(circle, work, one, "too much praise"))
        assert await fields(anna, circle, work) == {"title": "A good book", "summary": ""}
        await adopt(anna, await asks.revert(circle, work, None, ""))
        assert await fields(anna, circle, work) == {"title": "A book", "summary": ""}
        with pytest.raises(UsageError, match="nothing to revert"):
            await asks.revert(circle, work, None, "")
        with pytest.raises(NotFoundError, match="no edit"):
            await asks.revert(circle, work, QuestionId(bytes(32)), "")


async def test_an_edit_that_says_nothing_new_or_nothing_valid_is_refused() -> None:
    async with people("anna") as (anna,):
        circle, work = await listed(anna)
        asks = anna.circles.work_questions
        for patch in ({"title": "A book"}, {"summary": ""}, {"tags": ()}):
            with pytest.raises(UsageError, match="change nothing"):
                await asks.edit(circle, work, patch, "")
        for wrong in ({"title": ""}, {"summary": "x" * 5000}, {"root": Cid.of(RAW, b"x").to_bytes()}):
            with pytest.raises(UsageError, match="no description"):
                await asks.edit(circle, work, wrong, "")
        other = await anna.publish("Not listed")
        with pytest.raises(RefusedError, match="does not list"):
            await asks.edit(circle, other, {"title": "x"}, "")


async def test_the_same_edit_twice_is_one_question() -> None:
    async with people("anna") as (anna,):
        circle, work = await listed(anna)
        ask = anna.circles.work_questions.edit
        assert await ask(circle, work, {"kind": "book"}, "a") == await ask(circle, work, {"kind": "book"}, "b")


async def test_a_takedown_an_appeal_and_a_takedown_again() -> None:
    async with people("anna") as (anna,):
        circle, work = await listed(anna)
        asks = anna.circles.work_questions
        with pytest.raises(RefusedError, match="nothing to appeal"):
            await asks.appeal(circle, work, "because")
        with pytest.raises(UsageError, match="reason"):
            await asks.takedown(circle, work, " ")
        for _ in range(2):
            await adopt(anna, await asks.takedown(circle, work, "harmful"))
            assert await said(anna, circle, work) == "taken_down"
            with pytest.raises(RefusedError, match="already"):
                await asks.takedown(circle, work, "harmful")
            with pytest.raises(UsageError, match="reason"):
                await asks.appeal(circle, work, "")
            await adopt(anna, await asks.appeal(circle, work, "it is not"))
            assert await said(anna, circle, work) == "listed"


async def test_a_complaint_is_lifted_by_an_appeal_and_raised_again() -> None:
    async with people("anna") as (anna,):
        circle, work = await listed(anna)
        asks = anna.circles.work_questions
        for _ in range(2):
            await adopt(anna, await asks.flag(circle, work, "licence", "not theirs"))
            assert await said(anna, circle, work) == "disputed"
            await adopt(anna, await asks.appeal(circle, work, "it is"))
            assert await said(anna, circle, work) == "listed"


async def test_changes_are_read_like_a_description_and_null_takes_a_field_away() -> None:
    assert read_changes({"licence": "mit", "tags": ["b", "b", "c"], "summary": None, "language": ""}) == {
        "licence": "MIT",
        "tags": ("b", "c"),
        "summary": "",
        "language": "",
    }
    for wrong in (
        {"licence": "mine"},
        {"colour": "red"},
        {"identifiers": [{"scheme": "isbn", "value": "1"}]},
        {"title": 3},
    ):
        with pytest.raises(UsageError):
            read_changes(wrong)


async def test_a_circle_for_free_licences_lists_nothing_else() -> None:
    async with people("anna") as (anna,):
        circle = CircleId(parse_id("c", (await anna.circles.create("Library", profile="library"))["circle"]))
        with pytest.raises(RefusedError, match="certain licences only"):
            await anna.circles.work_questions.list(circle, await anna.publish("A book"))
        with pytest.raises(UsageError, match="no profile"):
            await anna.circles.create("Other", profile="guild")
