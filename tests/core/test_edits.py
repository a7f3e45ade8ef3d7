"""The fold of edits, and what listings, complaints, takedowns and appeals make of a work."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from p2pnode.core.charter import Class
from p2pnode.core.edits import fold, is_applicable, overlay
from p2pnode.core.ids import QuestionId
from p2pnode.core.proposals import Question
from tests.core.circles import DAY, Circle, work_id

WORK = work_id("a")
FIRST, SECOND = bytes([1]) * 32, bytes([2]) * 32


class Library(Circle):
    """A lone founder's circle with one listed work; edits are adopted as they are proposed."""

    def __init__(self) -> None:
        super().__init__()
        self.listing = self.listed("founder", base=FIRST)

    def edit(self, base: bytes | None = None, *, adopt: bool = True, **patch: Any) -> QuestionId:
        question = self.propose("founder", "edit", base=self.listing if base is None else base, patch=patch)
        if adopt:
            self.cast("founder", question, "approve")
        return question

    def adopt(self, class_: str, base: bytes, **patch: Any) -> QuestionId:
        question = self.propose("founder", class_, base=base, patch=patch)
        self.cast("founder", question, "approve")
        return question


def question(number: int, base: bytes, **patch: Any) -> Question:
    return Question(QuestionId(bytes([number]) * 32), work_id("circle"), "edit", WORK, base, patch)  # type: ignore[arg-type]


LISTING = QuestionId(bytes(32))


def test_edits_of_different_fields_both_hold_though_neither_knew_the_other() -> None:
    history = fold(LISTING, [question(2, LISTING, title="a"), question(1, LISTING, summary="b")])
    assert [edit.id[0] for edit in history.applied] == [1, 2]
    assert history.fields == {"title": "a", "summary": "b"} and history.stale == frozenset()


def test_of_two_edits_of_one_field_the_smaller_id_holds_and_the_other_is_stale() -> None:
    history = fold(LISTING, [question(2, LISTING, title="b"), question(1, LISTING, title="a")])
    assert history.fields == {"title": "a"} and history.stale == {QuestionId(bytes([2]) * 32)}


def test_an_edit_of_an_edit_comes_later_and_may_change_the_same_field() -> None:
    first = question(9, LISTING, title="a")
    second = question(1, first.id, title="b")
    history = fold(LISTING, [second, first])
    assert [edit.id[0] for edit in history.applied] == [9, 1] and history.fields == {"title": "b"}
    assert history.tip == second.id


def test_a_child_of_a_stale_edit_or_of_an_unknown_one_waits() -> None:
    stale = question(2, LISTING, title="b")
    history = fold(
        LISTING,
        [
            question(1, LISTING, title="a"),
            stale,
            question(3, stale.id, title="c"),
            question(4, bytes([77]) * 32, kind="d"),
        ],
    )
    assert [edit.id[0] for edit in history.applied] == [1] and history.stale == {stale.id}


def test_the_order_of_arrival_and_repetition_never_matter() -> None:
    root = question(5, LISTING, title="a")
    edits = [
        root,
        question(1, root.id, summary="b"),
        question(2, LISTING, summary="c"),
        question(3, LISTING, title="d"),
    ]
    expected = fold(LISTING, edits)
    assert all(fold(LISTING, [*order, root]) == expected for order in itertools.permutations(edits))
    assert [edit.id[0] for edit in expected.applied] == [2, 3] and len(expected.stale) == 1


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"title": ""},
        {"title": 3},
        {"colour": "red"},
        {"root": FIRST},
        {"bytes": 3},
        {"tags": ("",)},
        {"summary": "x" * 5000},
    ],
)
def test_a_patch_that_makes_no_manifest_changes_nothing(patch: dict[str, Any]) -> None:
    assert not is_applicable(patch)
    assert fold(LISTING, [question(1, LISTING, **patch)]).applied == ()


def test_overlay_replaces_adds_and_takes_away() -> None:
    work = {"title": "a", "summary": "b", "tags": ("x",)}
    assert overlay(work, {"title": "c", "summary": "", "language": "de"}) == {
        "title": "c",
        "tags": ("x",),
        "language": "de",
    }


