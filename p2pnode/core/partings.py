"""Where a circle parts: more than one future of the same rules was sealed or adopted, so that no count can tell which one is meant.

One steward may seal one successor of a charter; two sealed ones void both seals (`core.seals`), so with at most f bad stewards no
two futures ever stand. With more of them, or where rules change by a tally alone, people must choose: each part goes its own way as
a fork of the circle. Pure, a function of the records and the day; told by `services.partings`.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pnode.core.charter import Charter
from p2pnode.core.ids import PublicKey, QuestionId
from p2pnode.core.rules import Rules
from p2pnode.core.verdict import CircleView

STEPS_LOOKED_AT = 2
"""The charter in force and the one before it: what was parted over earlier was settled by further changes."""


@dataclass(frozen=True, slots=True)
class Future:
    """A change of rules. `seals` that stand; `with_void` counts those, too, that their stewards made void by sealing another."""

    question: QuestionId
    seals: int
    with_void: int


@dataclass(frozen=True, slots=True)
class Parting:
    """Futures of one charter, sorted by question. `two_faced` are stewards who sealed more than one of them, sorted.

    `in_force` is the future that took effect, if one did. `is_split`: more than one would hold, if nobody had signed two or no
    other had been quicker; else it is only a steward's broken promise.
    """

    futures: tuple[Future, ...]
    two_faced: tuple[PublicKey, ...]
    in_force: QuestionId | None
    needed: int
    is_split: bool


def partings(view: CircleView) -> list[Parting]:
    """What the circle parts over today, the older first; nothing for nearly every circle."""
    rules = view.rules
    steps = rules.steps[-STEPS_LOOKED_AT:]
    followed = [*(step.question for step in steps[1:]), None]
    found = (_parting(view, step.charter, after) for step, after in zip(steps, followed, strict=True))
    return [one for one in found if one is not None]


def _parting(view: CircleView, charter: Charter, in_force: QuestionId | None) -> Parting | None:
    rules = view.rules
    broken = {
        author: questions
        for (author, upon), questions in rules.seals.broken.items()
        if upon == charter.id and author in charter.stewards
    }
    overtaken = {id for id in rules.conflicts if (asked := view.question(id)) is not None and asked.base == charter.id}
    named = overtaken.union(*broken.values(), {in_force} - {None})
    if len(named) < 2:
        return None
    futures = tuple(_future(rules, charter, id, broken) for id in sorted(id for id in named if id is not None))
    needed = len(charter.stewards) - charter.f
    strong = {one.question for one in futures if one.with_void >= needed} | overtaken
    strong |= {in_force} if in_force is not None else set()
    return Parting(futures, tuple(sorted(broken)), in_force, needed, is_split=len(strong) > 1)


def _future(rules: Rules, charter: Charter, id: QuestionId, broken: dict[PublicKey, frozenset[QuestionId]]) -> Future:
    seals = len(rules.seals.by(id, charter.id) & frozenset(charter.stewards))
    return Future(id, seals, seals + sum(id in questions for questions in broken.values()))
