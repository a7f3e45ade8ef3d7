"""Ballots that are read when they are asked for: a view says the same as one that has them all, before and after others come."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core import ballot_box, explain
from p2pnode.core.charter import Charter
from p2pnode.core.ids import QuestionId
from p2pnode.core.record import BALLOT, Record
from p2pnode.core.registers import is_register, merge, register_of
from p2pnode.core.standing import READ_AT_ONCE
from p2pnode.core.verdict import CircleView
from tests.core.circles import DAY
from tests.core.test_explain import lively


@dataclass
class Shelf:
    """As a store: what it holds of a circle now."""

    held: dict[object, tuple[Record, ...]] = field(default_factory=dict)
    readings: int = 0

    def put(self, record: Record) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
        """What came and what went."""
        if not is_register(record):
            self.held[record.id] = (record,)
            return (record,), ()
        change = merge(self.held.get(register_of(record), ()), record)
        self.held[register_of(record)] = change.keep
        return ((record,), change.drop) if record in change.keep else ((), ())

    @property
    def records(self) -> list[Record]:
        return [record for kept in self.held.values() for record in kept]

    def ballots(self, question: QuestionId) -> Iterable[Record]:
        self.readings += 1
        return [one for one in self.records if one.kind == BALLOT and one.target == question]

    def view(self, charter: Charter, previous: CircleView | None = None) -> CircleView:
        """One that has read what is to be read at once."""
        first = [record for record in self.records if record.kind in READ_AT_ONCE]
        return CircleView(charter, first, DAY, previous=previous, ballots_of=self.ballots)


def told(view: CircleView) -> bytes:
    """Everything that a view says, as bytes."""
    said = [view.explain(asked.question.id) for asked in view.questions()]
    said += [view.explain_work(work) for work in view.works()]
    states = [view.state(asked.question.id) for asked in view.questions()]
    return b"\n".join(map(explain.canonical, said)) + "".join(states).encode()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 5), st.sampled_from([1, 50_000]), st.randoms(use_true_random=False))
def test_a_view_that_reads_ballots_says_what_one_says_that_has_them(seed: int, kept: int, rng: random.Random) -> None:
    """Records come one by one; whoever compares with the view of before finds it as it was. Also where next to nothing is kept."""
    circle, _ = lively(seed)
    shelf, records = Shelf(), list(circle.records)
    rng.shuffle(records)
    for record in records[: len(records) // 2]:
        shelf.put(record)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ballot_box, "MAX_KEPT_BALLOTS", kept)
        patch.setattr("p2pnode.core.decision.MAX_KEPT_BALLOTS", kept)
        view, taken = shelf.view(circle.charter), 0
        assert told(view) == told(CircleView(circle.charter, shelf.records, DAY))
        for record in records[len(records) // 2 :]:
            held = shelf.records
            if rng.random() < 0.05:  # of what was asked before the change there is nothing to read again
                told(view)
            new, gone = shelf.put(record)
            view.remember(new, gone)
            after = view.with_news(new, gone, settled=rng.random() < 0.7)
            taken += after is not None
            if rng.random() < 0.1:
                before = CircleView(circle.charter, held, DAY)
                assert told(view) == told(before), "the view of before goes on saying what it said"
                changed = after.changed_since(view) if after is not None else None
                fresh = CircleView(circle.charter, shelf.records, DAY)
                for id in (asked.question.id for asked in view.questions() if changed is not None):
                    assert id in changed or fresh.explain(id) == before.explain(id)
            view = after or shelf.view(circle.charter, previous=view)
        assert told(view) == told(CircleView(circle.charter, circle.records, DAY))
    assert taken > 5


def test_what_is_told_before_it_is_in_the_store_is_read_from_there() -> None:
    """A ballot of our own that is told while its transaction still runs: nothing is taken for granted."""
    circle, question = lively()
    shelf = Shelf()
    for record in circle.records:
        shelf.put(record)
    view = shelf.view(circle.charter)
    view.decide(question)
    late = circle.cast("founder", question, "reject")
    held = next(one for one in shelf.ballots(question) if one.author == late.author)
    after = view.with_news([late], [held], settled=False)
    assert after is not None and after.decide(question).choice_of(late.author) == held.fields["choice"]
    after = after.with_news([late], [held], settled=False)
    shelf.put(late)
    assert after is not None and after.decide(question).choice_of(late.author) == "reject"


def test_of_questions_that_nobody_asks_no_ballot_is_read() -> None:
    circle, question = lively()
    shelf = Shelf()
    for record in circle.records:
        shelf.put(record)
    view = shelf.view(circle.charter)
    before = shelf.readings
    view.explain(question)
    view.explain(question)
    assert shelf.readings - before <= len(view.work_questions(view.question(question).work or b""))  # type: ignore[union-attr,arg-type]
