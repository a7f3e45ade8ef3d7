"""Which charter is in force and who is expelled, from real signed records: seals, chains, conflicts, coups."""

from __future__ import annotations

import itertools
import random

import pytest

from p2pnode.core import telling
from p2pnode.core.charter import DEFAULT_CLASSES, Charter, Class
from p2pnode.core.ids import QuestionId
from p2pnode.core.picture import picture_of
from p2pnode.core.verdict import CircleView
from tests.core.circles import DAY, Circle, keys, person

SEALED = Class(b=1, q=2, sealed=True, cooldown_s=86_400)
STEWARDS = ("s1", "s2", "s3", "s4")


def friends(*names: object) -> Circle:
    circle = Circle()
    circle.vouches("founder", names)
    return circle


def council(f: int = 1) -> Circle:
    """Four stewards of whom one may be bad; everything about persons and rules is sealed."""
    circle = Circle(STEWARDS, f=f, rule=SEALED)
    for steward in STEWARDS:
        circle.vouches(steward, ("ann", "ben", "cat"))
    return circle


def change(circle: Circle, by: object, base: Charter | None = None, **changes: object) -> tuple[QuestionId, Charter]:
    """A charter by a steward, and the question whether it takes the place of its base."""
    new = circle.write_charter(by, base, **changes)
    assert new.base is not None
    return circle.propose(by, "charter", circle.id, base=new.base, patch={"charter": new.id}), new


def expel(circle: Circle, by: object, whom: object, base: bytes = b"") -> QuestionId:
    return circle.propose(by, "expel", person(whom).public, base=base)


# ------------------------------------------------------------ persons


def test_an_expelled_member_and_whoever_only_it_vouched_for_are_out_and_come_back() -> None:
    circle = friends("ann", "ben")
    circle.vouch("ben", "cat")
    out = expel(circle, "ann", "ben")
    assert circle.view().is_member(person("ben").public)
    circle.cast("founder", out, "approve")
    view = circle.view()
    assert view.members == tuple(keys("founder", "ann"))
    assert (view.decide(out).state, view.rules.expelled) == ("adopted", {person("ben").public: out})
    back = circle.propose("founder", "readmit", person("ben").public, base=out)
    circle.cast("founder", back, "approve")
    assert circle.view().members == tuple(keys("founder", "ann", "ben", "cat"))
    again = expel(circle, "founder", "ben", base=back)
    circle.cast("founder", again, "approve")
    assert not circle.view().is_member(person("ben").public)


def test_an_expulsion_that_names_no_predecessor_is_stale_after_a_readmission() -> None:
    circle = friends("ann")
    out = expel(circle, "founder", "ann")
    circle.cast("founder", out, "approve")
    back = circle.propose("founder", "readmit", person("ann").public, base=out)
    circle.cast("founder", back, "approve")
    other = circle.propose("founder", "expel", person("ann").public, patch={"why": "again"})
    circle.cast("founder", other, "approve")
    view = circle.view()
    assert view.is_member(person("ann").public)
    assert view.decide(other).state == "stale" and "new proposal" in view.decide(other).needs


def test_a_steward_cannot_be_expelled() -> None:
    circle = friends("ann")
    out = expel(circle, "ann", "founder")
    circle.casts(("ann", "founder"), out, "approve")
    view = circle.view()
    assert view.is_member(person("founder").public) and view.rules.expelled == {}


def test_two_members_who_expel_each_other_both_go_and_nobody_waits_for_the_other() -> None:
    circle = friends("ann", "ben")
    for by, whom in (("ann", "ben"), ("ben", "ann")):
        circle.cast("founder", expel(circle, by, whom), "approve")
    assert circle.view().members == tuple(keys("founder"))


def test_a_sealed_expulsion_needs_the_stewards_and_then_stays() -> None:
    circle = council()
    out = expel(circle, "ann", "ben")
    circle.casts((*STEWARDS, "ann"), out, "approve")
    view = circle.view()
    assert view.decide(out).state == "adopted" and not view.decide(out).effective
    assert view.decide(out).needs == "seals of stewards after the cooldown: 3 more"
    assert view.is_member(person("ben").public)
    for steward in STEWARDS[:2]:
        circle.seal(steward, out)
    circle.seal("ann", out)  # no steward: it counts for nothing
    assert circle.view().is_member(person("ben").public)
    circle.seal("s3", out)
    assert not circle.view().is_member(person("ben").public)
    circle.casts((*STEWARDS, "ann"), out, "reject")
    view = circle.view()
    assert not view.is_member(person("ben").public) and view.decide(out).state == "adopted"


