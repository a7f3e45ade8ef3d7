"""How many ballots of one choice count: a maximum flow from a set of stewards, along vouches, to the voters (design 4.3).

A key that a steward set Q does not hold passes on at most K units, its own ballot among them; each of its vouches carries at most
K/3. A steward in Q has no limit. Hence b bad keys move any result by at most b x K, however many keys they mint and wherever
those sit. K is a constant: no ballot, vouch or turnout may change it (with a K that adapts, one bad member's made-up keys could
adopt what honest people had refused).

The method: voters are taken in the order given and one augmenting path is looked for backwards from each. A voter that finds none
finds none later either, because the sets of voters that can be reached together form a matroid (a gammoid): so the voters found
are at once a maximum and *the* greedy basis that `explain` shows. Searches follow distance labels (Ahuja and Orlin's shortest
augmenting paths): a label never exceeds the true distance from a steward, only rises, and a path goes down it step by step. When
a search has looked at more arcs than there are, all distances are measured anew, which also finds everything that is cut off
for ever: a swarm of made-up keys behind one insider costs one look at it, not one each.

Knows integers only: no keys, records or circles. Called by `core.tally`. Work is counted in arcs looked at, never in seconds, so that
every node gives up on the same graph at the same point.
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
    """The graph is pathological: the work this decision may cost is spent. Never leaves `core.tally`, which says "pending"."""


class Budget:
    """Arcs that may still be looked at. The same records spend the same on every node."""

    __slots__ = ("arcs_left",)

    def __init__(self, arcs: int) -> None:
        self.arcs_left = arcs

    def spend(self, arcs: int) -> None:
        """Raise BudgetSpent if fewer are left."""
        self.arcs_left -= arcs
        if self.arcs_left < 0:
            raise BudgetSpent


class FlowGraph:
    """The vouches of a circle as a network, built once and asked for many steward sets.

    `vouches[k]` are the keys that key k vouches for, as numbers 0..n-1, ascending, without k itself. Key k is split into an
    entrance 2k and an exit 2k+1, so that a capacity can stand between them. Arc a leads from `tails[a]` to `tails[a ^ 1]`;
    arcs a and a ^ 1 are each other's way back, the even one is the way there. `into[node]` are the arcs that end there.
    """

    def __init__(self, vouches: Sequence[Sequence[int]]) -> None:
        self.size = len(vouches)
        self._vouches = vouches
        self.tails: list[int] = []
        self.into: list[list[int]] = [[] for _ in range(2 * self.size)]
        self._first_vouch_arc: list[int] = []
        # One object a number, not one an arc: what a walk touches fits a processor's cache.
        nodes = list(range(2 * self.size))
        for key in range(self.size):
            self._add_arc(nodes[2 * key], nodes[2 * key + 1])
        for key, targets in enumerate(vouches):
            self._first_vouch_arc.append(len(self.tails))
            for target in targets:
                self._add_arc(nodes[2 * key + 1], nodes[2 * target])
        self._first_vouch_arc.append(len(self.tails))

    def for_stewards(self, stewards: Collection[int], capacity: int) -> StewardNetwork:
        """The network of one steward set; `capacity` is K. ValueError for a K that is not 3 x 2^i."""
        if not is_capacity(capacity):
            raise ValueError(f"K is {K_SMALLEST} x 2^i with i <= {K_DOUBLINGS}, not {capacity}")
        left = [capacity, 0] * self.size + [capacity // EDGE_SHARE, 0] * (len(self.tails) // 2 - self.size)
        for steward in stewards:
            for arc in range(self._first_vouch_arc[steward], self._first_vouch_arc[steward + 1], 2):
                left[arc] = _UNLIMITED
        return StewardNetwork(self, sorted(stewards), left)

    def first_distances(self, stewards: Iterable[int]) -> list[int]:
        """`distances` before anything flows, when every arc is usable the way there and none the way back: a walk over keys."""
        never = 2 * self.size + 1
        distance = [never] * (2 * self.size)
        queue = list(stewards)
        for steward in queue:
            distance[2 * steward + 1] = 0
        for key in queue:
            entrance = distance[2 * key + 1] + 1
            for target in self._vouches[key]:
                if distance[2 * target] == never:
                    distance[2 * target] = entrance
                    if distance[2 * target + 1] == never:  # a steward's exit is a source
                        distance[2 * target + 1] = entrance + 1
                        queue.append(target)
        return distance

    def distances(self, sources: Sequence[int], left: Sequence[int]) -> list[int]:
        """Every node's distance in usable arcs from the nearest source, 2 * size + 1 where there is no way."""
        never = 2 * self.size + 1
        distance = [never] * len(self.into)
        for source in sources:
            distance[source] = 0
        tails, into = self.tails, self.into
        queue = list(sources)
        for node in queue:
            further = distance[node] + 1
            for back in into[node]:
                if left[back ^ 1] and distance[tails[back]] == never:
                    distance[tails[back]] = further
                    queue.append(tails[back])
        return distance

    def _add_arc(self, tail: int, head: int) -> None:
        self.into[head].append(len(self.tails))
        self.tails.append(tail)
        self.into[tail].append(len(self.tails))
        self.tails.append(head)


