"""Who is connected to whom in a measured network: the same for every program that is measured."""

from __future__ import annotations

import random


def edges(nodes: int, neighbours: int) -> set[tuple[int, int]]:
    """A ring, and as many links across that a node has `neighbours` on the average."""
    rng = random.Random(4)
    chosen = {(number, (number + 1) % nodes) for number in range(nodes)}
    while len(chosen) < nodes * neighbours // 2:
        one, other = rng.sample(range(nodes), 2)
        if (other, one) not in chosen:
            chosen.add((one, other))
    return chosen
