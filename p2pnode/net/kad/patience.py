"""How long an answer may take before a look-up goes on without it. Learned from the answers that came; pure, the time is an argument.

A peer that is past its time is not given up: it only holds nobody up any more. Who was past it lately, or failed, is asked beside the
others from the start. Used by `net.dht` for every look-up.
"""

from __future__ import annotations

from collections import OrderedDict

from p2pnode.core.ids import PeerId

FIRST_S = 1.0
"""Before anybody answered: a dial over a far link, three times."""
LEAST_S, MOST_S = 0.15, 2.0
"""Bounds: a busy processor is no dead peer, and nobody is worth more than two seconds."""
GAIN, DEVIATION_GAIN, DEVIATIONS = 1 / 8, 1 / 4, 4.0
"""As TCP estimates its round trips (RFC 6298): mean, mean deviation, and how many of them are borne."""
DOUBT_S = 120.0
"""Who did not answer is doubted this long, unless it answers before."""
MAX_DOUBTED = 1000


class Estimate:
    """Mean and mean deviation of the seconds that answers took."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._deviation = 0.0

    def took(self, seconds: float) -> None:
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
            return
        self._deviation += DEVIATION_GAIN * (abs(seconds - self._mean) - self._deviation)
        self._mean += GAIN * (seconds - self._mean)

    @property
    def patience_s(self) -> float:
        """Seconds after which an answer is late."""
        if self._mean is None:
            return FIRST_S
        return min(max(self._mean + DEVIATIONS * self._deviation, LEAST_S), MOST_S)


class Patience:
    """Of one node, with all peers together: apart for those that are connected and those that must be dialled first."""

    def __init__(self) -> None:
        self._connected, self._dialled = Estimate(), Estimate()
        self._doubted: OrderedDict[PeerId, float] = OrderedDict()  # until when

    def answered(self, peer: PeerId, seconds: float, *, connected: bool) -> None:
        """`peer` answered after so long; `connected`: it was before it was asked."""
        self._doubted.pop(peer, None)
        (self._connected if connected else self._dialled).took(seconds)

    def doubt(self, peer: PeerId, now: float) -> None:
        """It did not answer."""
        self._doubted.pop(peer, None)
        self._doubted[peer] = now + DOUBT_S
        if len(self._doubted) > MAX_DOUBTED:
            self._doubted.popitem(last=False)

    def of(self, peer: PeerId, now: float, *, connected: bool) -> float:
        """Seconds that a look-up waits for this peer; 0 for one that is doubted."""
        if self._doubted.get(peer, 0.0) > now:
            return 0.0
        return (self._connected if connected else self._dialled).patience_s