def test_a_steward_seals_decisions_about_many_persons_upon_one_charter() -> None:
    circle = council()
    for whom in ("ann", "ben"):
        out = expel(circle, "s1", whom)
        for steward in STEWARDS[:3]:
            circle.seal(steward, out)
    assert set(keys("ann", "ben")) == set(circle.view().rules.expelled)


# ------------------------------------------------------------ rules


def test_a_lone_founder_changes_the_rules_at_once_and_takes_it_back() -> None:
    circle = Circle()
    question, new = change(circle, "founder", name="better")
    assert circle.view().charter.name == "test"
    circle.cast("founder", question, "approve")
    view = circle.view()
    assert (view.charter.name, view.charter.id) == ("better", new.id)
    assert view.explain(question)["effective"] is True
    circle.cast("founder", question, "reject")
    assert circle.view().charter.name == "test"


def test_changes_follow_one_another_and_what_is_overtaken_is_stale() -> None:
    circle = Circle()
    first, one = change(circle, "founder", name="one")
    circle.cast("founder", first, "approve")
    second, two = change(circle, "founder", one, name="two")
    circle.cast("founder", second, "approve")
    late, _ = change(circle, "founder", name="late")
    view = circle.view()
    assert view.charter.name == "two" and [step.question for step in view.rules.steps] == [None, first, second]
    assert view.decide(late).state == "stale" and view.decide(first).state == "adopted"
    assert two.base == one.id


def test_of_two_adopted_changes_one_holds_on_every_node_and_the_conflict_is_shown() -> None:
    circle = Circle()
    asked = [change(circle, "founder", name=name) for name in ("left", "right")]
    for question, _ in asked:
        circle.cast("founder", question, "approve")
    winner = min(asked)
    loser = max(asked)
    for order in itertools.islice(itertools.permutations(circle.records), 40):
        view = CircleView(circle.charter, order, DAY)
        assert view.charter == winner[1]
        assert view.rules.conflicts == {loser[0]} and "taken its place" in view.decide(loser[0]).needs


def test_the_grown_rules_ask_for_seals_from_then_on() -> None:
    circle = Circle(STEWARDS)
    circle.vouches("s1", ("ann", "ben"))
    classes = dict.fromkeys(DEFAULT_CLASSES, SEALED)
    question, grown = change(circle, "s1", classes=classes, f=1)
    circle.casts(STEWARDS, question, "approve")
    assert circle.view().charter == grown
    further, _ = change(circle, "s1", grown, name="further")
    circle.casts(STEWARDS, further, "approve")
    assert circle.view().charter == grown
    for steward in STEWARDS[1:]:
        circle.seal(steward, further, upon=grown.id)
    assert circle.view().charter.name == "further"


def test_a_change_of_rules_is_explained_by_the_rules_that_it_changed() -> None:
    circle = Circle()
    circle.vouches("founder", ("ann",))
    question, strict = change(circle, "founder", classes=dict.fromkeys(DEFAULT_CLASSES, SEALED))
    circle.cast("founder", question, "approve")
    view = circle.view()
    told, decision = view.explain(question), view.decide(question)
    assert view.charter == strict and (told["outcome"], told["effective"], "seals" in told) == ("adopted", True, False)
    assert (told["rule"]["q"], told["rule"]["sealed"], decision.sealing) == (1, False, None)
    words = " ".join(telling.text(told))
    assert "It is adopted." in words and "seal" not in words
    assert picture_of(view, question) is not None
    assert CircleView(circle.charter, circle.records[::-1], DAY).explain(question) == told


def test_what_is_sealed_stays_and_says_so_when_its_ballots_would_not_do_today() -> None:
    circle = council()
    question, _ = change(circle, "s1", name="new")
    circle.casts(STEWARDS, question, "reject")
    for steward in STEWARDS[:3]:
        circle.seal(steward, question)
    told = circle.view().explain(question)
    assert (told["effective"], told["outcome"], told["seals"]["needed"]) == (True, "undecided", 3)
    words = " ".join(telling.text(told))
    assert "in force: what is sealed stays" in words and "3 stewards sealed it" in words
    assert "things stay as they are" not in words and "must change sides" not in words


def test_seals_upon_another_charter_or_without_enough_stewards_do_nothing() -> None:
    circle = council()
    question, new = change(circle, "s1", name="new")
    for steward in STEWARDS[:3]:
        circle.seal(steward, question, upon=new.id)
    circle.seal("s1", question)
    circle.seal("s2", question)
    assert circle.view().charter.name == "test"
    circle.seal("s3", question)
    assert circle.view().charter.name == "new"


