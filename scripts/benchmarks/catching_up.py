"""Two real daemons on loopback, one of which was away while five thousand ballots were cast: start, sync, verify, store."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import trio

from p2pnode.core.ids import QuestionId
from p2pnode.core.keys import KeyPair
from p2pnode.core.proposals import cast, vouch
from p2pnode.core.records import seq_of
from p2pnode.local.identity import open_identity
from p2pnode.ports import Tx
from p2pnode.services.me import Me
from p2pnode.store.sqlite import open_store
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.moving import resident
from tests.support.daemons import RealDaemon, wait_until


def daemons(folder: Path, voters: int = 100, questions: int = 50) -> list[Figure]:
    """A daemon that was away meets one with many new ballots: seconds until its database has all, and the most memory of both."""
    anna = RealDaemon(folder / "anna").start()
    ben = RealDaemon(folder / "ben", bootstrap=(anna.address,)).start()
    try:
        circle = anna.json("circle", "create", "Readers")["circle"]
        ben.run("circle", "join", anna.json("circle", "invite", circle)["invite"])
        ben.stop()
        anna.stop()
        count = trio.run(_fill, anna.home, voters, questions)
        anna.start()
        began = time.perf_counter()
        ben.arguments += ["--bootstrap", anna.address]
        ben.start()
        wait_until(lambda: held(ben.home) == held(anna.home), what="both hold the same", timeout_s=600.0)
        seconds = time.perf_counter() - began
        most = max(resident(anna, "VmHWM"), resident(ben, "VmHWM"))
    finally:
        anna.kill()
        ben.kill()
    note = f"{count} records in {seconds:.1f} s from the start of a daemon; most memory of the two {most:.0f} MiB"
    return [Figure("daemons: ballots caught up", count / seconds, "1/s", note=note)]


async def _fill(home: Path, voters: int, questions: int) -> int:
    """As if all that had come while the other was away: vouches of the founder and ballots of those whom they are for."""
    me = Me(open_identity(home / "identity.key").seed)
    async with open_store(home / "node.db", home / "library") as store:
        circle = (await store.read(lambda tx: tx.circles()))[0]
        founder = await store.read(lambda tx: me.key(tx, circle))
        people = [KeyPair(hashlib.sha256(b"voter %d" % number).digest()) for number in range(voters)]
        now = int(time.time())
        seqs = (seq_of(now, number) for number in range(1000, 60_000))

        def write(tx: Tx) -> int:
            at = {"circle": circle, "created": now}
            for person in people:
                tx.put_record(vouch(founder, whom=person.public, give=True, seq=next(seqs), **at))
            for number in range(questions):
                asked = QuestionId(hashlib.sha256(b"question %d" % number).digest())
                for person in people:
                    tx.put_record(cast(person, question=asked, choice="approve", reason="", seq=next(seqs), **at))
            return voters * (1 + questions)

        return await store.write(write)


def held(home: Path) -> int:
    """Records in a daemon's database, looked at from outside."""
    with closing(sqlite3.connect(f"file:{home / 'node.db'}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM records WHERE kind IN ('ballot', 'vouch')").fetchone()[0])
