"""What a circle says of a work, and how it came to that: listings, edits, complaints, takedowns and the appeals against them.

A fold over the questions about one work and what the tally says of each, today. The verdict, first match wins: *taken_down* if a takedown
is effective; *disputed* if a complaint (flag) is; *listed* if a listing is adopted; *rejected* if list questions were asked, at least
one is rejected and none is still undecided; else *new*.

A list question names in `base` the manifest that was approved, so that a later revision is not listed by the ballots on an earlier one;
of several adopted listings the one that was asked last holds. An adopted *appeal* names in `base` the takedown or the flag that it
lifts, for good; who wants the work down again asks a new question, with the appeal as its base. Called by `core.verdict`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from p2pnode.core.decision import Decision, Fate
from p2pnode.core.edits import History, fold, is_overtaken
from p2pnode.core.ids import QuestionId, RecordId
from p2pnode.core.proposals import APPEAL, COMPLAINTS, EDIT, FLAG, LIST, TAKEDOWN, Question
from p2pnode.core.standing import Asked

Verdict = Literal["new", "listed", "rejected", "disputed", "taken_down"]
UNKNOWN_COMPLAINT = "unknown"


@dataclass(frozen=True, slots=True)
class WorkVerdict:
    """What a circle says about a work. `question` decided it, or (new) is open; None: nobody asked. `approve` and `reject` are that
    question's ballots that count. `manifest` is the record that was listed; `complaints` the complaint classes of effective flags, sorted.
    """

    verdict: Verdict
    approve: int
    reject: int
    question: QuestionId | None
    manifest: RecordId | None = None
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What became of a work's questions. `listing` holds; `history` are its edits; `lifted` what an adopted appeal undid."""

    adopted: Mapping[QuestionId, Question]
    listing: Question | None = None
    history: History = field(default_factory=History)
    lifted: frozenset[QuestionId] = frozenset()

    @classmethod
    def of(cls, carried: Iterable[Asked]) -> Outlook:
        """`carried` are the questions about one work that the tally adopts today."""
        asked = list(carried)
        adopted = {one.question.id: one.question for one in asked}
        listings = [one for one in asked if one.question.class_ == LIST]
        newest = max(listings, key=lambda one: (one.proposals[0].created, one.question.id), default=None)
        edits = [question for question in adopted.values() if question.class_ == EDIT]
        appealed = {question.base for question in adopted.values() if question.class_ == APPEAL}
        return cls(
            adopted=adopted,
            listing=newest.question if newest else None,
            history=fold(newest.question.id, edits) if newest else History(),
            lifted=frozenset(id for id, one in adopted.items() if one.class_ in (TAKEDOWN, FLAG) and id in appealed),
        )

    def fate(self, question: Question) -> Fate:
        """What an adopted question came to, or would come to if it were adopted now."""
        if question.class_ == EDIT:
            return self._fate_of_edit(question)
        if question.id not in self.adopted:
            return "open"
        if question.class_ == APPEAL:
            return "effective" if QuestionId(question.base) in self.lifted else "idle"
        if question.class_ == LIST:
            return "effective" if question == self.listing else "superseded"
        return "lifted" if question.id in self.lifted else "effective"

    def _fate_of_edit(self, question: Question) -> Fate:
        if self.listing is not None and is_overtaken(self.listing.id, self.history, question):
            return "stale"
        if question.id not in self.adopted:
            return "open"
        return "effective" if question in self.history.applied else "idle"


def judge(decisions: Iterable[Decision], outlook: Outlook) -> WorkVerdict:
    """The verdict on a work from all questions about it, in the order of their ids."""
    every = list(decisions)
    effective = {
        class_: [one for one in every if one.question.class_ == class_ and one.effective] for class_ in _DECIDING
    }
    manifest = RecordId(outlook.listing.base) if outlook.listing and outlook.listing.base else None
    complaints = tuple(sorted({complaint_of(one.question) for one in effective[FLAG]}))

    def said(verdict: Verdict, by: Decision | None) -> WorkVerdict:
        if by is None:
            return WorkVerdict(verdict, 0, 0, None, manifest, complaints)
        return WorkVerdict(verdict, by.approve, by.reject, by.question.id, manifest, complaints)

    for class_, verdict in _DECIDING.items():
        if effective[class_]:
            return said(verdict, effective[class_][0])
    asked = [one for one in every if one.question.class_ == LIST and one.state == "open"]
    undecided = [one for one in asked if one.tally.outcome != "rejected"]
    if asked and not undecided:
        return said("rejected", asked[0])
    return said("new", undecided[0] if undecided else None)


_DECIDING: Mapping[str, Verdict] = {TAKEDOWN: "taken_down", FLAG: "disputed", LIST: "listed"}
"""The classes that decide, the strongest first, and what each makes of a work."""


def complaint_of(question: Question) -> str:
    """The complaint class of a flag; its text is a stranger's, so what we do not know goes no further."""
    complaint = question.complaint
    return complaint if complaint is not None and complaint in COMPLAINTS else UNKNOWN_COMPLAINT
