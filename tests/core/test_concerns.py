"""What concerns one member between two views of a circle."""

from __future__ import annotations

from p2pnode.core.charter import Class
from p2pnode.core.concerns import Concern, concerns, welcome
from p2pnode.core.ids import WorkId
from p2pnode.core.partings import partings
from p2pnode.core.verdict import CircleView
from tests.core.circles import Circle, person, work_id

WORK = work_id("a")
ANN, BEN = person("ann").public, person("ben").public


def after(circle: Circle, before: CircleView, me: bytes = ANN, mine: frozenset[WorkId] = frozenset()) -> list[Concern]:
    return concerns(before, circle.view(), me, mine)  # type: ignore[arg-type]


def kinds(found: list[Concern]) -> list[str]:
    return [one.kind for one in found]


def test_nothing_happened() -> None:
    circle = Circle()
    assert after(circle, circle.view()) == []


def test_becoming_a_member_a_second_voucher_and_losing_them() -> None:
    circle = Circle()
    view = circle.view()
    circle.vouch("founder", "ann")
    assert kinds(after(circle, view)) == ["member", "vouched", "one_voucher"]
    circle.vouch("founder", "ben")
    view = circle.view()
    circle.vouch("ben", "ann")
    assert after(circle, view) == [Concern("vouched", key=BEN)]
    view = circle.view()
    circle.vouch("ben", "ann", give=False)
    founder = person("founder").public
    assert after(circle, view) == [Concern("unvouched", key=BEN), Concern("one_voucher", key=founder)]
    view = circle.view()
    circle.vouch("founder", "ann", give=False)
    assert kinds(after(circle, view)) == ["not_member"]


def test_a_newcomer_is_told_who_vouches_and_that_one_vouch_is_little() -> None:
    circle = Circle()
    founder = person("founder").public
    assert welcome(circle.view(), ANN) == []
    assert welcome(circle.view(), founder) == [Concern("member")], "nobody vouches for a steward, and none hangs on it"
    circle.vouch("founder", "ann")
    assert welcome(circle.view(), ANN) == [Concern("member", key=founder), Concern("one_voucher", key=founder)]
    circle.vouch("founder", "ben")
    circle.vouch("ben", "ann")
    assert kinds(welcome(circle.view(), ANN)) == ["member"]


def test_an_expulsion_says_which_question_did_it() -> None:
    circle = Circle()
    circle.vouch("founder", "ann")
    out = circle.propose("founder", "expel", ANN)
    view = circle.view()
    circle.cast("founder", out, "approve")
    assert after(circle, view) == [Concern("expelled", question=out)]


def test_other_rules_and_a_new_steward() -> None:
    circle = Circle()
    circle.vouch("founder", "ann")
    new = circle.write_charter("founder", stewards=tuple(sorted((person("founder").public, ANN))))
    asked = circle.propose("founder", "stewards", ANN, base=circle.id, patch={"charter": new.id})
    view = circle.view()
    circle.cast("founder", asked, "approve")
    assert kinds(after(circle, view)) == ["steward", "rules"]


def test_my_question_is_decided_and_undone_and_others_are_not_told() -> None:
    circle = Circle()
    circle.vouches("founder", ["ann", "ben"])
    asked = circle.propose("ann")
    view = circle.view()
    circle.cast("founder", asked, "approve")
    assert after(circle, view) == [Concern("decided", question=asked, work=WORK, what=("open", "adopted"))]
    assert after(circle, view, BEN) == []
    view = circle.view()
    circle.cast("founder", asked, "reject")
    assert kinds(after(circle, view)) == ["undone"]


def test_a_circle_that_parts_and_the_steward_who_sealed_two_futures_are_told_once() -> None:
    circle = Circle(("s1", "s2"), rule=Class(b=0, q=1, sealed=True))
    circle.vouches("s1", ["ann"])
    futures = [circle.write_charter("s1", name=name) for name in ("one", "two")]
    asked = [circle.propose("s1", "charter", circle.id, base=circle.id, patch={"charter": one.id}) for one in futures]
    for steward in ("s1", "s2"):
        circle.seal(steward, asked[0])
    view = circle.view()
    assert view.charter.name == "one" and partings(view) == []
    circle.seal("s1", asked[1])
    found = after(circle, view)
    assert kinds(found) == ["rules", "two_faced"], "one of them never had enough, so nothing parts"
    assert found[1].key == person("s1").public
    view = circle.view()
    circle.seal("s2", asked[1])
    (parting,) = partings(circle.view())
    assert parting.is_split and parting.in_force is None and parting.needed == 2
    assert [(one.seals, one.with_void) for one in parting.futures] == [(0, 2), (0, 2)]
    assert kinds(after(circle, view)) == ["parted", "two_faced"]
    view = circle.view()
    assert after(circle, view) == []


def test_of_two_futures_adopted_by_a_tally_alone_one_holds_and_both_are_named() -> None:
    circle = Circle()
    circle.vouches("founder", ["ann"])
    futures = [circle.write_charter("founder", name=name) for name in ("one", "two")]
    asked = [
        circle.propose("founder", "charter", circle.id, base=circle.id, patch={"charter": one.id}) for one in futures
    ]
    circle.cast("founder", asked[0], "approve")
    view = circle.view()
    circle.cast("founder", asked[1], "approve")
    (parting,) = partings(circle.view())
    assert parting.is_split and parting.in_force == min(asked) and not parting.two_faced
    assert "parted" in kinds(after(circle, view))


def test_a_verdict_concerns_who_holds_the_work() -> None:
    circle = Circle()
    circle.vouch("founder", "ann")
    asked = circle.propose("founder")
    view = circle.view()
    circle.cast("founder", asked, "approve")
    held = frozenset({WORK})
    assert after(circle, view, mine=held) == [Concern("verdict", question=asked, work=WORK, what=("new", "listed"))]
    assert after(circle, view) == []


def test_a_new_question_calls_who_neither_asked_nor_answered() -> None:
    circle = Circle()
    circle.vouches("founder", ["ann", "ben"])
    view = circle.view()
    asked = circle.propose("ben")
    assert after(circle, view) == [Concern("called", question=asked, work=WORK)]
    assert after(circle, view, BEN) == []
    circle.cast("ann", asked, "abstain")
    assert after(circle, view) == []
