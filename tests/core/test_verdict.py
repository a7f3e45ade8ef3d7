"""Verdicts on works and states of questions, from real signed records."""

from __future__ import annotations

import pytest

from p2pnode.core.ids import QuestionId
from p2pnode.errors import NotFoundError
from tests.core.circles import DAY, Circle, person, work_id


def test_a_lone_founder_lists_a_work_at_once() -> None:
    circle = Circle()
    question = circle.propose("founder", base=bytes(range(32)))
    assert circle.view().work_verdict(work_id("a")).verdict == "new"
    circle.cast("founder", question, "approve")
    verdict = circle.view().work_verdict(work_id("a"))
    assert (verdict.verdict, verdict.approve, verdict.reject, verdict.question) == ("listed", 1, 0, question)
    assert verdict.manifest == bytes(range(32))


def test_an_unknown_work_is_new_and_an_unknown_question_is_an_error() -> None:
    view = Circle().view()
    verdict = view.work_verdict(work_id("never"))
    assert (verdict.verdict, verdict.approve, verdict.reject, verdict.question) == ("new", 0, 0, None)
    with pytest.raises(NotFoundError):
        view.decide(QuestionId(bytes(32)))
