"""A million signed records of one circle, made once and kept in a file: 2,040 members, 4,000 works with a question each, ballots the rest.

Everything follows from numbers, so two runs make the same people and works; only the days are those of the run. Signing takes a minute
on two cores, so what was made is kept beside the temporary files and used again. Called by `million`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from p2pnode.core import charter, manifest, proposals
from p2pnode.core.cid import RAW, SHA2_256, Cid
from p2pnode.core.ids import CircleId, PublicKey, QuestionId
from p2pnode.core.keys import KeyPair
from p2pnode.core.record import Record
from p2pnode.core.records import encode_signed, seq_of

STEWARDS, F = 5, 1
VOUCHES = 8
"""Each member's, for others; with its ballots they stay below the cap of one author."""
SINCE_S = 300 * 86_400
"""How long ago the circle was founded."""
WORKERS = 2
QUESTIONS_A_JOB = 20


@dataclass(frozen=True)
class Plan:
    """How large a circle is, and when it was filled. `guests` are keys of real nodes, vouched for by every steward."""

    members: int
    works: int
    ballots: int
    now: int
    salt: bytes
    guests: tuple[PublicKey, ...]

    @property
    def founded(self) -> int:
        return self.now - SINCE_S


@cache
def person(number: int) -> KeyPair:
    return KeyPair(hashlib.sha256(b"one of a million %d" % number).digest())


def founding(plan: Plan) -> Record:
    """The first charter: five stewards, one of whom may be bad, and the grown rules."""
    return charter.genesis(
        person(0),
        name="A million",
        purpose="as large as a circle gets",
        salt=plan.salt,
        seq=seq_of(plan.founded, 1),
        created=plan.founded,
        stewards=[person(number).public for number in range(STEWARDS)],
        f=F,
        classes=charter.grown_classes(F),
    )


def vouches(plan: Plan, circle: CircleId) -> Iterator[Record]:
    """Everybody vouches for the next ones on a ring of jumps, the stewards for the guests too."""
    jumps = [1, 3, 10, 31, 97, 300, 607, 1201][:VOUCHES]
    for number in range(plan.members):
        whom = [person((number + jump) % plan.members).public for jump in jumps]
        whom += plan.guests if number < STEWARDS else ()
        for at, key in enumerate(whom):
            created = plan.founded + 60 + number
            yield proposals.vouch(
                person(number), circle=circle, whom=key, give=True, seq=seq_of(created, 10 + at), created=created
            )


def works(plan: Plan, circle: CircleId) -> Iterator[tuple[Record, Record]]:
    """A manifest and the proposal to list it, one after the other through the months; their authors are members in turn."""
    for number in range(plan.works):
        author = person(number % plan.members)
        created = plan.founded + 3_600 + int((SINCE_S - 90_000) * number / plan.works)
        digest = hashlib.sha256(b"work %d" % number).digest()
        root = Cid(1, RAW, bytes([SHA2_256, 32]) + digest)
        told = manifest.describe(title=f"Work {number}", root=root, bytes=1_000_000, files=1, licence="CC0-1.0")
        first = manifest.first(
            author, told, circle=circle, nonce=digest[:16], seq=seq_of(created, 30_000 + number % 9), created=created
        )
        fields = {"class_": "list", "subject": bytes(first.id), "base": bytes(first.id), "patch": {}, "reason": ""}
        asked = proposals.propose(
            author, circle=circle, seq=seq_of(created, 31_000 + number % 9), created=created, **fields
        )
        yield first, asked


def ballots_on(plan: Plan, circle: CircleId, number: int, asked: Record) -> Iterator[Record]:
    """Each question has its voters, members in turn; one in ten rejects. They vote within a day after it was asked."""
    each, draw = plan.ballots // plan.works, random.Random(number)
    for step in range(each):
        created = asked.created + draw.randrange(80_000)
        yield proposals.cast(
            person((number * each + step) % plan.members),
            circle=circle,
            question=QuestionId(asked.target),
            choice="reject" if draw.random() < 0.1 else "approve",
            reason="",
            seq=seq_of(created, 1_000 + number % 29_000),
            created=created,
        )


@contextmanager
def signed(plan: Plan) -> Iterator[Iterator[bytes]]:
    """All records as they are sent, the first charter first; ballots are signed on two cores."""
    circle = CircleId(founding(plan).id)

    def every(pool: ProcessPoolExecutor) -> Iterator[bytes]:
        control = [founding(plan), *vouches(plan, circle)]
        yield from map(encode_signed, (*control, *(one for pair in works(plan, circle) for one in pair)))
        for part in pool.map(_ballots, [(plan, at) for at in range(0, plan.works, QUESTIONS_A_JOB)]):
            yield from part

    with ProcessPoolExecutor(WORKERS) as pool:
        yield every(pool)


def _ballots(job: tuple[Plan, int]) -> list[bytes]:
    """Those on some questions. Every process makes the proposals anew, which costs less than sending them."""
    plan, first = job
    circle, asked = _asked(plan)
    some = range(first, min(first + QUESTIONS_A_JOB, plan.works))
    return [encode_signed(one) for number in some for one in ballots_on(plan, circle, number, asked[number])]


@cache
def _asked(plan: Plan) -> tuple[CircleId, list[Record]]:
    circle = CircleId(founding(plan).id)
    return circle, [asked for _, asked in works(plan, circle)]
