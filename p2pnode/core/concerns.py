"""What happened in a circle that concerns one member: between two views of it, in the order in which one would tell it.

Pure: whoever keeps and shows notices is `services.notices`. Nothing is told of what one did oneself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from p2pnode.core.charter import GROWN_AT_MEMBERS
from p2pnode.core.decision import Decision
from p2pnode.core.ids import CircleId, PublicKey, QuestionId, WorkId
from p2pnode.core.partings import partings
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
    "one_voucher",
    "grown",
    "parted",
    "two_faced",
    "forked",
]


@dataclass(frozen=True, slots=True)
class Concern:
    """`what`: before and after, where there are such words; `key`: who vouched, sealed or forked; `fork`: the circle that was founded."""

    kind: Kind
    question: QuestionId | None = None
    work: WorkId | None = None
    key: PublicKey | None = None
    what: tuple[str, str] = ("", "")
    fork: CircleId | None = None


def concerns(before: CircleView, after: CircleView, me: PublicKey, mine: frozenset[WorkId]) -> list[Concern]:
    """What to tell the member `me`, who holds or made the works `mine`."""
    return [
        *_standing(before, after, me),
        *_vouchers(before, after, me),
        *_decisions(before, after, me),
        *_verdicts(before, after, mine),
        *_calls(before, after, me),
        *_partings(before, after),
        *_advice(before, after, me),
    ]


def welcome(view: CircleView, me: PublicKey) -> list[Concern]:
    """What to tell somebody who has just come in, without a view from before: that he is a member, by whose vouch, and what to do next.

    Nothing as long as he is none; a steward of the first hour is vouched for by nobody.
    """
    if not view.is_member(me):
        return []
    found = [Concern("member", key=next(iter(view.vouchers(me)), None))]
    return [*found, Concern("one_voucher", key=found[0].key)] if _hangs_on_one(view, me) else found


def _advice(before: CircleView, after: CircleView, me: PublicKey) -> Iterator[Concern]:
    """What a member would do well to do: find a second voucher; and in a circle that has become large, ask for its rules."""
    if _hangs_on_one(after, me) and not _hangs_on_one(before, me):
        yield Concern("one_voucher", key=after.vouchers(me)[0])
    if after.is_member(me) and wants_grown_rules(after) and not wants_grown_rules(before):
        yield Concern("grown")


def _hangs_on_one(view: CircleView, me: PublicKey) -> bool:
    """Whether a single vouch makes me a member."""
    return view.is_member(me) and not view.is_steward(me) and len(view.vouchers(me)) == 1


def wants_grown_rules(view: CircleView) -> bool:
    """Whether a circle has a dozen members and no class of decision that tolerates a bad key (design 4.3: offered, never applied)."""
    return len(view.members) >= GROWN_AT_MEMBERS and not any(rule.b for rule in view.charter.classes.values())


def _partings(before: CircleView, after: CircleView) -> Iterator[Concern]:
    """Another future of the same rules that would hold, too; and stewards who sealed more than one."""
    told, now = partings(before), partings(after)
    known = {future.question for one in told if one.is_split for future in one.futures}
    convicted = {key for one in told for key in one.two_faced}
    for one in now:
        others = [future.question for future in one.futures if future.question != one.in_force]
        if one.is_split and not known.issuperset(others):
            yield Concern("parted", question=others[0])
        for key in one.two_faced:
            if key not in convicted:
                yield Concern("two_faced", key=key)


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
