"""The tally on the Debian vouch graph (tests/data): a cold verdict from signed records, and the flows alone.

Four stewards, those who signed most keys, f = 1: four steward sets, eight flows. Everybody votes, two thirds for. Baselines of
the same run: one key one vote over the same records, and one plain walk over the same graph.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from p2pnode.core import charter, proposals, records
from p2pnode.core.charter import Charter, Class
from p2pnode.core.ids import QuestionId, WorkId
from p2pnode.core.keys import KeyPair
from p2pnode.core.membership import Membership
from p2pnode.core.record import Record
from p2pnode.core.records import APPROVE, REJECT
from p2pnode.core.tally import Counter
from p2pnode.core.verdict import CircleView
from scripts.benchmarks.figures import Figure, median

GRAPH = Path(__file__).resolve().parents[2] / "tests" / "data" / "debian_vouch.txt.gz"
DAY = 20_000
CREATED = DAY * 86_400
WORK = WorkId(hashlib.sha256(b"a work").digest())
STEWARDS, BAD_STEWARDS, RUNS = 4, 1, 5


@dataclass(frozen=True, slots=True)
class Village:
    """A circle of the graph's keys, as signed records, and its one question."""

    charter: Charter
    records: list[Record]
    question: QuestionId


def tally(_folder: Path) -> list[Figure]:
    village = _village()
    view = CircleView(village.charter, village.records, DAY)
    decision, members = view.decide(village.question), view.membership
    cast = decision.cast
    size = f"{len(members.keys)} members, {sum(map(len, members.vouches))} vouches"
    counts = (
        f"{decision.approve} of {cast.approve} for, {decision.reject} of {cast.reject} against count: {decision.state}"
    )
    return [
        Figure(
            "verdict from records, cold",
            1_000 * median(lambda: CircleView(village.charter, village.records, DAY).work_verdict(WORK), runs=RUNS),
            "ms",
            1_000 * median(lambda: _one_key_one_vote(village), runs=RUNS),
            "one key one vote",
            f"{size}; {counts}",
        ),
        Figure(
            "tally alone, 8 flows",
            1_000 * median(lambda: _count(village, view), runs=RUNS),
            "ms",
            1_000 * median(lambda: _walk(members), runs=RUNS),
            "one walk over the graph",
        ),
    ]


def _count(village: Village, view: CircleView) -> None:
    Counter(village.charter, view.membership).count(
        view.decide(village.question).question, view.ballots(village.question)
    )


def _one_key_one_vote(village: Village) -> tuple[int, int]:
    view = CircleView(village.charter, village.records, DAY)
    choices = [ballot.choice for ballot in view.ballots(village.question) if view.is_member(ballot.key)]
    return choices.count(APPROVE), choices.count(REJECT)


def _walk(members: Membership) -> int:
    seen = set(members.stewards)
    queue = list(seen)
    for member in queue:
        for target in members.vouches[member]:
            if target not in seen:
                seen.add(target)
                queue.append(target)
    return len(seen)


def _village() -> Village:
    edges = sorted(_edges())
    keys = {number: KeyPair(hashlib.sha256(b"debian %d" % number).digest()) for edge in edges for number in edge}
    signed = dict.fromkeys(keys, 0)
    for signer, _ in edges:
        signed[signer] += 1
    stewards = sorted(signed, key=lambda number: (-signed[number], number))[:STEWARDS]
    founding = charter.genesis(
        keys[stewards[0]],
        name="Debian",
        purpose="",
        salt=bytes(32),
        seq=records.seq_of(CREATED, 0),
        created=CREATED,
        stewards=[keys[number].public for number in stewards],
        f=BAD_STEWARDS,
        classes={"list": Class(b=1, q=3)},
    )
    rules = Charter.of(founding)
    stamp = {"circle": rules.circle, "created": CREATED}
    seqs = (records.seq_of(CREATED, counter) for counter in range(1 << 16))
    made = [
        proposals.vouch(keys[signer], whom=keys[target].public, give=True, seq=next(seqs), **stamp)
        for signer, target in edges
    ]
    asked = proposals.propose(
        keys[stewards[0]], class_="list", subject=WORK, base=b"", patch={}, reason="", seq=next(seqs), **stamp
    )
    question = QuestionId(asked.target)
    for number, key in keys.items():
        choice = REJECT if number % 3 == 0 else APPROVE
        made.append(proposals.cast(key, question=question, choice=choice, reason="", seq=next(seqs), **stamp))
    return Village(rules, [founding, asked, *made], question)


def _edges() -> Iterator[tuple[int, int]]:
    with gzip.open(GRAPH, "rt", encoding="ascii") as lines:
        for line in lines:
            signer, target, _ = map(int, line.split())
            if signer != target:
                yield signer, target
