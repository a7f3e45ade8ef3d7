"""kill -9 anywhere in publishing, fetching, evicting, importing and mending: nothing finished is lost, nothing wrong is served.

A seeded sample runs always; hundreds of points with `--long`. The seed is printed, and can be given in P2PNODE_CRASH_SEED.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
import trio

from tests.support.kill_checks import check
from tests.support.kill_journeys import JOURNEYS, make_sources
from tests.support.killing import required, run

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")

SEED = int(os.environ.get("P2PNODE_CRASH_SEED", random.SystemRandom().randrange(1 << 30)))
POINTS, LONG_POINTS = 3, 80
"""Kills in each journey."""
BY_CLOCK = 0.25
"""Share of kills at a moment instead of a point: inside a statement or a system call."""
FRESH_HOME = 12
"""Kills after which a journey begins with an empty home again: both the first minute and a long life are killed."""


def kill_often(folder: Path, journey: str, kills: int) -> list[str]:
    """A line a kill. Each run goes on with what the one before left."""
    print(f"P2PNODE_CRASH_SEED={SEED}")
    rng = random.Random(f"{SEED} {journey}")
    told: list[str] = []
    home, must = folder / "0", set[str]()
    points = before = 0
    seconds = 0.0
    for number in range(kills):
        if number % FRESH_HOME == 0:
            home, must = folder / str(number), set()
            make_sources(home / "sources")
        seed = rng.randrange(1 << 30)
        if number == 0:  # how long a whole round is
            said = run(home, journey, seed, 0)
            assert said[-1][0] == "round"
            points, seconds, before = int(said[-1][1]), float(said[-1][2]), int(said[-1][3])
            must = required(said, must)
        by_clock = rng.random() < BY_CLOCK
        at = 0 if by_clock else before + rng.randrange(points)
        moment = rng.uniform(0.3, 0.8 + 1.5 * seconds) if by_clock else 0.0
        said = run(home, journey, seed, at, moment)
        must = required(said, must)
        where = f"{moment:.2f} s" if by_clock else str(at)
        told.append(f"{journey} {number}: {where} of {points}, {len(said)} said")
        print(told[-1])
        trio.run(check, home, journey, must)
    return told


@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_sample_of_kills(tmp_path: Path, journey: str) -> None:
    kill_often(tmp_path, journey, POINTS)


@pytest.mark.long
@pytest.mark.parametrize("journey", JOURNEYS)
def test_kills_by_the_hundred(tmp_path: Path, journey: str) -> None:
    kill_often(tmp_path, journey, LONG_POINTS)