def test_a_steward_who_seals_two_futures_of_one_charter_seals_neither_and_stands_convicted() -> None:
    circle = council()
    one, _ = change(circle, "s1", name="one")
    two, _ = change(circle, "s2", name="two")
    for steward in STEWARDS[:3]:
        circle.seal(steward, one)
    assert circle.view().charter.name == "one"
    second = circle.seal("s3", two)
    view = circle.view()
    assert view.charter.name == "test"
    assert second.id in view.rules.seals.void[person("s3").public, circle.charter.id]
    circle.seal("s4", one)
    assert circle.view().charter.name == "one"


@pytest.mark.parametrize("seed", range(30))
def test_with_at_most_f_bad_stewards_no_two_futures_are_sealed(seed: int) -> None:
    """P10: honest stewards seal one future each, bad ones whatever they like; at most one future has enough, however they arrive."""
    rng = random.Random(seed)
    circle = council()
    futures = [change(circle, "s1", name=f"future {number}")[0] for number in range(3)]
    bad = rng.choice(STEWARDS)
    for steward in STEWARDS:
        for future in rng.sample(futures, rng.randint(1, 3)) if steward == bad else [rng.choice(futures[:2])]:
            circle.seal(steward, future)
    seals = circle.view().rules.seals
    enough = [one for one in futures if len(seals.by(one, circle.charter.id)) >= 3]
    assert len(enough) <= 1
    names = {
        CircleView(circle.charter, rng.sample(circle.records, len(circle.records)), DAY).charter.name for _ in "abc"
    }
    assert len(names) == 1


def test_a_coup_needs_a_stewards_signature_the_same_salt_and_the_right_base() -> None:
    circle = friends("ann")
    with pytest.raises(Exception, match="only a steward"):
        circle.write_charter("ann", name="mine")
    new = circle.write_charter("founder", name="new")
    wrong_base = circle.propose("ann", "charter", circle.id, base=new.id, patch={"charter": new.id})
    unknown = circle.propose("ann", "charter", circle.id, base=circle.id, patch={"charter": bytes(32)})
    shapeless = circle.propose("ann", "charter", circle.id, base=circle.id, patch={"charter": "x"})
    for question in (wrong_base, unknown, shapeless):
        circle.casts(("founder", "ann"), question, "approve")
    assert circle.view().charter == circle.charter


# ------------------------------------------------------------ stewards


def test_a_steward_joins_and_is_recalled_without_a_say_in_it() -> None:
    circle = Circle(STEWARDS, f=1, rule=Class(b=1, q=2))
    for steward in STEWARDS:
        circle.vouches(steward, range(20))
    rest = tuple(keys(*STEWARDS[:3]))
    new = circle.write_charter("s1", stewards=rest, f=0)
    recall = circle.propose("s1", "stewards", person("s4").public, base=circle.id, patch={"charter": new.id})
    circle.casts(range(20), recall, "approve")
    circle.cast("s4", recall, "reject")
    view = circle.view()
    assert view.charter.stewards == rest
    joined = circle.write_charter("s1", new, stewards=(*rest, person(3).public))
    joins = circle.propose("s1", "stewards", person(3).public, base=new.id, patch={"charter": joined.id})
    circle.casts(("s1", "s2", "s3", *range(20)), joins, "approve")
    assert person(3).public in circle.view().charter.stewards


def test_a_question_about_one_steward_cannot_change_anything_else() -> None:
    circle = Circle(("s1", "s2"))
    for changes in ({"name": "x"}, {"k": 6}, {"classes": dict.fromkeys(DEFAULT_CLASSES, SEALED)}, {}):
        stewards = tuple(keys("s1", "s2", "new")) if changes else tuple(keys("s1", "new"))
        new = circle.write_charter("s1", stewards=stewards, **changes)
        question = circle.propose("s1", "stewards", person("new").public, base=circle.id, patch={"charter": new.id})
        circle.casts(("s1", "s2"), question, "approve")
        assert circle.view().charter == circle.charter, changes


# ------------------------------------------------------------ time


def test_what_lapsed_by_expiry_alone_says_since_when() -> None:
    circle = Circle(vouch_days=30, rule=Class(b=0, q=3))
    circle.vouch("founder", "ann", day=DAY)
    circle.vouch("founder", "ben", day=DAY + 10)
    question = circle.propose("ann")
    circle.casts(("founder", "ann", "ben"), question, "approve")
    assert circle.view(DAY + 29).decide(question).state == "adopted"
    view = circle.view(DAY + 35)
    assert view.decide(question).state == "open" and view.lapsed_since(question) == DAY + 30
    assert view.explain(question)["lapsed_since"] == "2024-11-03"
    assert "lapsed_since" not in circle.view(DAY + 29).explain(question)
    circle.cast("ben", question, "reject", day=DAY + 36)
    assert circle.view(DAY + 37).lapsed_since(question) is None
