"""Token buckets, one per peer (or author): how often somebody may ask before it has to wait."""

from __future__ import annotations

from collections.abc import Hashable

import trio

MAX_PEERS = 4096
"""Buckets kept: more peers than a node has connections; the longest unused goes first."""


class TokenBuckets:
    """`rate_per_s` tokens a second for each peer, at most `burst` saved up. Monotone time: trio's clock."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate, self._burst = rate_per_s, float(burst)
        self._held: dict[Hashable, tuple[float, float]] = {}

    def take(self, peer: Hashable, tokens: float = 1.0) -> bool:
        """True if the peer had these tokens, which are gone now."""
        now = trio.current_time()
        saved, since = self._held.pop(peer, (self._burst, now))
        saved = min(self._burst, saved + (now - since) * self._rate)
        granted = saved >= tokens
        self._held[peer] = (saved - tokens if granted else saved, now)
        while len(self._held) > MAX_PEERS:
            self._held.pop(next(iter(self._held)))
        return granted
