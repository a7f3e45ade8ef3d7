"""The tally at the sizes that it is promised for: one more ballot in a circle with many, a cold start, ten thousand members.

Circles grown at random from a seed. Figures are of the processor, since a busy machine says nothing of the program. Baselines of the same
run: reading every record once, finding who is a member.
"""

from __future__ import annotations

import hashlib
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from p2pnode.core import proposals, records
from p2pnode.core.charter import Charter, Class, genesis
from p2pnode.core.ids import CircleId, PublicKey, QuestionId, RecordId
from p2pnode.core.keys import KeyPair
from p2pnode.core.membership import Membership
from p2pnode.core.proposals import Question
from p2pnode.core.record import Record
from p2pnode.core.records import APPROVE, REJECT, encode_signed
from p2pnode.core.standing import Ballot
from p2pnode.core.tally import Counter
from p2pnode.core.verdict import CircleView
from scripts.benchmarks.figures import Figure

DAY = 20_000
CREATED = DAY * 86_400
MEMBERS, BALLOTS, VOUCHES_EACH = 811, 10_000, 8
LARGE_MEMBERS, LARGE_VOUCHES = 10_000, 80_000
STEWARDS, BAD_STEWARDS = 10, 1
RUNS = 5


class Busy:
    """A circle of `MEMBERS` with `BALLOTS` ballots on many questions, as signed records."""

    def __init__(self) -> None:
        rng = random.Random(7)
        self.keys = [KeyPair(hashlib.sha256(b"member %d" % number).digest()) for number in range(MEMBERS)]
        self._seq = (records.seq_of(CREATED, counter) for counter in range(1 << 16))
        first = genesis(
            self.keys[0],
            name="Busy",
            purpose="",
            salt=bytes(32),
            seq=next(self._seq),
            created=CREATED,
            stewards=[key.public for key in self.keys[:STEWARDS]],
            f=BAD_STEWARDS,
            classes={"list": Class(b=1, q=3)},
        )
        self.charter = Charter.of(first)
        self.records: list[Record] = [first]
        for number in range(1, MEMBERS):
            for by in {rng.randrange(max(1, number)) for _ in range(VOUCHES_EACH)}:
                self._add(proposals.vouch(self.keys[by], whom=self.keys[number].public, give=True, **self._stamp()))
        self.questions = [self._ask(number) for number in range(BALLOTS // 100)]
        for question in self.questions:
            for key in rng.sample(self.keys, 100):
                self.records.append(self.ballot(key, question, REJECT if rng.random() < 0.25 else APPROVE))

    def ballot(self, key: KeyPair, question: QuestionId, choice: str) -> Record:
        return proposals.cast(key, question=question, choice=choice, reason="", **self._stamp())

    def _stamp(self) -> dict[str, object]:
        return {"circle": self.charter.circle, "seq": next(self._seq), "created": CREATED}

    def _ask(self, number: int) -> QuestionId:
        work = hashlib.sha256(b"work %d" % number).digest()
        asked = proposals.propose(
            self.keys[0], class_="list", subject=work, base=b"", patch={}, reason="", **self._stamp()
        )
        return QuestionId(self._add(asked).target)

    def _add(self, record: Record) -> Record:
        self.records.append(record)
        return record


def _busy_s(work: Callable[[], object]) -> float:
    """Seconds of the processor."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _median_busy_s(work: Callable[[], object]) -> float:
    return statistics.median(_busy_s(work) for _ in range(RUNS))


def tallying(_folder: Path) -> list[Figure]:
    """The figures of point 7 of the issue's numbers for the tally."""
    return [*_busy(), _large()]


def _busy() -> Iterator[Figure]:
    circle = Busy()
    question = circle.questions[0]
    view = CircleView(circle.charter, circle.records, DAY)
    for asked in circle.questions:
        view.decide(asked)
    late = [circle.ballot(key, question, APPROVE) for key in circle.keys[-RUNS:]]
    spent = []
    for ballot in late:
        gone = _replaced(circle, ballot)
        start = time.process_time()
        after = view.with_ballots([ballot], gone)
        assert after is not None
        after.decide(question)
        spent.append(time.process_time() - start)
    reading = _median_busy_s(lambda: [one.kind for one in circle.records if one.circle == circle.charter.circle])
    note = (
        f"{MEMBERS} members, {sum(map(len, view.membership.vouches)):,} vouches, {BALLOTS:,} ballots, 10 steward sets"
    )
    yield Figure(
        "verdict after one more ballot",
        1e3 * sorted(spent)[RUNS // 2],
        "ms",
        1e3 * reading,
        "reading each record once",
        note,
    )
    cold = _median_busy_s(lambda: CircleView(circle.charter, circle.records, DAY).decide(question))
    yield Figure("verdict cold", 1e3 * cold, "ms", 1e3 * reading, "reading each record once", note)
    signed = [encode_signed(one) for one in circle.records[-2_000:]]
    rate = len(signed) / _busy_s(lambda: [records.decode_signed(one) for one in signed])
    yield Figure("ballots decoded and verified, one core", rate, "1/s")


def _replaced(circle: Busy, ballot: Record) -> list[Record]:
    """What a node's door drops when that ballot comes."""
    mine = (ballot.kind, ballot.author, ballot.target)
    return [one for one in circle.records if (one.kind, one.author, one.target) == mine]


def _large() -> Figure:
    rng = random.Random(11)
    keys = [PublicKey(hashlib.sha256(b"%d" % number).digest()) for number in range(LARGE_MEMBERS)]
    vouches: dict[PublicKey, list[PublicKey]] = {}
    for number in range(1, LARGE_MEMBERS):
        for by in {rng.randrange(number) for _ in range(VOUCHES_EACH)}:
            vouches.setdefault(keys[by], []).append(keys[number])
    stewards = tuple(sorted(keys[:STEWARDS]))
    charter = Charter(
        RecordId(bytes(32)),
        CircleId(bytes(32)),
        bytes(32),
        "Large",
        "",
        stewards,
        BAD_STEWARDS,
        3,
        {"list": Class(b=1, q=3)},
        365,
    )
    question = Question(QuestionId(bytes(32)), charter.circle, "list", bytes(32), b"", {})
    ballots = [
        Ballot(key, REJECT if rng.random() < 0.25 else APPROVE, ()) for key in rng.sample(keys, LARGE_MEMBERS // 4)
    ]

    def cold() -> None:
        members = Membership.of(stewards, vouches)
        Counter(charter, members).count(question, ballots)

    spent = _busy_s(cold)
    walk = _busy_s(lambda: Membership.of(stewards, vouches))
    total = sum(map(len, vouches.values()))
    note = f"{LARGE_MEMBERS:,} members, {total:,} vouches, {len(ballots):,} ballots, 10 steward sets; in a worker thread always"
    return Figure("large circle cold", spent, "s", walk, "finding its members", note)
