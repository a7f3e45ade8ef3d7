"""What is in force in a circle: which charter, and who is expelled. A pure function of the records and the day (design 4.2, 4.3).

The first charter is in force. Again and again: of the changes of rules (classes *charter* and *stewards*) whose base is the charter in
force, one that is *settled* puts the charter that it names in its place; of several, the one with the smallest question id, and the
others are shown as in conflict with it. A change is settled by the terms of the charter it changes: where its class is sealed, by the
seals of at least |S| - f of that charter's stewards, and for good; otherwise by the tally, and only as long as that holds.

Persons: a key is out while its chain of settled decisions ends with an expulsion. The first *expel* has no base, each *readmit* names
the expel it lifts, a further *expel* the readmit that it overturns. What was sealed upon any charter that was in force stays
settled. Expulsions by mere tally are counted among members before such expulsions, so that the answer never depends on itself:
also the person concerned has a voice. A steward cannot be expelled, only recalled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from p2pnode.core.charter import Charter
from p2pnode.core.electorate import Electorate
from p2pnode.core.ids import PublicKey, QuestionId
from p2pnode.core.membership import Membership, active_vouches
from p2pnode.core.proposals import EXPEL, PERSON_CLASSES, READMIT, RULE_CLASSES, STEWARDS, Question
from p2pnode.core.seals import Seals
from p2pnode.core.standing import Standing

Turn = tuple[str, bytes]
"""Class and base of a decision about a person."""
FIRST_TURN: Turn = (EXPEL, b"")


@dataclass(frozen=True, slots=True)
class Step:
    """A charter that is or was in force, and the question that put it there (None: it is the first)."""

    charter: Charter
    question: QuestionId | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """`steps` lead from the first charter to the one in force. `settled` are all decisions on persons and rules that took effect.

    `hearing` decides about persons, `assembly` about everything else: it is the hearing without those whom it expelled.
    `expelled` names for each such key the question that did it; `conflicts` settled changes that another one kept from taking effect.
    `next_on_person`: what the next decision about a key must be to have an effect, where it is not a first expulsion.
    """

    steps: tuple[Step, ...]
    seals: Seals
    hearing: Electorate
    assembly: Electorate
    expelled: Mapping[PublicKey, QuestionId]
    settled: frozenset[QuestionId]
    conflicts: frozenset[QuestionId]
    next_on_person: Mapping[PublicKey, Turn]

    @property
    def charter(self) -> Charter:
        """The charter in force."""
        return self.steps[-1].charter

    def electorate(self, class_: str) -> Electorate:
        """Who decides on questions of a class."""
        return self.hearing if class_ in PERSON_CLASSES else self.assembly

    def sealed_by(self, question: Question) -> frozenset[PublicKey]:
        """The stewards whose seal stands on a question, by the charter of its base, or for persons by the one that settles it soonest."""
        if question.class_ in RULE_CLASSES:
            terms = next((step.charter for step in self.steps if step.charter.id == question.base), None)
            return _stewards_seals(self.seals, question, terms) if terms else frozenset()
        return max((_stewards_seals(self.seals, question, step.charter) for step in reversed(self.steps)), key=len)

    def is_overtaken(self, question: Question) -> bool:
        """Whether what a question builds on is no longer the last word, so that no ballot on it can have an effect."""
        if question.id in self.settled:
            return False
        if question.class_ in RULE_CLASSES:
            return question.base != self.charter.id
        if question.class_ in PERSON_CLASSES:
            turn = self.next_on_person.get(PublicKey(question.subject), FIRST_TURN)
            return (question.class_, question.base) != turn or bool(question.patch)
        return False


def in_force(genesis: Charter, standing: Standing, day: int, known: Sequence[Electorate] = ()) -> Rules:
    """Fold the records of a circle. `known` are electorates of earlier views, taken over where they are still true."""
    return _Fold(standing, day, known).run(genesis)


def deciders(rules: Rules, question: Question, standing: Standing, day: int) -> Electorate:
    """Who decides on a question, by which charter: of a change that took effect those who made it, by the rules that it changed."""
    at = next((at for at, step in enumerate(rules.steps) if step.question == question.id), None)
    if at is None:
        return rules.electorate(question.class_)
    fold = _Fold(standing, day, [rules.hearing, rules.assembly])
    return fold.bodies([step.charter for step in rules.steps[:at]]).assembly


@dataclass(frozen=True, slots=True)
class _Bodies:
    """Who decides about persons, who about the rest, and what was decided about persons."""

    hearing: Electorate
    assembly: Electorate
    persons: Persons


class _Fold:
    """The run through the charters, with what it reads."""

    def __init__(self, standing: Standing, day: int, known: Sequence[Electorate]) -> None:
        self._standing, self._day, self._known = standing, day, known
        self._seals = Seals.of(standing.seals, standing.questions)
        questions = [asked.question for asked in standing.questions.values()]
        self._of_persons = [one for one in questions if one.class_ in PERSON_CLASSES]
        self._of_rules = [one for one in questions if one.class_ in RULE_CLASSES]

    def run(self, genesis: Charter) -> Rules:
        steps, conflicts = [Step(genesis)], set[QuestionId]()
        while True:
            bodies = self.bodies([step.charter for step in steps])
            charter = steps[-1].charter
            settled = sorted(one.id for one in self._of_rules if self._is_settled_change(one, charter, bodies.assembly))
            if not settled:
                return self._rules(steps, bodies, conflicts)
            conflicts.update(settled[1:])
            steps.append(self._step(settled[0]))

    def _rules(self, steps: list[Step], bodies: _Bodies, conflicts: set[QuestionId]) -> Rules:
        stewards = set(steps[-1].charter.stewards)
        return Rules(
            steps=tuple(steps),
            seals=self._seals,
            hearing=bodies.hearing,
            assembly=bodies.assembly,
            expelled={key: id for key, id in bodies.persons.out.items() if key not in stewards},
            settled=bodies.persons.settled | {step.question for step in steps if step.question is not None},
            conflicts=frozenset(conflicts),
            next_on_person=bodies.persons.next,
        )

    def _step(self, id: QuestionId) -> Step:
        named = self._standing.questions[id].question.charter
        assert named is not None
        return Step(self._standing.charters[named][1], id)

    def bodies(self, terms: Sequence[Charter]) -> _Bodies:
        """Who decides under the last of these charters."""

        def is_sealed(question: Question) -> bool:
            return any(_is_sealed_upon(self._seals, question, charter) for charter in terms)

        sealed = Persons(self._of_persons, is_sealed)
        hearing = self._electorate(terms[-1], sealed.out)
        persons = Persons(self._of_persons, lambda one: is_sealed(one) or self._is_carried(one, hearing))
        assembly = hearing if persons.out.keys() == sealed.out.keys() else self._electorate(terms[-1], persons.out)
        return _Bodies(hearing, assembly, persons)

    def _electorate(self, charter: Charter, out: Iterable[PublicKey]) -> Electorate:
        vouches = active_vouches(self._standing.vouches, vouch_days=charter.vouch_days, day=self._day)
        fresh = Electorate(charter, Membership.of(charter.stewards, vouches, set(out)), set(out))
        same = (one for one in self._known if _are_same(one, fresh))
        return next(same, fresh)

    def _is_carried(self, question: Question, electorate: Electorate) -> bool:
        """Whether a tally suffices, and adopts it."""
        rule = electorate.charter.classes.get(question.class_)
        if rule is None or rule.sealed:
            return False
        return electorate.tally(question, self._standing.ballots.of(question.id)).outcome == "adopted"

    def _is_settled_change(self, question: Question, charter: Charter, assembly: Electorate) -> bool:
        if question.base != charter.id or question.charter is None:
            return False
        signed = self._standing.charters.get(question.charter)
        if signed is None or not may_follow(question, charter, *signed):
            return False
        return _is_sealed_upon(self._seals, question, charter) or self._is_carried(question, assembly)


def _are_same(one: Electorate, other: Electorate) -> bool:
    return (one.charter, one.expelled, one.membership) == (other.charter, other.expelled, other.membership)


def _is_sealed_upon(seals: Seals, question: Question, charter: Charter) -> bool:
    rule = charter.classes.get(question.class_)
    enough = len(charter.stewards) - charter.f
    return rule is not None and rule.sealed and len(_stewards_seals(seals, question, charter)) >= enough


def _stewards_seals(seals: Seals, question: Question, charter: Charter) -> frozenset[PublicKey]:
    return seals.by(question.id, charter.id) & frozenset(charter.stewards)


def may_follow(question: Question, charter: Charter, author: PublicKey, new: Charter) -> bool:
    """Whether a charter signed by `author` may take the place of `charter` by this question.

    It is signed by a steward, follows that very charter and keeps what makes the circle this one. A question about stewards changes
    nobody but its subject: else the recall of one, from which that one is kept out, could rewrite everything.
    """
    same_circle = (new.circle, new.salt, new.parent, new.cut) == (
        charter.circle,
        charter.salt,
        charter.parent,
        charter.cut,
    )
    if new.base != charter.id or author not in charter.stewards or not same_circle:
        return False
    if question.class_ != STEWARDS:
        return True
    same_rules = replace(new, id=charter.id, base=charter.base, stewards=charter.stewards, f=charter.f) == charter
    return same_rules and set(new.stewards) ^ set(charter.stewards) == {question.subject}


class Persons:
    """The chains of decisions about persons: expel, readmit, expel ... each naming the one before it in `base`.

    `out` maps each key whose chain of settled decisions ends with an expulsion to that question; `next` every chain that has begun
    to the turn that would continue it. Their patch is empty, so that there is one question for each turn and no two that compete.
    """

    def __init__(self, questions: Iterable[Question], is_settled: Callable[[Question], bool]) -> None:
        asked = {(one.subject, (one.class_, one.base)): one for one in questions if not one.patch}
        self.out: dict[PublicKey, QuestionId] = {}
        self.next: dict[PublicKey, Turn] = {}
        settled: set[QuestionId] = set()
        for subject in sorted({subject for subject, _ in asked}):
            turn, key = FIRST_TURN, PublicKey(subject)
            while (question := asked.get((subject, turn))) is not None and is_settled(question):
                settled.add(question.id)
                turn = (READMIT if turn[0] == EXPEL else EXPEL, bytes(question.id))
                self.next[key] = turn
                if turn[0] == READMIT:
                    self.out[key] = question.id
                else:
                    del self.out[key]
        self.settled = frozenset(settled)
