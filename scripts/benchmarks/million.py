"""A circle of a million records in whole daemons: memory, start, verdicts, one more ballot; and a peer that lacks one in a hundred.

The records are signed once and kept as a database in the folder for temporary files (`CACHE`): making it takes some two minutes. What a
row needs is copied from there. Run by hand: it takes minutes, two gigabytes of disk and up to a gigabyte of memory.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path

import trio

from p2pnode.core.ids import CIRCLE_PREFIX, QUESTION_PREFIX, CircleId, id_text
from p2pnode.core.keys import SIGNATURE_BYTES, pseudonym
from p2pnode.core.record import MANIFEST, Record
from p2pnode.core.records import decode_body, record_id
from p2pnode.local.identity import load_or_create
from p2pnode.ports import Tx
from p2pnode.services.catalogue import put_manifest
from p2pnode.store.sqlite import open_store
from scripts.benchmarks.figures import Figure, timed
from scripts.benchmarks.million_records import Plan, founding, signed
from scripts.benchmarks.moving import resident
from tests.support.daemons import RealDaemon, wait_until

CACHE = Path(tempfile.gettempdir()) / "p2pnode-million"
MEMBERS, WORKS, BALLOTS = 2_040, 4_014, 4_014 * 243
"""Together 999,761 records: as near to the cap of a circle as leaves room for some ballots more."""
WRITTEN_AT_ONCE = 20_000
SALT = bytes(31) + b"m"


def home(name: str) -> Path:
    """The home of a node that is a member of the circle; made once."""
    return CACHE / name


def prepare(works: int = WORKS, ballots: int = BALLOTS, members: int = MEMBERS) -> CircleId:
    """Make the store of the one who has everything, if it is not there."""
    seeds = [load_or_create(_made(home(name)) / "identity.key")[0] for name in ("anna", "ben")]
    stamp = CACHE / "founded"
    if not stamp.exists():
        stamp.write_text(str(int(time.time())))
    guests = tuple(pseudonym(seed, SALT).public for seed in seeds)
    plan = Plan(members, works, ballots, int(stamp.read_text()), SALT, guests)
    circle = CircleId(founding(plan).id)
    if not (CACHE / "filled").exists():
        (home("anna") / "node.db").unlink(missing_ok=True)
        trio.run(_fill, home("anna"), plan, circle)
        (CACHE / "filled").touch()
    return circle


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _fill(folder: Path, plan: Plan, circle: CircleId) -> None:
    async with open_store(folder / "node.db", folder / "library") as store:
        await store.write(lambda tx: tx.add_circle(circle, plan.salt, time.time()))
        with signed(plan) as records:
            while part := list(islice(records, WRITTEN_AT_ONCE)):
                await store.write(lambda tx, part=part: _put(tx, part))


def _put(tx: Tx, part: Iterable[bytes]) -> None:
    for data in part:
        record = _record(data)
        tx.put_record(record)
        if record.kind == MANIFEST:
            put_manifest(tx, record, state="heard", private=False, added=float(record.created))


def _record(data: bytes) -> Record:
    """One of our own making: it need not be verified."""
    sig, body = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
    return Record(record_id(body), body, sig, decode_body(body))


# ---------------------------------------------------------------- one daemon


def alone(folder: Path) -> list[Figure]:
    """One daemon that holds everything: start, memory, verdicts, one more ballot, the whole circle."""
    circle = prepare()
    empty = RealDaemon(folder / "empty").start()
    nothing = resident(empty, "VmRSS")
    empty.stop()
    anna = RealDaemon(copied("anna", folder))
    figures = []

    def tell(name: str, seconds: float, note: str = "") -> None:
        figures.append(Figure(f"a million: {name}", seconds, "s", note=f"{resident(anna, 'VmRSS'):.0f} MiB {note}"))
        print(figures[-1].line(), file=sys.stderr, flush=True)

    try:
        tell("start", timed(anna.start), f"(empty daemon: {nothing:.0f} MiB)")
        asked = questions(anna.home, circle)
        tell("first verdict", timed(lambda: anna.json("explain", asked[0])))
        tell("another verdict", timed(lambda: anna.json("explain", asked[len(asked) // 2])))
        tell("ballot", timed(lambda: anna.run("vote", asked[1], "approve")))
        tell("the verdict after it", timed(lambda: anna.json("explain", asked[1])))
        show = ("circle", "show", id_text(CIRCLE_PREFIX, circle))
        tell("circle show, first answer", timed(lambda: anna.json(*show)))
        tell("a verdict while it counts", timed(lambda: anna.json("explain", asked[3])))
        counted = timed(
            lambda: wait_until(lambda: not anna.json(*show)["uncounted"], what="all counted", timeout_s=900.0)
        )
        tell("all is counted", counted)
        tell("circle show again", timed(lambda: anna.json(*show)))
        tell("proposals", timed(lambda: anna.run("proposals", "--json")))
        tell("one more ballot", timed(lambda: anna.run("vote", asked[2], "approve")))
        tell("circle show after it", timed(lambda: anna.json(*show)))
        figures.append(
            Figure("a million: most memory", resident(anna, "VmHWM") - nothing, "MiB", note="beyond an empty daemon")
        )
    finally:
        anna.kill()
    return figures


def questions(home: Path, circle: CircleId) -> list[str]:
    with closing(sqlite3.connect(f"file:{home / 'node.db'}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT target FROM records WHERE circle = ? AND kind = 'proposal'", (circle,))
        return [id_text(QUESTION_PREFIX, target) for (target,) in found]


def copied(name: str, folder: Path) -> Path:
    """A home of one's own with the same store and identity."""
    (folder / name).mkdir()
    for file in ("identity.key", "node.db"):
        shutil.copy(home(name) / file, folder / name / file)
    return folder / name
