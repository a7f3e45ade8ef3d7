"""Other ways to count votes on a graph of vouches, for comparison with ours: one key one vote, and SumUp as its authors describe it.

SumUp (Tran, Min, Li, Subramanian, NSDI 2009): a collector hands out `C_max` tickets along the graph, level by level; every level keeps one
ticket per key and splits the rest evenly among its edges to the next one; an edge's capacity is one and the tickets that it got. Votes are
the maximum flow from the collector to the voters. Like the original, and unlike ours, it lets one vouch carry many votes close to the
collector. What is left out of it: the history of bad votes, and the pruning of the graph.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from p2pnode.core.membership import Membership


def one_key_one_vote(members: Membership, voters: Sequence[int]) -> int:
    """Every voter counts who is a member."""
    return sum(0 <= voter < len(members.keys) for voter in voters)


class SumUp:
    """The network for one collector. `c_max` is how many tickets it hands out: about as many as honest votes are expected."""

    def __init__(self, members: Membership, collector: int, c_max: int) -> None:
        self._members, self._collector = members, collector
        self._capacity = self._capacities(c_max)

    def collected(self, voters: Sequence[int]) -> int:
        """How many of these votes are collected: augmenting paths, backwards from each voter; slow and simple."""
        left = dict(self._capacity)
        into: dict[int, set[int]] = {}
        for by, to in left:
            into.setdefault(to, set()).add(by)
            into.setdefault(by, set()).add(to)
        return sum(self._augment(voter, left, into) for voter in voters)

    def _capacities(self, c_max: int) -> dict[tuple[int, int], int]:
        """One and the tickets on every vouch that leads away from the collector; one on all others."""
        level = {self._collector: 0}
        queue = deque([self._collector])
        order = []
        while queue:
            key = queue.popleft()
            order.append(key)
            for to in self._members.vouches[key]:
                if to not in level:
                    level[to] = level[key] + 1
                    queue.append(to)
        tickets = dict.fromkeys(order, 0.0)
        tickets[self._collector] = float(c_max)
        capacity: dict[tuple[int, int], int] = {}
        for key in order:
            outward = [to for to in self._members.vouches[key] if level[to] == level[key] + 1]
            left = tickets[key] - (key != self._collector)
            for to in self._members.vouches[key]:
                share = max(0.0, left) / len(outward) if to in outward else 0.0
                capacity[key, to] = 1 + int(share)
                if to in outward:
                    tickets[to] += share
        return capacity

    def _augment(self, voter: int, left: dict[tuple[int, int], int], into: dict[int, set[int]]) -> bool:
        onward = {voter: voter}
        queue = deque([voter])
        while queue:
            key = queue.popleft()
            if key == self._collector:
                while key != voter:
                    step = onward[key]
                    left[key, step] -= 1
                    left[step, key] = left.get((step, key), 0) + 1
                    key = step
                return True
            for by in sorted(into.get(key, ())):
                if by not in onward and left.get((by, key), 0) > 0:
                    onward[by] = key
                    queue.append(by)
        return False