class StewardNetwork:
    """A FlowGraph seen from one steward set, before anything flows: asked once for every side of every question."""

    def __init__(self, graph: FlowGraph, stewards: Sequence[int], capacities: list[int]) -> None:
        self.graph = graph
        self.capacities = capacities
        self.sources = [2 * steward + 1 for steward in stewards]
        self.distances = graph.first_distances(stewards)

    def counted(self, voters: Sequence[int], budget: Budget) -> list[int]:
        """The voters, in the order given, whose ballots count together; their number is the maximum flow.

        Raises BudgetSpent when it costs too much. What it spends does not depend on what was asked before.
        """
        if not voters:
            return []
        flow = _Flow(self, budget)
        return [voter for voter in voters if flow.reach(2 * voter + 1)]

    def carried(self, voters: Sequence[int], budget: Budget) -> tuple[list[int], dict[tuple[int, int], int]]:
        """As `counted`, and along which vouches (by whom, for whom) how many of those ballots came: for pictures."""
        flow = _Flow(self, budget)
        counted = [voter for voter in voters if flow.reach(2 * voter + 1)]
        return counted, flow.on_vouches()


class _Flow:
    """One flow that grows voter by voter. A steward's exit is a source without limit: every path begins at one."""

    __slots__ = ("_budget", "_distance", "_graph", "_left", "_never", "_next_arc", "_since_measured", "_sources")

    def __init__(self, network: StewardNetwork, budget: Budget) -> None:
        self._graph = network.graph
        self._sources = network.sources
        self._left = list(network.capacities)
        self._budget = budget
        self._never = 2 * network.graph.size + 1
        self._start_from(list(network.distances))

    def reach(self, voter: int) -> bool:
        """Send one more unit to this exit, if there is a way.

        One long function, since this is where a large circle's tally spends its time: ten million arcs, and a call for each step of a
        search costs as much as the step.
        """
        tails, into, left = self._graph.tails, self._graph.into, self._left
        distance, next_arc, never = self._distance, self._next_arc, self._never
        path: list[int] = []
        node, looked = voter, 0
        while distance[voter] < never:
            here = distance[node]
            if here == 0:
                for arc in path:
                    left[arc] -= 1
                    left[arc ^ 1] += 1
                self._spend(looked)
                return True
            if self._since_measured + looked > len(tails):
                self._spend(looked)
                self._start_from(self._graph.distances(self._sources, left))
                distance, next_arc = self._distance, self._next_arc
                path, node, looked = [], voter, 0
                continue
            arcs, first, nearer = into[node], next_arc[node], here - 1
            for arc in arcs[first:] if first else arcs:
                if left[arc] and distance[tails[arc]] == nearer:  # a step nearer to a steward
                    place = arcs.index(arc, first)
                    next_arc[node] = place
                    looked += place - first + 1
                    path.append(arc)
                    node = tails[arc]
                    break
            else:  # no way on from here: its label rises, and the search goes back a step
                distance[node] = self._label(arcs)
                next_arc[node] = 0
                looked += 2 * len(arcs) - first
                if path:
                    node = tails[path.pop() ^ 1]
        self._spend(looked)
        return False

    def _label(self, arcs: Sequence[int]) -> int:
        """One more than the least label at the other ends of these arcs, where they are usable."""
        tails, left, distance = self._graph.tails, self._left, self._distance
        least = self._never - 1
        for arc in arcs:
            if left[arc] and distance[tails[arc]] < least:
                least = distance[tails[arc]]
        return least + 1

    def on_vouches(self) -> dict[tuple[int, int], int]:
        """What flows along every vouch that carries anything: what its way back has room for."""
        graph, found = self._graph, dict[tuple[int, int], int]()
        for arc in range(2 * graph.size, len(graph.tails), 2):
            if self._left[arc ^ 1]:
                found[graph.tails[arc] // 2, graph.tails[arc ^ 1] // 2] = self._left[arc ^ 1]
        return found

    def _spend(self, arcs: int) -> None:
        self._since_measured += arcs
        self._budget.spend(arcs)

    def _start_from(self, distances: list[int]) -> None:
        """Take true distances for labels; what cannot be reached now never will be. Paid for also where they were known."""
        self._distance = distances
        self._next_arc = [0] * len(distances)
        self._since_measured = 0
        self._budget.spend(len(self._graph.tails))


def is_capacity(number: int) -> bool:
    """Whether a charter may name this K."""
    return number in {K_SMALLEST << doublings for doublings in range(K_DOUBLINGS + 1)}
