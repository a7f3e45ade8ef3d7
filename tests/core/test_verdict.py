"""Verdicts on works and states of questions, from real signed records."""

from __future__ import annotations

import pytest

from p2pnode.core.charter import Class
from p2pnode.core.ids import QuestionId
from p2pnode.core.record import PROPOSAL, Value
from p2pnode.core.records import make, question_id
from p2pnode.errors import NotFoundError
from tests.core.circles import DAY, Circle, person, work_id

WORK = work_id("a")
MANIFEST_ID, REVISION_ID = bytes(range(32)), bytes(range(1, 33))


def friends(*names: object, rule: Class | None = None) -> Circle:
    """A circle whose founder vouches for all of them."""
    circle = Circle(rule=rule)
    circle.vouches("founder", names)
    return circle


def test_a_lone_founder_lists_a_work_at_once() -> None:
    circle = Circle()
    question = circle.propose("founder", base=MANIFEST_ID)
    assert circle.view().work_verdict(WORK).verdict == "new"
    circle.cast("founder", question, "approve")
    verdict = circle.view().work_verdict(WORK)
    assert (verdict.verdict, verdict.approve, verdict.reject, verdict.question) == ("listed", 1, 0, question)
    assert verdict.manifest == MANIFEST_ID


def test_an_unknown_work_is_new_and_an_unknown_question_is_an_error() -> None:
    view = Circle().view()
    verdict = view.work_verdict(work_id("never"))
    assert (verdict.verdict, verdict.approve, verdict.reject, verdict.question) == ("new", 0, 0, None)
    assert view.question(QuestionId(bytes(32))) is None
    with pytest.raises(NotFoundError):
        view.decide(QuestionId(bytes(32)))


def test_verdicts_are_live_and_flip_both_ways() -> None:
    circle = friends("ann", "ben")
    question = circle.propose("ann")
    circle.cast("ann", question, "approve")
    assert circle.view().work_verdict(WORK).verdict == "listed"
    circle.cast("ben", question, "reject")
    verdict = circle.view().work_verdict(WORK)
    assert (verdict.verdict, verdict.question, verdict.approve, verdict.reject) == ("new", question, 1, 1)
    circle.cast("founder", question, "reject")
    assert circle.view().work_verdict(WORK).verdict == "rejected"
    circle.cast("ben", question, "abstain")
    circle.cast("founder", question, "approve")
    assert circle.view().work_verdict(WORK).verdict == "listed"


def test_another_proposal_of_the_same_work_is_undecided_again() -> None:
    """The base names the manifest: what was said about one revision says nothing about the next."""
    circle = friends("ann")
    first = circle.propose("ann", base=MANIFEST_ID)
    circle.cast("founder", first, "reject")
    second = circle.propose("ann", base=REVISION_ID)
    verdict = circle.view().work_verdict(WORK)
    assert (verdict.verdict, verdict.question, verdict.manifest) == ("new", second, None)
    circle.cast("founder", second, "approve")
    verdict = circle.view().work_verdict(WORK)
    assert (verdict.verdict, verdict.question, verdict.manifest) == ("listed", second, REVISION_ID)


def test_the_same_question_by_two_proposers_has_one_tally() -> None:
    circle = friends("ann", "ben")
    question = circle.propose("ann", reason="read it")
    assert circle.propose("ben", reason="me too") == question
    circle.cast("founder", question, "approve")
    view = circle.view()
    assert len(view.questions()) == 1 and len(view.questions()[0].proposals) == 2
    assert view.decide(question).approve == 1


def test_flags_dispute_and_name_their_complaints() -> None:
    circle = friends("ann")
    listing = circle.propose("ann", base=MANIFEST_ID)
    circle.cast("founder", listing, "approve")
    for complaint in ("licence", "duplicate"):
        flag = circle.propose("ann", "flag", patch={"complaint": complaint})
        assert circle.view().work_verdict(WORK).verdict == ("listed" if complaint == "licence" else "disputed")
        circle.cast("founder", flag, "approve")
    verdict = circle.view().work_verdict(WORK)
    assert (verdict.verdict, verdict.complaints, verdict.manifest) == (
        "disputed",
        ("duplicate", "licence"),
        MANIFEST_ID,
    )


