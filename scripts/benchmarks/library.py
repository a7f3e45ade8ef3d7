"""Ten thousand works of one real daemon, told to a network of real daemons that are far from each other; then strangers look for them.

The daemon is killed half-way and started again: it must go on, not begin anew. Run by `scripts/crowd --library 10000`; the in-process
twin, which takes half a minute, is `announce`.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from p2pnode.config import Home
from p2pnode.control.blocking import BlockingClient
from p2pnode.core.words import query_words
from p2pnode.errors import P2pnodeError
from scripts.benchmarks.crowd import Crowd
from tests.support.daemons import CommandFailed

WORDS_A_WORK, VOCABULARY = 8, 40_000
PUBLISHED_AT_ONCE = 3
LOOK_S = 30.0
"""Between two looks at how far it came."""
LONGEST_S = 5400.0
SAMPLE = 300
DOCTORS_SAMPLE = 300


def play(crowd: Crowd, folder: Path, works: int, seed: int) -> Iterator[str]:
    """One line for each figure. The library belongs to the last daemon."""
    chance, owner = random.Random(seed), len(crowd.daemons) - 1
    titles = _titles(works, chance)
    began = time.monotonic()
    cids = _publish(crowd, owner, folder, titles)
    yield f"{works} works published in {time.monotonic() - began:.0f} s; {_waiting(crowd, owner)} keys wait by then"
    yield from _announced(crowd, owner, began)
    wanted: list[dict[str, str]] = [{"work": cid} for cid in chance.sample(cids, min(len(cids), SAMPLE // 2))]
    words = sorted({word for title in titles for word in query_words(title)})
    wanted += [{"word": word} for word in chance.sample(words, min(len(words), SAMPLE - len(wanted)))]
    yield _found_by_strangers(crowd, owner, wanted, chance)
    yield from _doctor(crowd, owner)


def _titles(works: int, chance: random.Random) -> list[str]:
    """Some words are in many titles, most are in few."""
    return [
        " ".join(f"word{int(VOCABULARY * chance.random() ** 2)}" for _ in range(WORDS_A_WORK)) for _ in range(works)
    ]


def _publish(crowd: Crowd, owner: int, folder: Path, titles: Sequence[str]) -> list[str]:
    files = folder / "library"
    files.mkdir()
    numbers = itertools.count()

    def some(titles: Sequence[str]) -> list[str]:
        cids: list[str] = []
        with BlockingClient(Home(crowd.daemons[owner].home)) as client:
            for title in titles:
                path = files / f"{next(numbers)}.txt"
                path.write_text(title)
                cids.append(str(client.call("work.publish", {"path": str(path), "title": title}, timeout_s=300)["cid"]))
        return cids

    with ThreadPoolExecutor(PUBLISHED_AT_ONCE) as pool:
        parts = pool.map(some, [titles[at::PUBLISHED_AT_ONCE] for at in range(PUBLISHED_AT_ONCE)])
    return [cid for part in parts for cid in part]


def _waiting(crowd: Crowd, owner: int) -> int:
    """Distinct keys that the owner has still to tell."""
    database = f"file:{crowd.daemons[owner].home / 'node.db'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True)) as db:
        return int(db.execute("SELECT count(DISTINCT payload) FROM outbox WHERE kind = 'provide'").fetchone()[0])


def _announced(crowd: Crowd, owner: int, began: float) -> Iterator[str]:
    """Until all is told; killed once half of it is."""
    at_first = before = _waiting(crowd, owner)
    killed = False
    looked = time.monotonic()
    while before:
        if time.monotonic() - began > LONGEST_S:
            yield f"given up: {before} keys still wait"
            return
        time.sleep(LOOK_S)
        waits, now = _waiting(crowd, owner), time.monotonic()
        yield f"{now - began:.0f} s: {waits} keys wait, {(before - waits) / (now - looked):.1f} told a second"
        before, looked = waits, now
        if not killed and waits < at_first / 2:
            killed = True
            crowd.daemons[owner].kill()
            left = _waiting(crowd, owner)
            crowd.daemons[owner].start()
            before, looked = _waiting(crowd, owner), time.monotonic()
            yield f"{looked - began:.0f} s: killed with {left} keys waiting, started again with {before}"
    yield f"all told {time.monotonic() - began:.0f} s after the first was published"


def _found_by_strangers(crowd: Crowd, owner: int, wanted: Sequence[dict[str, str]], chance: random.Random) -> str:
    """Each is asked of another daemon, through the DHT alone."""
    peer, found = crowd.daemons[owner].peer_id, 0
    missing: list[str] = []
    for one in wanted:
        asker = chance.choice([number for number in crowd.alive if number != owner])
        try:
            answer = crowd.call(asker, "dht.providers", **one)
        except P2pnodeError:
            answer = {"items": []}
        items = answer["items"]
        assert isinstance(items, list)
        if any(item["peer_id"] == peer for item in items):
            found += 1
        else:
            missing += one.values()
    return f"strangers find {found} of {len(wanted)} ({100 * found / len(wanted):.1f} %); not: {' '.join(missing[:5]) or 'none'}"


def _doctor(crowd: Crowd, owner: int) -> Iterator[str]:
    answer = crowd.call(owner, "dht.announced", sample=DOCTORS_SAMPLE)
    yield f"the owner's own sample: {answer['found']} of {answer['asked']} found"
    try:
        said = crowd.daemons[owner].run("doctor", check=False, timeout_s=300).stdout
    except CommandFailed as error:  # pragma: no cover
        said = str(error)
    yield from (f"doctor: {line.strip()}" for line in said.splitlines() if "announc" in line or "strangers" in line)
