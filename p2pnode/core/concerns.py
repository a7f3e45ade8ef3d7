"""What happened in a circle that concerns one member: between two views of it, in the order in which one would tell it.

Pure: whoever keeps and shows notices is `services.notices`. Nothing is told of what one did oneself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from p2pnode.core.decision import Decision
from p2pnode.core.ids import PublicKey, QuestionId, WorkId
from p2pnode.core.queue import called
from p2pnode.core.verdict import CircleView

Kind = Literal[
    "member",
    "not_member",
    "expelled",
    "steward",
    "rules",
    "vouched",
    "unvouched",
    "decided",
    "undone",
    "verdict",
    "called",
]


@dataclass(frozen=True, slots=True)
class Concern:
    """`what`: before and after, where there are such words; `key`: who vouched."""

    kind: Kind
    question: QuestionId | None = None
    work: WorkId | None = None
    key: PublicKey | None = None
    what: tuple[str, str] = ("", "")


def concerns(before: CircleView, after: CircleView, me: PublicKey, mine: frozenset[WorkId]) -> list[Concern]:
    """What to tell the member `me`, who holds or made the works `mine`."""
    return [
        *_standing(before, after, me),
        *_vouchers(before, after, me),
        *_decisions(before, after, me),
        *_verdicts(before, after, mine),
        *_calls(before, after, me),
    ]


def _standing(before: CircleView, after: CircleView, me: PublicKey) -> Iterator[Concern]:
    if me in after.rules.expelled and me not in before.rules.expelled:
        yield Concern("expelled", question=after.rules.expelled[me])
    elif after.is_member(me) != before.is_member(me):
        yield Concern("member" if after.is_member(me) else "not_member")
    if after.is_steward(me) and not before.is_steward(me):
        yield Concern("steward")
    if after.charter.id != before.charter.id:
        yield Concern("rules", question=after.rules.steps[-1].question, what=(before.charter.name, after.charter.name))


def _vouchers(before: CircleView, after: CircleView, me: PublicKey) -> Iterator[Concern]:
    old, new = set(before.vouchers(me)), set(after.vouchers(me))
    for key in sorted(new - old):
        yield Concern("vouched", key=key)
    if after.is_member(me):
        for key in sorted(old - new):
            yield Concern("unvouched", key=key)


def _decisions(before: CircleView, after: CircleView, me: PublicKey) -> Iterator[Concern]:
    """Of questions that I asked: adopted, or no more."""
    for asked in after.questions():
        question = asked.question
        if all(proposal.author != me for proposal in asked.proposals) or before.question(question.id) is None:
            continue
        was, now = before.decide(question.id), after.decide(question.id)
        if _is_adopted(was) != _is_adopted(now):
            kind: Kind = "decided" if _is_adopted(now) else "undone"
            yield Concern(kind, question=question.id, work=question.work, what=(was.state, now.state))


def _is_adopted(decision: Decision) -> bool:
    return decision.state == "adopted"


def _verdicts(before: CircleView, after: CircleView, mine: frozenset[WorkId]) -> Iterator[Concern]:
    for work in sorted(mine & {*after.works(), *before.works()}):
        was, now = before.work_verdict(work), after.work_verdict(work)
        if was.verdict != now.verdict:
            yield Concern("verdict", question=now.question, work=work, what=(was.verdict, now.verdict))


def _calls(before: CircleView, after: CircleView, me: PublicKey) -> Iterator[Concern]:
    """New open questions that call me, if I neither asked nor answered them."""
    if not after.is_member(me):
        return
    for asked in after.questions():
        question = asked.question
        if before.question(question.id) is not None or any(one.author == me for one in asked.proposals):
            continue
        decision = after.decide(question.id)
        if decision.state == "open" and decision.choice_of(me) is None and me in called(question.id, after.members):
            yield Concern("called", question=question.id, work=question.work)
