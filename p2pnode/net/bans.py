"""Misbehaviour, counted per peer, and bans that end by themselves. Pure: the time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from p2pnode.core.ids import PeerId
from p2pnode.ports import Ban

BAN_POINTS = 100
"""At this score a peer is banned (the contract of `ports.Network.penalise`)."""
BAN_S = 30 * 60.0
"""Half an hour: long enough to be useless to an attacker, short enough for a peer that was only broken."""
POINT_LIFE_S = 60.0
"""A point is forgiven every so often, so that rare mistakes of a long acquaintance never add up to a ban."""
MAX_PEERS = 10_000
"""Peers whose score or ban is kept; the oldest go first."""


@dataclass(slots=True)
class _Score:
    points: float
    at: float


class Bans:
    """Scores and bans of one node."""

    def __init__(self) -> None:
        self._scores: OrderedDict[PeerId, _Score] = OrderedDict()
        self._bans: OrderedDict[PeerId, Ban] = OrderedDict()

    def penalise(self, peer: PeerId, points: int, reason: str, now: float) -> bool:
        """Add points; True if the peer is banned by them now."""
        score = self._scores.pop(peer, None) or _Score(0.0, now)
        left = max(0.0, score.points - (now - score.at) / POINT_LIFE_S)
        score = _Score(left + max(0, points), now)
        if score.points >= BAN_POINTS:
            self._bans.pop(peer, None)
            self._bans[peer] = Ban(peer, now + BAN_S, reason)
            _trim(self._bans)
            return True
        self._scores[peer] = score
        _trim(self._scores)
        return False

    def is_banned(self, peer: PeerId, now: float) -> bool:
        ban = self._bans.get(peer)
        if ban is not None and now >= ban.until:
            del self._bans[peer]
            return False
        return ban is not None

    def lift(self, peer: PeerId, now: float) -> bool:
        """End a ban and forget the points. Whether there was a ban."""
        self._scores.pop(peer, None)
        ban = self._bans.pop(peer, None)
        return ban is not None and now < ban.until

    def current(self, now: float) -> list[Ban]:
        """Those in force, the soonest over first."""
        return sorted((ban for ban in self._bans.values() if now < ban.until), key=lambda ban: ban.until)


def _trim(table: OrderedDict[PeerId, object] | OrderedDict[PeerId, _Score] | OrderedDict[PeerId, Ban]) -> None:
    while len(table) > MAX_PEERS:
        table.popitem(last=False)
