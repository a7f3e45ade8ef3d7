"""kill -9 at random moments: what was fetched goes on, what was being published leaves nothing half, and every start is clean."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemons import RealDaemon, wait_until
from tests.support.trees import assert_same_tree

pytestmark = pytest.mark.network

SEED = 4711
KILLS = 5
LARGE_MIB = 96
"""A second or so of work for a fast machine: kills fall into the middle of it."""


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A large file, a nest of small ones."""
    rng = random.Random(SEED)
    folder = tmp_path / "books"
    (folder / "small").mkdir(parents=True)
    (folder / "large.bin").write_bytes(rng.randbytes(LARGE_MIB << 20))
    for number in range(200):
        (folder / "small" / f"{number}.txt").write_bytes(rng.randbytes(rng.randrange(70_000)))
    return folder


def test_killed_while_fetching(start: Callable[..., RealDaemon], books: Path, tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    anna = start("anna")
    published = anna.json("publish", str(books), "--title", "Books for a kill")
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
    got: list[int] = []
    for _ in range(KILLS):
        asking = ben.begin("get", published["cid"])
        time.sleep(rng.uniform(0.2, 1.2))  # a moment, not a condition: any will do
        ben.kill()
        asking.communicate(timeout=30)
        ben.start()
        got += [one["bytes"] for one in ben.lines("transfers")]
    print("bytes at each start", got)
    copy = tmp_path / "copy"
    ben.json("get", published["cid"], "-o", str(copy))
    assert_same_tree(books, copy)
    wait_until(lambda: len(list((ben.home / "library").iterdir())) == 1, what="nothing unfinished is left")
    assert "Traceback" not in ben.log
    assert ben.stop() == 0
    assert anna.stop() == 0


def test_killed_while_publishing(start: Callable[..., RealDaemon], books: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    anna = start("anna")
    cid = anna.run("cid", str(books)).stdout.strip()
    for _ in range(KILLS):
        asking = anna.begin("publish", str(books), "--title", "Books for a kill")
        time.sleep(rng.uniform(0.15, 0.8))
        anna.kill()
        asking.communicate(timeout=30)
        anna.start()
        for work in anna.lines("list"):
            assert work["cid"] == cid, "what is listed is whole"
    published = anna.json("publish", str(books), "--title", "Books in the end")
    assert published["cid"] == cid
    ben = start("ben", bootstrap=(anna.address,))
    got = ben.json("get", published["work"])
    assert_same_tree(books, Path(got["path"]))
    assert "Traceback" not in anna.log
    assert anna.stop() == 0