def test_an_adopted_edit_is_effective_and_a_later_clash_is_stale_before_anybody_votes() -> None:
    library = Library()
    edit = library.edit(title="better")
    late = library.edit(title="other", adopt=False)
    view = library.view()
    assert view.decide(edit).effective and view.outlook(WORK).history.fields == {"title": "better"}
    assert view.decide(late).state == "stale"
    on_top = library.edit(base=edit, title="best")
    assert library.view().outlook(WORK).history.fields == {"title": "best"}
    revert = library.edit(base=on_top, title="better")
    history = library.view().outlook(WORK).history
    assert history.fields == {"title": "better"} and [one.id for one in history.applied] == [edit, on_top, revert]


def test_an_edit_of_a_work_that_is_not_listed_waits_for_the_listing() -> None:
    circle = Circle()
    listing = circle.propose("founder", base=FIRST)
    edit = circle.propose("founder", "edit", base=listing, patch={"title": "better"})
    circle.cast("founder", edit, "approve")
    decision = circle.view().decide(edit)
    assert decision.state == "adopted" and not decision.effective and "once what it builds on does" in decision.needs
    circle.cast("founder", listing, "approve")
    assert circle.view().decide(edit).effective


def test_the_listing_that_was_asked_last_holds() -> None:
    circle = Circle()
    old = circle.listed("founder", base=FIRST)
    new = circle.propose("founder", base=SECOND, day=DAY + 1)
    circle.cast("founder", new, "approve", day=DAY + 1)
    view = circle.view(DAY + 1)
    verdict = view.work_verdict(WORK)
    assert (verdict.verdict, verdict.manifest, verdict.question) == ("listed", SECOND, new)
    assert "later adopted one" in view.decide(old).needs


def test_an_edit_war_ends_with_one_text_and_every_step_on_record() -> None:
    library = Library()
    tip: QuestionId | None = None
    for turn in range(20):
        tip = library.edit(base=tip, title=f"title {turn % 2}")
    history = library.view().outlook(WORK).history
    assert history.fields == {"title": "title 1"} and len(history.applied) == 20 and history.tip == tip


# ------------------------------------------------------------ complaints, takedowns, appeals


def test_an_appeal_lifts_a_takedown_and_a_new_takedown_names_the_appeal() -> None:
    library = Library()
    down = library.adopt("takedown", FIRST)
    assert library.view().work_verdict(WORK).verdict == "taken_down"
    appeal = library.adopt("appeal", down)
    view = library.view()
    assert view.work_verdict(WORK).verdict == "listed"
    assert view.decide(down).state == "lifted" and view.decide(appeal).effective
    library.adopt("takedown", appeal)
    assert library.view().work_verdict(WORK).verdict == "taken_down"


def test_takedown_and_appeal_ping_pong_ends_where_the_last_decision_put_it() -> None:
    library = Library()
    base: bytes = FIRST
    for turn in range(12):
        base = library.adopt("appeal" if turn % 2 else "takedown", base)
        assert library.view().work_verdict(WORK).verdict == ("listed" if turn % 2 else "taken_down")


def test_an_appeal_lifts_a_complaint_and_an_idle_one_lifts_nothing() -> None:
    library = Library()
    flag = library.adopt("flag", FIRST, complaint="licence")
    assert library.view().work_verdict(WORK).verdict == "disputed"
    idle = library.adopt("appeal", SECOND)
    assert library.view().work_verdict(WORK).verdict == "disputed" and not library.view().decide(idle).effective
    library.adopt("appeal", flag)
    verdict = library.view().work_verdict(WORK)
    assert (verdict.verdict, verdict.complaints) == ("listed", ())


def test_an_appeal_needs_its_own_majority() -> None:
    circle = Circle(rule=Class(b=0, q=2))
    circle.vouches("founder", "ab")
    down = circle.propose("a", "takedown", base=FIRST)
    circle.casts("ab", down, "approve")
    appeal = circle.propose("founder", "appeal", base=down)
    circle.cast("founder", appeal, "approve")
    assert circle.view().work_verdict(WORK).verdict == "taken_down"
    circle.cast("b", appeal, "approve")
    assert circle.view().work_verdict(WORK).verdict == "new"
