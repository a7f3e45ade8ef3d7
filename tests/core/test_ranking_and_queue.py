"""What comes first: works by Wilson's bound, questions by who is called to them."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.ids import PublicKey, QuestionId
from p2pnode.core.queue import REVIEWERS, called, in_order
from p2pnode.core.ranking import wilson

MEMBERS = [PublicKey(hashlib.sha256(b"m%d" % n).digest()) for n in range(60)]
QUESTIONS = [QuestionId(hashlib.sha256(b"q%d" % n).digest()) for n in range(400)]


@pytest.mark.parametrize(
    ("approve", "reject", "bound"), [(0, 0, 0.0), (1, 0, 0.2065), (9, 1, 0.5958), (90, 10, 0.8256), (0, 5, 0.0)]
)
def test_the_bound_is_the_published_one(approve: int, reject: int, bound: float) -> None:
    assert wilson(approve, reject) == pytest.approx(bound, abs=1e-4)


@given(st.integers(0, 500), st.integers(0, 500))
def test_one_more_approval_never_lowers_it_and_one_more_reject_never_raises_it(approve: int, reject: int) -> None:
    here = wilson(approve, reject)
    assert 0 <= here <= 1 and wilson(approve + 1, reject) >= here >= wilson(approve, reject + 1)


def test_every_question_calls_some_and_everybody_gets_some() -> None:
    calls = Counter(key for question in QUESTIONS for key in called(question, MEMBERS))
    assert sum(calls.values()) == REVIEWERS * len(QUESTIONS) and len(calls) == len(MEMBERS)
    assert min(calls.values()) > 20 and max(calls.values()) < 90


def test_who_leaves_takes_only_his_own_calls_along() -> None:
    for question in QUESTIONS[:50]:
        before = called(question, MEMBERS)
        after = called(question, MEMBERS[1:])
        assert before - {MEMBERS[0]} <= after and (MEMBERS[0] in before or before == after)


def test_a_small_circle_calls_everybody() -> None:
    assert called(QUESTIONS[0], MEMBERS[:3]) == frozenset(MEMBERS[:3])


def test_what_calls_me_comes_first_the_oldest_of_it_first() -> None:
    order = in_order(QUESTIONS, MEMBERS, MEMBERS[5])
    mine = [question for question, calls_me in order if calls_me]
    assert mine and [question for question, _ in order[: len(mine)]] == mine
    assert mine == [question for question in QUESTIONS if question in set(mine)]
    assert {question for question, _ in order} == set(QUESTIONS)