@pytest.mark.parametrize("patch", [{}, {"complaint": "\x1b[2J rude"}, {"complaint": 7}])
def test_a_complaint_of_no_known_class_disputes_and_brings_no_text_of_its_author(patch: dict[str, Value]) -> None:
    circle = friends("ann")
    circle.cast("founder", circle.propose("ann", "flag", patch=patch), "approve")
    verdict = circle.view().work_verdict(WORK)
    assert (verdict.verdict, verdict.complaints) == ("disputed", ("unknown",))


def test_a_takedown_stands_above_all() -> None:
    circle = friends("ann")
    for class_ in ("list", "flag", "takedown"):
        circle.cast("founder", circle.propose("ann", class_), "approve")
    assert circle.view().work_verdict(WORK).verdict == "taken_down"


def test_other_works_and_other_classes_do_not_mix() -> None:
    circle = friends("ann")
    circle.cast("founder", circle.propose("ann", "edit", base=MANIFEST_ID, patch={"title": "T"}), "approve")
    circle.cast("founder", circle.propose("ann", subject=work_id("b")), "approve")
    circle.cast("founder", circle.propose("ann", "expel", subject=WORK), "approve")
    view = circle.view()
    assert view.work_verdict(WORK).verdict == "new"
    assert view.work_verdict(work_id("b")).verdict == "listed"
    assert view.works() == sorted([WORK, work_id("b")])


def test_a_withdrawal_closes_only_what_is_not_adopted() -> None:
    circle = friends("ann", "ben")
    question = circle.propose("ann")
    proposal = circle.records[-1]
    circle.withdraw("ben", proposal.id)
    assert circle.view().decide(question).state == "open", "only its own author may"
    circle.withdraw("ann", proposal.id)
    assert circle.view().decide(question).state == "withdrawn"
    circle.cast("founder", question, "reject")
    assert circle.view().work_verdict(WORK).verdict == "new", "a closed question rejects nothing"
    circle.cast("founder", question, "approve")
    assert circle.view().decide(question).state == "adopted"
    assert circle.view().work_verdict(WORK).verdict == "listed"


def test_a_question_stays_open_while_somebody_asks() -> None:
    circle = friends("ann", "ben")
    question = circle.propose("ann", reason="one")
    circle.withdraw("ann", circle.records[-1].id)
    circle.propose("ben", reason="two")
    assert circle.view().decide(question).state == "open"


def test_a_withdrawal_may_arrive_before_the_proposal_and_a_ballot_before_both() -> None:
    circle = friends("ann")
    question = circle.propose("ann")
    proposal = circle.records.pop()
    circle.cast("founder", question, "approve")
    assert circle.view().questions() == []
    assert circle.view(extra=[proposal]).decide(question).state == "adopted"


def test_records_of_the_day_after_tomorrow_wait() -> None:
    circle = friends("ann")
    question = circle.propose("ann")
    circle.cast("founder", question, "approve", day=DAY + 2)
    assert circle.view(DAY).decide(question).cast.approve == 0
    assert circle.view(DAY + 1).decide(question).cast.approve == 1


def test_a_ballot_of_the_far_future_never_hides_the_one_of_today() -> None:
    circle = friends("ann")
    question = circle.propose("ann")
    circle.cast("ann", question, "approve")
    circle.cast("ann", question, "reject", day=DAY + 3)
    assert circle.view().decide(question).choice_of(person("ann").public) == "approve"


def test_what_the_tally_does_not_understand_counts_as_nothing() -> None:
    """A proposal class of a later version is kept and decides nothing; nor is there a question to ask about."""
    circle = friends("ann")
    fields = {"class": "rename", "subject": WORK, "base": b"", "patch": {}}
    target = question_id(circle.id, "rename", WORK, b"", {})
    circle.records.append(
        make(person("ann"), PROPOSAL, circle=circle.id, target=target, reason="", **circle.at(DAY, None), **fields)
    )
    assert circle.view().questions() == []


def test_what_is_missing_is_said_in_words() -> None:
    circle = friends(*"abcdef", rule=Class(b=1, q=3))
    question = circle.propose("a")
    circle.casts("ab", question, "approve")
    assert circle.view().decide(question).needs == "2 more approving ballots that count"
    circle.cast("c", question, "approve")
    assert circle.view().decide(question).needs == "1 more approving ballot that counts"
    circle.cast("d", question, "approve")
    assert circle.view().decide(question).needs == "nothing: it is adopted"
