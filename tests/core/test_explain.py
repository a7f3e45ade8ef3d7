"""The explanation: equal bytes whatever the order, repetition, pruning and hash seed; numbers that add up; sentences that say it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core import explain, telling
from p2pnode.core.charter import Class
from p2pnode.core.ids import QuestionId, id_text
from p2pnode.core.record import Record
from p2pnode.core.registers import is_register, merge, register_of
from p2pnode.core.tally import Counter
from p2pnode.core.verdict import CircleView
from tests.core.circles import DAY, Circle, person, work_id


def lively(seed: int = 1, people: int = 14) -> tuple[Circle, QuestionId]:
    """A circle where everything happens: changed minds, equivocations, revocations, strangers, abstentions."""
    rng = random.Random(seed)
    circle = Circle(("founder", 0, 1, 2), f=1, rule=Class(b=1, q=2))
    everyone = ["founder", *range(people)]
    for by in everyone:
        circle.vouches(by, rng.sample(everyone, 3))
    question = circle.propose(3, base=bytes(range(32)))
    circle.propose(5, base=bytes(range(32)), reason="me too")
    circle.propose(6, base=bytes(range(32)), reason="and me")
    flag = circle.propose(4, "flag", patch={"complaint": "corrupt", "more": {"deep": (1, b"\x01")}})
    for by in [*everyone, "stranger"]:
        for asked in (question, flag):
            for _ in range(rng.randint(0, 2)):
                circle.cast(by, asked, rng.choice(["approve", "approve", "reject", "abstain"]))
    for by in rng.sample(everyone, 3):
        circle.cast(by, question, "approve", seq=60_000)
        circle.cast(by, question, "reject", seq=60_000)
        circle.vouch(by, rng.choice(everyone), give=False)
    return circle, question


def explained(circle: Circle, records: list[Record], day: int = DAY) -> bytes:
    """All that a node could say about the circle, as bytes."""
    view = CircleView(circle.charter, records, day)
    told = [view.explain(asked.question.id) for asked in view.questions()]
    return b"\n".join(map(explain.canonical, [*told, *(view.explain_work(work) for work in view.works())]))


def pruned(records: list[Record]) -> list[Record]:
    """What a store keeps that applies the register rule as records come in."""
    registers: dict[object, tuple[Record, ...]] = {}
    kept: dict[object, Record] = {}
    for record in records:
        if is_register(record):
            register = register_of(record)
            registers[register] = merge(registers.get(register, ()), record).keep
        else:
            kept[record.id] = record
    return [*kept.values(), *(record for group in registers.values() for record in group)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_same_records_say_the_same_bytes(seed: int, rng: random.Random) -> None:
    """P1: any order, duplication, partition and merge, pruning."""
    circle, _ = lively(seed)
    first = explained(circle, circle.records)
    shuffled = circle.records * 2
    rng.shuffle(shuffled)
    half = rng.randrange(len(shuffled))
    assert explained(circle, shuffled) == first
    assert explained(circle, pruned(shuffled)) == first
    assert explained(circle, pruned(shuffled[half:]) + pruned(shuffled[:half])) == first


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_view_that_follows_another_says_what_a_fresh_one_says(seed: int, rng: random.Random) -> None:
    """Records come in three portions, each counted upon the view before; the last view is compared with one that knows no other."""
    circle, _ = lively(seed)
    records = circle.records[:]
    rng.shuffle(records)
    view = None
    for end in (len(records) // 2, len(records) - 1, len(records)):
        view = CircleView(circle.charter, records[:end], DAY, previous=view)
        for asked in view.questions():
            view.explain(asked.question.id)
    assert view is not None
    told = [view.explain(asked.question.id) for asked in view.questions()]
    told += [view.explain_work(work) for work in view.works()]
    assert b"\n".join(map(explain.canonical, told)) == explained(circle, records)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_what_is_taken_over_into_later_days_says_what_a_fresh_view_says(seed: int, rng: random.Random) -> None:
    """Days pass and vouches run out on some of them, all of them in the end; every day is counted upon the one before."""
    circle, _ = lively(seed)
    everyone = ["founder", *range(14)]
    for by in everyone:
        circle.vouch(by, rng.choice(everyone), day=DAY - rng.randrange(1, 4))
    view = circle.view()
    for day in sorted({DAY + 1, *(DAY + circle.charter.vouch_days + off for off in range(-4, 1))}):
        for asked in view.questions():
            view.explain(asked.question.id)
        view = CircleView(circle.charter, circle.records, day, previous=view)
        told = [view.explain(asked.question.id) for asked in view.questions()]
        told += [view.explain_work(work) for work in view.works()]
        assert b"\n".join(map(explain.canonical, told)) == explained(circle, circle.records, day)


def test_a_day_on_which_no_vouch_runs_out_counts_nothing_anew() -> None:
    circle, question = lively()
    today = circle.view()
    tally = today.decide(question).tally
    tomorrow = CircleView(circle.charter, circle.records, DAY + 1, previous=today)
    assert tomorrow.decide(question).tally is tally
    last = CircleView(circle.charter, circle.records, DAY + circle.charter.vouch_days, previous=tomorrow)
    assert last.decide(question).tally is not tally


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_view_that_takes_ballots_one_by_one_says_what_a_fresh_one_says(seed: int, rng: random.Random) -> None:
    """Records go through the register rule one by one, as at a node's door; the view takes each ballot, or is made anew where it cannot."""
    circle, _ = lively(seed)
    registers: dict[object, tuple[Record, ...]] = {}
    permanent = [record for record in circle.records if not is_register(record)]
    ballots = [record for record in circle.records if is_register(record)]
    rng.shuffle(ballots)
    view, taken = CircleView(circle.charter, permanent, DAY), 0
    for record in ballots:
        change = merge(registers.get(register_of(record), ()), record)
        registers[register_of(record)] = change.keep
        if record not in change.keep:
            continue
        held = [*permanent, *(one for keep in registers.values() for one in keep)]
        after = view.with_ballots([record], change.drop)
        taken += after is not None
        view = after or CircleView(circle.charter, held, DAY, previous=view)
        if rng.random() < 0.3:
            view.explain_work(rng.choice(view.works()))
    told = [view.explain(asked.question.id) for asked in view.questions()]
    told += [view.explain_work(work) for work in view.works()]
    assert b"\n".join(map(explain.canonical, told)) == explained(circle, circle.records)
    assert taken > 10


