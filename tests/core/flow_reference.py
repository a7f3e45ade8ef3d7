"""Two slow and independent ways to the number that `core.flow` computes, straight from the words of the design.

`brute_min_cut` tries every cut (a handful of keys only); `reference_flow` is Ford-Fulkerson over a dictionary, in fractions, with an
explicit source and sink. `greedy_basis` is the definition of which ballots count: one more voter, one more unit, or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from fractions import Fraction
from itertools import product

Vouches = Sequence[Sequence[int]]
Node = tuple[str, int]
SOURCE, SINK = ("source", 0), ("sink", 0)
INFINITE = Fraction(10**9)


def network(
    vouches: Vouches, stewards: Collection[int], k: int, voters: Collection[int]
) -> dict[tuple[Node, Node], Fraction]:
    """Every arc of 4.3 with its capacity."""
    arcs: dict[tuple[Node, Node], Fraction] = {}
    for key, targets in enumerate(vouches):
        free = key in stewards
        arcs[("in", key), ("out", key)] = INFINITE if free else Fraction(k)
        if free:
            arcs[SOURCE, ("in", key)] = INFINITE
        if key in voters:
            arcs[("out", key), SINK] = Fraction(1)
        for target in targets:
            arcs[("out", key), ("in", target)] = INFINITE if free else Fraction(k, 3)
    return arcs


def brute_min_cut(vouches: Vouches, stewards: Collection[int], k: int, voters: Collection[int]) -> Fraction:
    """The smallest cut of all there are: 4 to the power of the keys."""
    arcs = network(vouches, stewards, k, voters)
    best = INFINITE
    for sides in product((False, True), repeat=2 * len(vouches)):
        near = {("in", key) for key in range(len(vouches)) if sides[2 * key]}
        near |= {("out", key) for key in range(len(vouches)) if sides[2 * key + 1]} | {SOURCE}
        cut = sum((size for (tail, head), size in arcs.items() if tail in near and head not in near), Fraction(0))
        best = min(best, cut)
    return best


def reference_flow(vouches: Vouches, stewards: Collection[int], k: int, voters: Collection[int]) -> int:
    """The maximum flow, by shortest augmenting paths."""
    left = defaultdict(Fraction, network(vouches, stewards, k, voters))
    beside: dict[Node, set[Node]] = defaultdict(set)
    for tail, head in list(left):
        beside[tail].add(head)
        beside[head].add(tail)
    total = Fraction(0)
    while True:
        came: dict[Node, Node] = {SOURCE: SOURCE}
        queue = [SOURCE]
        for node in queue:
            for onward in beside[node]:
                if onward not in came and left[node, onward] > 0:
                    came[onward] = node
                    queue.append(onward)
        if SINK not in came:
            assert total.denominator == 1
            return int(total)
        path = [SINK]
        while path[-1] != SOURCE:
            path.append(came[path[-1]])
        steps = list(zip(path[1:], path, strict=False))
        unit = min(left[step] for step in steps)
        for tail, head in steps:
            left[tail, head] -= unit
            left[head, tail] += unit
        total += unit


def greedy_basis(vouches: Vouches, stewards: Collection[int], k: int, ordered: Sequence[int]) -> list[int]:
    """Voters in this order, each taken if all taken so far can be reached together with it."""
    taken: list[int] = []
    for voter in ordered:
        if reference_flow(vouches, stewards, k, {*taken, voter}) == len(taken) + 1:
            taken.append(voter)
    return taken
