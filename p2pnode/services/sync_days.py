"""When a peer's turn comes to be compared with by salted fingerprints: once a day, at an hour that nobody can foresee.

In memory only: after a start the first one comes within hours. Called by `services.sync_peers`.
"""

from __future__ import annotations

import random
from collections.abc import Hashable

import trio

DAY_S = 86_400.0
"""Between two salted sessions about a circle that we begin with one peer."""
FIRST_S = (0.0, 6 * 3600.0)
"""After the first session with a peer that settled."""
MAX_PEERS = 4096
"""Turns remembered: more than a node has peers; the oldest goes first."""


class Days:
    """Whose turn it is, by circle and peer. Monotone time: trio's clock."""

    def __init__(self) -> None:
        self._due: dict[Hashable, float] = {}

    def is_due(self, about: Hashable) -> bool:
        """Whether the next session should be a salted one."""
        return trio.current_time() >= self._due.get(about, float("inf"))

    def settled(self, about: Hashable) -> None:
        """A session settled: the first one begins the count."""
        if about not in self._due:
            self._put(about, random.uniform(*FIRST_S))

    def done(self, about: Hashable) -> None:
        """A salted session was begun, whatever came of it: the next one tomorrow."""
        self._due.pop(about, None)
        self._put(about, DAY_S)

    def _put(self, about: Hashable, after_s: float) -> None:
        self._due[about] = trio.current_time() + after_s
        while len(self._due) > MAX_PEERS:
            del self._due[next(iter(self._due))]
