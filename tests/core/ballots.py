"""Circles of numbered keys without signatures, for thousands of tallies in a test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from p2pnode.core.charter import Charter, Class
from p2pnode.core.ids import CircleId, PublicKey, QuestionId, RecordId
from p2pnode.core.membership import Membership
from p2pnode.core.proposals import Question
from p2pnode.core.standing import Ballot
from p2pnode.core.tally import ARC_BUDGET, Counter, Tally

CIRCLE = CircleId(hashlib.sha256(b"flow vectors").digest())


def number_key(number: int) -> PublicKey:
    """A key by number: its 32 bytes, big-endian."""
    return PublicKey(number.to_bytes(32, "big"))


def number_of(key: bytes) -> int:
    return int.from_bytes(key, "big")


def charter(stewards: Iterable[int], *, f: int, k: int, rule: Class, circle: bytes = CIRCLE) -> Charter:
    """A charter with one rule for lists and for steward changes."""
    return Charter(
        id=RecordId(circle),
        circle=CircleId(circle),
        salt=bytes(32),
        name="numbers",
        purpose="",
        stewards=tuple(number_key(key) for key in sorted(stewards)),
        f=f,
        k=k,
        classes={"list": rule, "stewards": rule},
        vouch_days=365,
    )


def membership(stewards: Iterable[int], vouches: Mapping[int, Iterable[int]]) -> Membership:
    """Members reached from numbered stewards."""
    named = {number_key(by): [number_key(to) for to in whom] for by, whom in vouches.items()}
    return Membership.of([number_key(key) for key in sorted(stewards)], named)


def ballots(approve: Iterable[int], reject: Iterable[int] = (), abstain: Iterable[int] = ()) -> list[Ballot]:
    """Ballots without records."""
    sides = (("approve", approve), ("reject", reject), ("abstain", abstain))
    return [Ballot(number_key(key), choice, ()) for choice, side in sides for key in side]


def question(class_: str = "list", subject: bytes = bytes(32)) -> Question:
    return Question(QuestionId(bytes(32)), CIRCLE, class_, subject, b"", {})


def tally(
    stewards: Iterable[int],
    vouches: Mapping[int, Iterable[int]],
    approve: Iterable[int],
    reject: Iterable[int] = (),
    *,
    f: int = 0,
    k: int = 3,
    rule: Class | None = None,
    asked: Question | None = None,
    arc_budget: int = ARC_BUDGET,
) -> Tally:
    """The tally of a list question in a circle of numbers; `rule` is B = 0, q = 1 unless given."""
    held = sorted(stewards)
    members = membership(held, vouches)
    counter = Counter(charter(held, f=f, k=k, rule=rule or Class(b=0, q=1)), members, arc_budget=arc_budget)
    return counter.count(asked or question(), ballots(approve, reject))