def test_what_a_view_cannot_take_one_by_one_it_refuses() -> None:
    circle, question = lively()
    view = circle.view()
    expel = circle.propose("founder", "expel", person(3).public)
    view = circle.view()
    assert view.with_ballots([circle.vouch("founder", "new")], []) is None
    assert view.with_ballots([circle.cast("founder", expel, "approve")], []) is None, "who is a member may hang on it"
    assert view.with_ballots([circle.cast("founder", question, "reject", day=DAY + 2)], []) is None
    late = circle.cast("late", question, "reject")
    assert view.with_ballots([late, late], []) is None
    assert view.with_ballots([late], [circle.records[-3]]) is None, "something else went, too"


def test_only_what_changed_is_counted_again() -> None:
    circle, question = lively()
    first = circle.view()
    flag = next(asked.question.id for asked in first.questions() if asked.question.class_ == "flag")
    tallies = {id: first.decide(id).tally for id in (question, flag)}
    circle.cast("founder", flag, "abstain")
    second = CircleView(circle.charter, circle.records, DAY, previous=first)
    assert second.decide(question).tally is tallies[question]
    assert second.decide(flag).tally is not tallies[flag]
    third = CircleView(circle.charter, circle.records, DAY, previous=second)
    assert third.decide(question).tally is tallies[question]
    circle.vouch("founder", "somebody new")
    fourth = CircleView(circle.charter, circle.records, DAY, previous=third)
    assert fourth.decide(question).tally is not tallies[question]


