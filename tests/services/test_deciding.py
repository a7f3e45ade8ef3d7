"""What people are shown before they decide: turnout, what the lead withstands, evidence, remedies; and taking a proposal back."""

from __future__ import annotations

import pytest

from p2pnode.core.ids import QUESTION_PREFIX, QuestionId, parse_id
from p2pnode.core.proposals import COMPLAINTS, MAX_REASON_CHARACTERS
from p2pnode.errors import RefusedError, UsageError
from p2pnode.services.evidence import MAX_PIECES, split_evidence, with_evidence
from tests.support.people import people


def question(answer: dict[str, object]) -> QuestionId:
    return QuestionId(parse_id(QUESTION_PREFIX, str(answer["proposal"])))


@pytest.mark.trio
async def test_turnout_and_tolerance_are_told_before_one_votes() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        asked = question(await anna.circles.work_questions.list(circle, await anna.publish("Bees")))
        before = await anna.circles.questions.one(asked)
        assert before["standing"]["cast"] == 0
        assert before["standing"]["members"] == 1
        assert before["standing"]["rule"] == {
            "b": 0, "q": 1, "supermajority": False, "cooldown_s": 0, "sealed": False, "k": 3, "margin_over": 0,
        }  # fmt: skip
        assert before["member"]
        assert before["mine"] is None
        await anna.circles.cast(asked, "approve")
        after = await anna.circles.questions.one(asked)
        assert (after["standing"]["cast"], after["standing"]["margin"], after["standing"]["tolerates"]) == (1, 1, 0)
        assert after["state"] == "adopted"  # a lone founder's circle works at once


@pytest.mark.trio
async def test_a_complaint_carries_its_evidence_and_its_remedy() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        work = await anna.publish("Bees")
        reason = with_evidence("the same plates", ["w-abc", "https://example.org/plates"])
        asked = question(await anna.circles.work_questions.flag(circle, work, "duplicate", reason))
        told = await anna.circles.questions.one(asked)
        assert told["reason"] == "the same plates"
        assert told["evidence"] == ["w-abc", "https://example.org/plates"]
        assert told["remedy"] == COMPLAINTS["duplicate"].remedy


@pytest.mark.trio
async def test_what_one_proposed_can_be_taken_back_until_it_is_adopted() -> None:
    async with people("anna") as (anna,):
        circle = await anna.create()
        asked = question(await anna.circles.work_questions.list(circle, await anna.publish("Bees")))
        await anna.circles.ballots.withdraw(asked)
        assert (await anna.circles.questions.one(asked))["state"] == "withdrawn"
        other = question(await anna.circles.work_questions.list(circle, await anna.publish("Wasps")))
        await anna.circles.cast(other, "approve")
        with pytest.raises(RefusedError, match="adopted"):
            await anna.circles.ballots.withdraw(other)


def test_evidence_is_bounded_and_comes_back_as_it_was() -> None:
    pieces = [f"w-{number}" for number in range(MAX_PIECES)]
    assert split_evidence(with_evidence("why\nand how", pieces)) == ("why\nand how", pieces)
    assert split_evidence("no evidence\nat all") == ("no evidence\nat all", [])
    assert with_evidence(" why ", []) == "why"
    for wrong in (["w-x", *pieces], ["two\nlines"], [" "], ["https://" + "x" * MAX_REASON_CHARACTERS]):
        with pytest.raises(UsageError):
            with_evidence("why", wrong)
