"""A circle of real signed records for tests of the tally: people by number, days by number, everything in one list."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from p2pnode.core import charter, proposals, records
from p2pnode.core.charter import Charter, Class
from p2pnode.core.ids import PublicKey, QuestionId, RecordId, WorkId
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import Record, Value
from p2pnode.core.records import APPROVE
from p2pnode.core.verdict import CircleView

DAY = 20_000
"""The day on which everything happens unless a test says otherwise."""
DAY_S = 86_400
_KEYS: dict[str, KeyPair] = {}


def person(name: object) -> KeyPair:
    """The key pair of a named or numbered person, the same in every run."""
    text = str(name)
    if text not in _KEYS:
        _KEYS[text] = KeyPair(hashlib.sha256(b"test person " + text.encode()).digest())
    return _KEYS[text]


def work_id(name: str) -> WorkId:
    """An id as a work would have it."""
    return WorkId(hashlib.sha256(b"work " + name.encode()).digest())


class Circle:
    """Founded by `stewards`; methods add signed records to `records` and return them."""

    def __init__(
        self,
        stewards: Sequence[object] = ("founder",),
        *,
        f: int = 0,
        k: int = 3,
        salt: bytes = bytes(32),
        vouch_days: int = 365,
        rule: Class | None = None,
    ) -> None:
        self._counter = itertools.count(1)
        classes = charter.DEFAULT_CLASSES if rule is None else dict.fromkeys(charter.DEFAULT_CLASSES, rule)
        self.genesis = charter.genesis(
            person(stewards[0]),
            name="test",
            purpose="",
            salt=salt,
            seq=records.seq_of(DAY * DAY_S, 0),
            created=DAY * DAY_S,
            stewards=[person(name).public for name in stewards],
            f=f,
            k=k,
            classes=classes,
            vouch_days=vouch_days,
        )
        self.charter = Charter.of(self.genesis)
        self.id = self.charter.circle
        self.records: list[Record] = [self.genesis]

    def at(self, day: int, seq: int | None) -> dict[str, int]:
        """`seq` and `created` of the next record on a day."""
        counter = next(self._counter) if seq is None else seq
        return {"seq": records.seq_of(day * DAY_S, counter), "created": day * DAY_S}

    def vouch(self, by: object, whom: object, *, give: bool = True, day: int = DAY, seq: int | None = None) -> Record:
        target = person(whom).public
        return self._add(proposals.vouch(person(by), circle=self.id, whom=target, give=give, **self.at(day, seq)))

    def vouches(self, by: object, whom: Iterable[object]) -> None:
        for one in whom:
            self.vouch(by, one)

    def propose(
        self,
        by: object,
        class_: str = "list",
        subject: bytes | None = None,
        *,
        base: bytes = b"",
        patch: dict[str, Value] | None = None,
        day: int = DAY,
        reason: str = "",
        seq: int | None = None,
    ) -> QuestionId:
        record = proposals.propose(
            person(by),
            circle=self.id,
            class_=class_,
            subject=work_id("a") if subject is None else subject,
            base=base,
            patch=patch or {},
            reason=reason,
            **self.at(day, seq),
        )
        return QuestionId(self._add(record).target)

    def cast(
        self, by: object, question: QuestionId, choice: str, *, day: int = DAY, seq: int | None = None, reason: str = ""
    ) -> Record:
        return self._add(
            proposals.cast(
                person(by), circle=self.id, question=question, choice=choice, reason=reason, **self.at(day, seq)
            )
        )

    def casts(self, by: Iterable[object], question: QuestionId, choice: str) -> None:
        for one in by:
            self.cast(one, question, choice)

    def listed(self, by: object, subject: bytes | None = None, *, base: bytes = b"") -> QuestionId:
        """Propose to list a work and approve it."""
        question = self.propose(by, "list", subject, base=base)
        self.cast(by, question, APPROVE)
        return question

    def seal(self, by: object, question: QuestionId, *, upon: RecordId | None = None, day: int = DAY) -> Record:
        """Seal a question, upon the first charter unless another is named."""
        base = self.charter.id if upon is None else upon
        return self._add(proposals.seal(person(by), circle=self.id, question=question, upon=base, **self.at(day, None)))

    def write_charter(self, by: object, base: Charter | None = None, **changes: Any) -> Charter:
        """A charter that follows another (the first, unless named), with some fields changed."""
        follows = self.charter if base is None else base
        record = charter.follow(person(by), follows, replace(follows, **changes), **self.at(DAY, None))
        return Charter.of(self._add(record))

    def withdraw(self, by: object, proposal: RecordId) -> Record:
        return self._add(proposals.withdraw(person(by), circle=self.id, proposal=proposal, **self.at(DAY, None)))

    def view(self, day: int = DAY, extra: Iterable[Record] = ()) -> CircleView:
        return CircleView(self.charter, [*self.records, *extra], day)

    def _add(self, record: Record) -> Record:
        self.records.append(record)
        return record


def keys(*names: object) -> list[PublicKey]:
    """Public keys of people, sorted."""
    return sorted(person(name).public for name in names)
