"""Two daemons in a circle of a million records, of which one lacks one in a hundred: bytes, round trips, seconds; killed half-way.

Run by hand, as `million`, whose store it uses.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from p2pnode.core.ids import CircleId
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.million import copied, home, prepare
from scripts.benchmarks.moving import resident
from tests.support.daemons import RealDaemon, wait_until

MISSING = 10_000
_SESSION = re.compile(r"synced with \S+: Outcome\(complete=(\w+), received=(\d+), new=\d+, bytes=(\d+)")
WITHIN_S = 900.0


def recent(folder: Path) -> list[Figure]:
    """The latest ten thousand are missing: a node that was away. It is killed when it has a third."""
    return _catch_up(folder, "latest", "ORDER BY created DESC", kill=True)


def scattered(folder: Path) -> list[Figure]:
    """One in a hundred, drawn by their ids."""
    return _catch_up(folder, "scattered", "ORDER BY substr(record, 5, 8)", kill=False)


def _catch_up(folder: Path, name: str, order: str, *, kill: bool) -> list[Figure]:
    circle = prepare()
    anna = RealDaemon(copied("anna", folder))
    missing, whole = _take_away(circle, folder, order), _count(anna.home)
    ben = RealDaemon(folder / "ben")
    figures = []
    try:
        anna.start()
        ben.arguments += ["--bootstrap", anna.address]
        began = time.perf_counter()
        ben.start()
        if kill:
            wait_until(lambda: _count(ben.home) > whole - missing * 2 // 3, what="a third came", timeout_s=WITHIN_S)
            ben.kill()
            figures.append(Figure(f"a million, {name}: left when killed", whole - _count(ben.home), ""))
            ben.start()
        wait_until(lambda: _count(ben.home) == whole, what="both hold the same", timeout_s=WITHIN_S)
        seconds = time.perf_counter() - began
        wait_until(lambda: _settled(ben), what="a session settles", timeout_s=WITHIN_S)
        before = len(_sessions(ben))
        ben.stop()
        ben.start()  # and compares again with whom it meets
        wait_until(lambda: len(_sessions(ben)) > before, what="a session of equals", timeout_s=WITHIN_S)
        sessions = [one for one in _sessions(ben) if one[1]]
        received, told = sum(count for _, count, _ in sessions), sum(size for _, _, size in sessions)
        equal = [size for done, count, size in _sessions(ben) if done and not count]
        each = _bytes(anna.home, circle, order, missing) / missing
        note = f"{len(sessions)} whole sessions brought {received}, some of them twice where both sides began"
        figures += [
            Figure(f"a million, {name}: caught up", seconds, "s", note=f"{missing} records; {note}"),
            Figure(
                f"a million, {name}: beside the records",
                told / max(1, received) - each,
                "B each",
                note=f"{each:.0f} B a record",
            ),
            Figure(f"a million, {name}: sets equal", min(equal, default=0), "B"),
            Figure(f"a million, {name}: memory", max(resident(anna, "VmHWM"), resident(ben, "VmHWM")), "MiB"),
        ]
    finally:
        anna.kill()
        ben.kill()
    return figures


def _take_away(circle: CircleId, folder: Path, order: str) -> int:
    """Ben's store: as his own daemon would have it, without these records."""
    (folder / "ben").mkdir()
    shutil.copy(home("anna") / "node.db", folder / "ben" / "node.db")
    shutil.copy(home("ben") / "identity.key", folder / "ben" / "identity.key")
    with closing(sqlite3.connect(folder / "ben" / "node.db")) as database, database:
        chosen = f"SELECT id FROM records WHERE circle = ? AND kind = 'ballot' {order} LIMIT {MISSING}"
        return database.execute(f"DELETE FROM records WHERE id IN ({chosen})", (circle,)).rowcount


def _bytes(where: Path, circle: CircleId, order: str, count: int) -> int:
    with closing(sqlite3.connect(f"file:{where / 'node.db'}?mode=ro", uri=True)) as database:
        chosen = (
            f"SELECT length(body) + 64 AS size FROM records WHERE circle = ? AND kind = 'ballot' {order} LIMIT {count}"
        )
        return int(database.execute(f"SELECT sum(size) FROM ({chosen})", (circle,)).fetchone()[0])


def _count(where: Path) -> int:
    with closing(sqlite3.connect(f"file:{where / 'node.db'}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM records").fetchone()[0])


def _sessions(daemon: RealDaemon) -> list[tuple[bool, int, int]]:
    """(complete, records received, bytes) of every session in the log."""
    return [(done == "True", int(count), int(size)) for done, count, size in _SESSION.findall(daemon.log)]


def _settled(daemon: RealDaemon) -> bool:
    return any(done for done, _, _ in _sessions(daemon)[-1:])
