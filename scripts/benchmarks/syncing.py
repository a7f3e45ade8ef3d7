"""Reconciliation of a large circle: engines alone, the real services on the simulated network, and two real daemons on loopback.

A million records; sets that are equal, a node that lacks the latest thousand, one that lacks one in a hundred. What is told are the
bytes beside the records themselves, round trips, seconds, and the memory of the index. Records are ballots.
"""

from __future__ import annotations

import hashlib
import random
import time
from dataclasses import dataclass
from pathlib import Path

import trio

from p2pnode.core.ids import RecordId
from p2pnode.core.keys import KeyPair
from p2pnode.core.reconcile import Reconciliation
from p2pnode.core.records import decode_signed, encode_signed
from p2pnode.core.sync_index import SyncIndex
from scripts.benchmarks.figures import Figure, timed
from tests.support.circles import Circle, Node
from tests.support.sync_pair import Entry

MILLION = 1_000_000
RECENT, SCATTERED = 1_000, 10_000
RECORD_BYTES = 300
"""Of a ballot with a short reason."""
SALT = bytes(16)
BATCH = 100
"""Records that fit a frame of sync."""


@dataclass
class Cost:
    """Of all sessions until both sides have the same; `own` are the bytes beside the records."""

    sessions: int = 0
    turns: int = 0
    bytes: int = 0
    own: int = 0
    records: int = 0

    @property
    def trips(self) -> float:
        """Round trips of one session: a question and its answer; the farewell is not waited for."""
        return (self.turns / max(1, self.sessions) - 1) / 2


def engines(_folder: Path, count: int = MILLION) -> list[Figure]:
    """Two engines joined by a list of frames."""
    rng = random.Random(7)
    entries = sorted((1_700_000_000 + rng.randrange(30 * count), RecordId(rng.randbytes(32))) for _ in range(count))
    before = resident()
    whole = SyncIndex(entries, in_order=True)
    whole.fingerprint(b"", None)
    held = resident() - before
    name = f"sync, {count:,} records"
    figures = [Figure(f"{name}: index", held, "MiB", count * 40 / 2**20, "40 bytes a record")]
    cases = {"equal": [], "recent": entries[-RECENT:], "scattered": rng.sample(entries, min(SCATTERED, count // 100))}
    for case, missing in cases.items():
        gap = frozenset(missing)
        other = SyncIndex((entry for entry in entries if entry not in gap), in_order=True)
        cost = Cost()
        began = time.process_time()
        catch_up(whole, other, missing, cost)
        seconds = time.process_time() - began
        assert len(other) == len(whole)
        each = cost.own / len(missing) if missing else cost.own
        note = f"{cost.trips:.1f} round trips, {cost.sessions} sessions, {seconds:.2f} s of both sides' processor"
        figures.append(Figure(f"{name}: {case}", each, "B each" if missing else "B", note=note))
    salted = timed(lambda: catch_up(whole, other, [], Cost(), salt=SALT))
    figures.append(Figure(f"{name}: salted and equal", 1e3 * salted, "ms"))
    return figures


def catch_up(whole: SyncIndex, other: SyncIndex, missing: list[Entry], cost: Cost, salt: bytes | None = None) -> None:
    """Sessions that `other` begins until they agree. Stand-ins for records: 64 bytes, `created`, id, padding."""
    created = {id: at for at, id in missing}
    settled = False
    while not settled:
        cost.sessions += 1
        sides = [
            Reconciliation(SyncIndex(), other, initiator=True, rng=random.random, salt=salt),
            Reconciliation(SyncIndex(), whole, initiator=False, rng=random.random, may_salt=lambda: True),
        ]
        speaker = 0
        while not sides[speaker].ended:
            me, you = sides[speaker], sides[1 - speaker]
            cost.turns += 1
            loaded = {id: record(created[id], id) for id in me.to_load() if id in created}
            for frame in me.turn(loaded):
                for data in you.receive(frame).records:
                    other.add(int.from_bytes(data[64:72], "big"), RecordId(data[72:104]))
                    cost.records += 1
                    cost.own -= len(data)
            speaker = 1 - speaker
        cost.bytes += sides[0].bytes_sent + sides[1].bytes_sent
        settled = sides[0].complete
    cost.own += cost.bytes


def door(_folder: Path, voters: int = 200, questions: int = 50) -> list[Figure]:
    """Ballots through the one door of a node: verified, the register rule, the caps, stored, indexed; against verifying alone.

    They come in the order of questions, as from sync: every batch has ballots of many authors. The store is SQLite in memory.
    """
    circle = Circle()
    keys = [KeyPair(hashlib.sha256(b"voter %d" % number).digest()) for number in range(voters)]
    vouches = [circle.vouch(circle.steward, key) for key in keys]
    ballots = [encode_signed(circle.ballot(key, b"question %d" % n)) for n in range(questions) for key in keys]
    began = time.process_time()
    for data in ballots:
        decode_signed(data)
    verified = len(ballots) / (time.process_time() - began)
    spent = trio.run(_admit, circle, [encode_signed(vouch) for vouch in vouches], ballots)
    note = f"{voters} voters, {questions} questions, batches of {BATCH}"
    return [
        Figure("ballots through the door, one core", len(ballots) / spent, "1/s", verified, "verifying alone", note)
    ]


async def _admit(circle: Circle, vouches: list[bytes], ballots: list[bytes]) -> float:
    """Seconds of processor."""
    node = await Node(circle).join()
    await node.admit_bytes(vouches)
    began = time.process_time()
    for at in range(0, len(ballots), BATCH):
        await node.admit_bytes(ballots[at : at + BATCH])
    spent = time.process_time() - began
    assert len(await node.admission.circle_set(circle.id)) == 1 + len(vouches) + len(ballots)
    return spent


def record(created: int, id: RecordId) -> bytes:
    return (bytes(64) + created.to_bytes(8, "big") + id).ljust(RECORD_BYTES, b"r")


def resident() -> float:
    """MiB of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