_PRINT = """
import hashlib
from tests.core.test_explain import explained, lively
circle, _ = lively()
print(hashlib.sha256(explained(circle, circle.records)).hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["0", "1", "31337"])
def test_another_process_with_another_hash_seed_says_the_same_bytes(hash_seed: str) -> None:
    circle, _ = lively()
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    run = subprocess.run([sys.executable, "-c", _PRINT], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == hashlib.sha256(explained(circle, circle.records)).hexdigest()


def test_the_bytes_are_json_and_numbers_add_up() -> None:
    circle, question = lively()
    view = circle.view()
    told = json.loads(explain.canonical(view.explain(question)))
    assert explain.canonical(told) == explain.canonical(view.explain(question))
    assert told["question"] == id_text("p", question)
    assert told["subject"] == id_text("w", work_id("a"))
    assert told["base"] == id_text("r", bytes(range(32)))
    assert (told["circle"], told["charter"]) == (id_text("c", circle.id), id_text("r", circle.id))
    assert told["day"] == "2024-10-04"
    assert told["sets"] == 4 and len(told["left_out"]) == 1
    assert told["margin"] == told["counted"]["approve"] - told["counted"]["reject"]
    whys = [ballot["why"] for ballot in told["ballots"]]
    assert (
        whys.count("counted") == sum(told["counted"].values()) == sum(ballot["counted"] for ballot in told["ballots"])
    )
    assert whys.count("void") == told["cast"]["void"] > 0
    assert whys.count("not_a_member") == told["cast"]["outside"]
    assert len(whys) == sum(told["cast"].values())
    assert all(len(ballot["records"]) == (2 if ballot["choice"] == "void" else 1) for ballot in told["ballots"])


def test_the_byte_form_is_written_down() -> None:
    assert explain.canonical({"b": [1, True], "a": "é"}) == '{"a":"é","b":[1,true]}'.encode()


def test_bytes_in_a_patch_are_written_as_hexadecimal() -> None:
    circle, _ = lively()
    view = circle.view()
    flag = next(asked.question.id for asked in view.questions() if asked.question.class_ == "flag")
    assert view.explain(flag)["patch"] == {"complaint": "corrupt", "more": {"deep": [1, "01"]}}


def test_a_subject_is_named_for_what_it_is() -> None:
    circle = Circle()
    founder, ann = person("founder").public, person("ann").public
    for class_, subject, prefix in (
        ("expel", ann, "k"),
        ("stewards", founder, "k"),
        ("stewards", circle.id, "c"),
        ("charter", circle.id, "c"),
        ("appeal", work_id("a"), "w"),
    ):
        question = circle.propose("founder", class_, subject)
        assert circle.view().explain(question)["subject"] == id_text(prefix, subject)


def test_a_long_list_of_ballots_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    circle, question = lively()
    whole = circle.view().explain(question)
    monkeypatch.setattr(explain, "LISTED_BALLOTS", 3)
    told = circle.view().explain(question)
    assert told["ballots"] == whole["ballots"][:3]
    assert told["ballots_omitted"] == len(whole["ballots"]) - 3
    assert told["cast"] == whole["cast"]


def test_a_founder_alone_is_told_what_that_means() -> None:
    circle = Circle()
    question = circle.propose("founder")
    circle.cast("founder", question, "approve")
    lines = telling.text(circle.view().explain(question))
    assert lines[0] == "The question: whether this circle lists the work. It is adopted."
    assert "Ballots that count: 1 of 1 for, 0 of 0 against, in a circle of 1 member." in lines
    assert "All members are stewards: each of them can change this result." in lines
    assert any("B = 0" in line and "founder can decide everything alone" in line for line in lines)


def test_ballots_that_do_not_count_are_explained_and_a_larger_k_offered() -> None:
    circle = Circle()
    circle.vouch("founder", "ann")
    circle.vouches("ann", range(6))
    question = circle.propose("ann")
    circle.casts(range(6), question, "approve")
    circle.cast("stranger", question, "reject")
    told = circle.view().explain(question)
    assert told["counted"] == {"approve": 3, "reject": 0}
    assert told["larger_k"] == {"k": 6, "would_count": 6}
    lines = telling.text(told)
    assert any(line.startswith("Not counted: 3 ballots of members, because the vouches") for line in lines)
    assert any(line.startswith("Not counted: 1 ballot of keys that no chain of vouches") for line in lines)
    assert any(line.startswith("With K = 6 in the charter 6 ballots would count") for line in lines)


def test_a_larger_k_is_not_offered_where_it_would_not_help() -> None:
    """Ann is reached only through steward 3, and the set that decides leaves that one out: no K brings her ballot to count."""
    circle = Circle(range(4), f=1, rule=Class(b=1, q=1))
    circle.vouch(3, "ann")
    question = circle.propose("ann")
    circle.casts([0, 1, 2, 3, "ann"], question, "approve")
    told = circle.view().explain(question)
    assert (told["left_out"], told["counted"]["approve"]) == ([id_text("k", person(3).public)], 3)
    assert "larger_k" not in told
    assert [ballot["why"] for ballot in told["ballots"]].count("no_room") == 2


def test_ballots_stand_in_the_order_in_which_they_are_counted_strangers_last() -> None:
    circle, question = lively()
    view = circle.view()
    keys = [ballot["key"] for ballot in view.explain(question)["ballots"]]
    by_text = {id_text("k", ballot.key): ballot.key for ballot in view.ballots(question)}
    order = [(not view.is_member(by_text[key]), hashlib.sha256(circle.id + by_text[key]).digest()) for key in keys]
    assert len(order) > 10 and order == sorted(order)


def test_what_would_flip_it_is_said() -> None:
    circle = Circle(rule=Class(b=1, q=2))
    circle.vouches("founder", range(12))
    question = circle.propose(0)
    circle.casts(range(12), question, "approve")
    told = circle.view().explain(question)
    assert told["cost_to_flip"] == {"at_least": 2, "of": "members that are not stewards"}
    undo = next(
        line for line in telling.text(told) if line.startswith("To undo this, at least 2 members who are no stewards")
    )
    assert undo.endswith("a steward can block anything.")
    circle.casts(range(12), question, "reject")
    told = circle.view().explain(question)
    assert told["cost_to_flip"]["at_least"] == 3
    adopt = next(line for line in telling.text(told) if line.startswith("To have it adopted, at least 3 members"))
    assert adopt.endswith("because f is 0.")


def test_works_are_told_with_complaint_and_remedy() -> None:
    circle = Circle()
    work = work_id("a")
    assert telling.text(circle.view().explain_work(work))[-1].startswith("Nobody has asked yet")
    flag = circle.propose("founder", "flag", patch={"complaint": "corrupt"})
    circle.cast("founder", flag, "approve")
    told = circle.view().explain_work(work)
    assert (told["verdict"], told["complaints"], told["decided_by"]["question"]) == (
        "disputed",
        ["corrupt"],
        id_text("p", flag),
    )
    assert any("damaged or incomplete" in line and "whole" not in line for line in telling.text(told))


@pytest.mark.parametrize(
    "class_", ["list", "edit", "flag", "takedown", "appeal", "expel", "readmit", "stewards", "charter"]
)
def test_every_class_and_state_has_its_sentences(class_: str) -> None:
    circle = Circle()
    circle.vouch("founder", "ann")
    subject = circle.id if class_ in ("stewards", "charter") else work_id("a")
    base, patch = b"", {}
    if class_ in ("stewards", "charter"):
        base = circle.id
    elif class_ == "edit":
        base, patch = circle.listed("founder", subject), {"title": "better"}
    elif class_ == "readmit":
        base = circle.propose("founder", "expel", subject)
        circle.cast("founder", QuestionId(base), "approve")
    question = circle.propose("ann", class_, subject, base=base, patch=patch)
    proposal = circle.records[-1]
    seen = [telling.text(circle.view().explain(question))]
    circle.withdraw("ann", proposal.id)
    seen.append(telling.text(circle.view().explain(question)))
    for choice in ("approve", "reject"):
        circle.cast("founder", question, choice)
        seen.append(telling.text(circle.view().explain(question)))
    assert ["It is adopted." in lines[0] for lines in seen] == [False, False, True, False]
    assert any("took it back" in line for line in seen[1])


def test_a_steward_nobody_can_recall_and_a_class_nobody_named() -> None:
    circle = Circle()
    question = circle.propose("founder", "stewards", person("founder").public, base=circle.id)
    view = circle.view()
    assert any("No steward can be recalled" in line for line in telling.text(view.explain(question)))
    assert view.decide(question).needs.startswith("a charter with f of 1")


def test_a_pending_question_is_told_without_numbers_it_does_not_have() -> None:
    circle, question = lively()
    view = circle.view()
    view.rules.assembly.counter = Counter(circle.charter, view.membership, arc_budget=10)
    told = view.explain(question)
    assert (told["state"], told["outcome"]) == ("open", "pending")
    assert "counted" not in told and "cost_to_flip" not in told and told["cast"]["approve"] > 0
    assert "costs too much to count" in telling.text(told)[0]
    assert "costs too much" in view.decide(question).needs
