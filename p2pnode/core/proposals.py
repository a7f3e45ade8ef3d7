"""What a proposal asks, as a value; the complaint classes and what each asks for in words.

The question, not the proposal, is what ballots answer: two proposals of one question share one tally. Called by
`services.ballots`, the tally and the screens; never decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from p2pnode.core.fields import digest, mapping, octets, text
from p2pnode.core.ids import ID_BYTES, CircleId, PublicKey, QuestionId, RecordId, WorkId
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import BALLOT, PROPOSAL, SEAL, VOUCH, WITHDRAW, Record, Value
from p2pnode.core.records import CHOICES, make, normalised, question_id
from p2pnode.errors import DecodeError, UsageError

LIST, EDIT, FLAG, TAKEDOWN, APPEAL = "list", "edit", "flag", "takedown", "appeal"
EXPEL, READMIT, STEWARDS, CHARTER_CHANGE = "expel", "readmit", "stewards", "charter"
WORK_CLASSES = (LIST, EDIT, FLAG, TAKEDOWN, APPEAL)
"""Decisions about a work, which is their subject."""
PERSON_CLASSES = (EXPEL, READMIT)
"""Decisions about a person: the subject is a key."""
RULE_CLASSES = (STEWARDS, CHARTER_CHANGE)
"""Decisions about the rules themselves: `base` is the charter they change, the patch names the one that follows it."""
SEALED_CLASSES = PERSON_CLASSES + RULE_CLASSES
"""What a charter may ask seals for; everywhere else they would mean nothing."""
MAX_REASON_CHARACTERS = 400
"""Of a ballot or a proposal: in the widest script it still fits a ballot of 2 KiB."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One class of complaint: its title on screens and the remedy that an adopted flag asks for."""

    title: str
    remedy: str


COMPLAINTS: Final[Mapping[str, Complaint]] = {
    "licence": Complaint("wrong licence", "publish a revision with the right licence, or withdraw the work"),
    "corrupt": Complaint("damaged or incomplete", "publish a revision whose content opens and is complete"),
    "duplicate": Complaint("a duplicate", "keep the better of the two and say so in its description"),
    "metadata": Complaint("wrong description", "propose an edit of the fields that are wrong"),
    "harmful": Complaint("harmful", "read the reasons before opening it; the circle may propose a takedown"),
    "off_topic": Complaint("off topic", "list it in a circle whose purpose it fits"),
}
"""Every complaint class of version 1, as it stands in a flag's patch."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is decided on. `subject` is a work, a key or a circle by class; `base` is empty or a record's id."""

    id: QuestionId
    circle: CircleId
    class_: str
    subject: bytes
    base: bytes
    patch: Mapping[str, Value]

    @classmethod
    def of(cls, record: Record) -> Question:
        """The question of a proposal record. DecodeError if the record is of another kind."""
        if record.kind != PROPOSAL:
            raise DecodeError(f"a {record.kind[:20]!r} record asks nothing")
        return cls(
            id=QuestionId(record.target),
            circle=record.circle,
            class_=text(record.fields, "class"),
            subject=digest(record.fields, "subject"),
            base=octets(record.fields, "base"),
            patch=mapping(record.fields, "patch"),
        )

    @property
    def work(self) -> WorkId | None:
        """The work that it is about, for the classes that are about a work."""
        return WorkId(self.subject) if self.class_ in WORK_CLASSES else None

    @property
    def charter(self) -> RecordId | None:
        """The charter that a change of rules puts in the place of its base, if the patch names one."""
        value = self.patch.get("charter")
        named = self.class_ in RULE_CLASSES and isinstance(value, bytes) and len(value) == ID_BYTES
        return RecordId(value) if named and isinstance(value, bytes) else None

    @property
    def complaint(self) -> str | None:
        """The complaint class of a flag, as its author wrote it (it may be one we do not know)."""
        value = self.patch.get("complaint")
        return value if self.class_ == FLAG and isinstance(value, str) else None


def propose(
    key: KeyPair,
    *,
    circle: CircleId,
    class_: str,
    subject: bytes,
    base: bytes,
    patch: Mapping[str, Value],
    reason: str,
    seq: int,
    created: int,
) -> Record:
    """A signed proposal. UsageError if it is malformed or its reason too long."""
    tidy = normalised(patch)
    assert isinstance(tidy, Mapping)
    fields: dict[str, Value] = {"class": class_, "subject": subject, "base": base, "patch": tidy}
    target = question_id(circle, class_, subject, base, tidy)
    return make(key, PROPOSAL, circle=circle, target=target, seq=seq, created=created, reason=_reason(reason), **fields)


def cast(
    key: KeyPair, *, circle: CircleId, question: QuestionId, choice: str, reason: str, seq: int, created: int
) -> Record:
    """A signed ballot. UsageError for a choice that is none or a reason too long."""
    if choice not in CHOICES:
        raise UsageError(f"{choice!r} is no choice", hint=f"one of: {', '.join(CHOICES)}")
    reason = _reason(reason)
    return make(key, BALLOT, circle=circle, target=question, seq=seq, created=created, choice=choice, reason=reason)


def withdraw(key: KeyPair, *, circle: CircleId, proposal: RecordId, seq: int, created: int) -> Record:
    """A signed withdrawal of one's own proposal; it closes it only while it is not adopted."""
    return make(key, WITHDRAW, circle=circle, target=proposal, seq=seq, created=created)


def vouch(key: KeyPair, *, circle: CircleId, whom: PublicKey, give: bool, seq: int, created: int) -> Record:
    """A signed vouch, or its revocation."""
    return make(key, VOUCH, circle=circle, target=whom, seq=seq, created=created, choice=int(give))


def seal(key: KeyPair, *, circle: CircleId, question: QuestionId, upon: RecordId, seq: int, created: int) -> Record:
    """A steward's seal on a question, upon the charter by which it was adopted."""
    return make(key, SEAL, circle=circle, target=question, seq=seq, created=created, base=upon)


def _reason(reason: str) -> str:
    reason = str(normalised(reason.strip()))
    if len(reason) > MAX_REASON_CHARACTERS:
        raise UsageError(f"the reason has {len(reason)} characters, more than {MAX_REASON_CHARACTERS}")
    return reason
