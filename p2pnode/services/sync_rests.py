"""With whom sync pauses: peers with whom comparing records costs bytes and brings nothing.

A pruned peer names ids whose bodies it does not have; a broken or hostile one is cut again and again. Each such session doubles the
pause, a good one ends it. In memory only. Called by `services.sync_peers`.
"""

from __future__ import annotations

from collections.abc import Hashable

import trio

FIRST_S, LAST_S = 600.0, 6 * 3600.0
"""The first pause, and the longest."""
MAX_PEERS = 4096
"""Pauses remembered: more than a node has peers; the oldest goes first."""


class Rests:
    """Pauses, by circle and peer. Monotone time: trio's clock."""

    def __init__(self) -> None:
        self._until: dict[Hashable, tuple[float, float]] = {}

    def rests(self, about: Hashable) -> bool:
        """Whether it is better not to begin now."""
        until, _ = self._until.get(about, (0.0, 0.0))
        return trio.current_time() < until

    def in_vain(self, about: Hashable) -> None:
        """A session brought nothing and did not settle, or the peer broke the rules."""
        _, last_s = self._until.pop(about, (0.0, 0.0))
        pause_s = min(LAST_S, 2 * last_s) if last_s else FIRST_S
        self._until[about] = (trio.current_time() + pause_s, pause_s)
        while len(self._until) > MAX_PEERS:
            del self._until[next(iter(self._until))]

    def worked(self, about: Hashable) -> None:
        """A session settled, or brought something."""
        self._until.pop(about, None)
