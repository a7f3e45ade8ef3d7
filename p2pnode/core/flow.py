"""How many ballots of one choice count: a maximum flow from a set of stewards, along vouches, to the voters (design 4.3).

A key that a steward set Q does not hold passes on at most K units, its own ballot among them; each of its vouches carries at most
K/3. A steward in Q has no limit. Hence b bad keys move any result by at most b x K, however many keys they mint and wherever
those sit. K is a constant: no ballot, vouch or turnout may change it (with a K that adapts, one bad member's made-up keys could
adopt what honest people had refused).

The method: voters are taken in the order given and one augmenting path is looked for backwards from each. A voter that finds none
finds none later either, because the sets of voters that can be reached together form a matroid (a gammoid): so the voters found
are at once a maximum and *the* greedy basis that `explain` shows. What a failed search has seen can never be entered by
a later path, so it is never looked at again; a swarm of made-up keys behind one insider costs one look, not one each.

Knows integers only: no keys, records or circles. Called by `core.tally`. Work is counted in edges looked at, never in seconds, so
that every node gives up on the same graph at the same point.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

EDGE_SHARE = 3
"""A vouch carries K/3: three vouches exhaust a key, so nobody's whole weight stands behind one friend."""
K_SMALLEST, K_DOUBLINGS = 3, 5
"""K is 3 x 2^i with i <= 5: whole thirds, and never a number that lets a handful of insiders carry a circle."""
_UNLIMITED = 1 << 60
"""More than any flow: voters are counted in millions at most."""


class BudgetSpent(Exception):
    """The graph is pathological: the edges this decision may cost are spent. Never leaves `core.tally`, which says "pending"."""


class Budget:
    """Edges that may still be looked at. The same records spend the same on every node."""

    __slots__ = ("edges_left",)

    def __init__(self, edges: int) -> None:
        self.edges_left = edges

    def spend(self, edges: int) -> None:
        """Raise BudgetSpent if fewer are left."""
        self.edges_left -= edges
        if self.edges_left < 0:
            raise BudgetSpent


class FlowGraph:
    """The vouches of a circle as a residual network, built once and asked for many steward sets.

    `vouches[k]` are the keys that key k vouches for, as numbers 0..n-1, ascending, without k itself. Key k is split into an
    entrance 2k and an exit 2k+1, so that a capacity can stand between them. Arc a and arc a ^ 1 are each other's way back.
    """

    def __init__(self, vouches: Sequence[Sequence[int]]) -> None:
        self.size = len(vouches)
        self._first_vouch_arc: list[int] = []
        self._tail: list[int] = []
        self._into: list[list[int]] = [[] for _ in range(2 * self.size)]
        for key in range(self.size):
            self._add_arc(2 * key, 2 * key + 1)
        for key, targets in enumerate(vouches):
            self._first_vouch_arc.append(len(self._tail))
            for target in targets:
                self._add_arc(2 * key + 1, 2 * target)
        self._first_vouch_arc.append(len(self._tail))

    def counted(self, stewards: Collection[int], capacity: int, voters: Iterable[int], budget: Budget) -> list[int]:
        """The voters, in the order given, whose ballots count together for this steward set; their number is the maximum flow.

        `capacity` is K. Raises ValueError for a K that is not 3 x 2^i, BudgetSpent when the graph costs too much.
        """
        if not is_capacity(capacity):
            raise ValueError(f"K is {K_SMALLEST} x 2^i with i <= {K_DOUBLINGS}, not {capacity}")
        left = self._capacities(stewards, capacity)
        budget.spend(len(left) // 2)
        exits = {2 * steward + 1 for steward in stewards}
        dead = bytearray(2 * self.size)
        return [voter for voter in voters if self._augment(2 * voter + 1, exits, left, dead, budget)]

    def _augment(self, start: int, exits: Collection[int], left: list[int], dead: bytearray, budget: Budget) -> bool:
        """Send one more unit from any steward's exit to `start`, if there is a way."""
        if start in exits:
            return True
        if dead[start]:
            return False
        tail, into = self._tail, self._into
        onward: dict[int, int] = {start: -1}
        queue = [start]
        for node in queue:
            arcs = into[node]
            budget.spend(len(arcs))
            for arc in arcs:
                before = tail[arc]
                if not left[arc] or dead[before] or before in onward:
                    continue
                onward[before] = arc
                if before in exits:
                    self._push(before, onward, left)
                    return True
                queue.append(before)
        for node in queue:
            dead[node] = 1
        return False

    def _push(self, node: int, onward: dict[int, int], left: list[int]) -> None:
        """One unit along the arcs that lead from `node` to the voter."""
        while (arc := onward[node]) >= 0:
            left[arc] -= 1
            left[arc ^ 1] += 1
            node = self._tail[arc ^ 1]

    def _capacities(self, stewards: Collection[int], capacity: int) -> list[int]:
        """What every arc may carry at the start, for this steward set."""
        left = [capacity, 0] * self.size + [capacity // EDGE_SHARE, 0] * (len(self._tail) // 2 - self.size)
        for steward in stewards:
            left[2 * steward] = _UNLIMITED
            for arc in range(self._first_vouch_arc[steward], self._first_vouch_arc[steward + 1], 2):
                left[arc] = _UNLIMITED
        return left

    def _add_arc(self, tail: int, head: int) -> None:
        self._into[head].append(len(self._tail))
        self._tail.append(tail)
        self._into[tail].append(len(self._tail))
        self._tail.append(head)


def is_capacity(number: int) -> bool:
    """Whether a charter may name this K."""
    return number in {K_SMALLEST << doublings for doublings in range(K_DOUBLINGS + 1)}
