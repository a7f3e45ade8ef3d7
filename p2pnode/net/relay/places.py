"""Who may be reached through this relay, and how many circuits of whom are open. Pure; the time is an argument.

A place belongs to a peer while its connection lasts and its time has not run out; asking again renews it. Used by `hop`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from p2pnode.core.ids import PeerId
from p2pnode.net.places import origin_of
from p2pnode.net.relay.messages import Limit

MAX_RESERVATIONS = 128
"""Peers that can be reached through us: each keeps one of our connections, of which there are 200."""
RESERVATIONS_PER_HOST = 8
"""Of one IP address (of IPv6: one range, /48), whatever names they have: the devices of a household."""
RESERVATION_S = 3600
"""A place is kept this long unless it is renewed; go-libp2p's relays give the same."""
MAX_CIRCUITS = 64
"""Open at once: each is two streams and their windows."""
CIRCUITS_PER_PEER = 8
"""Open at once to or from one peer."""
CIRCUITS_PER_HOST = 16
"""Open at once from one IP address (of IPv6: one range)."""
CIRCUIT_S = 1800
"""A circuit is cut after half an hour: who needs more makes another, or finds a direct way meanwhile."""
CIRCUIT_BYTES = 256 << 20
"""In each direction of one circuit: an album or some hundred pictures, and no disk image."""


def household(host: str) -> str:
    """What counts as one IP address here: of public IPv6 the whole range, as a customer has any number of addresses in it."""
    origin = origin_of(host)
    return origin.range if ":" in origin.host and not origin.near else host


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """What a relay gives. The defaults are the documented ones; tests make them smaller."""

    reservations: int = MAX_RESERVATIONS
    reservations_per_host: int = RESERVATIONS_PER_HOST
    reservation_s: int = RESERVATION_S
    circuits: int = MAX_CIRCUITS
    circuits_per_peer: int = CIRCUITS_PER_PEER
    circuits_per_host: int = CIRCUITS_PER_HOST
    circuit_s: int = CIRCUIT_S
    circuit_bytes: int = CIRCUIT_BYTES

    @property
    def circuit(self) -> Limit:
        """As it is told to both ends."""
        return Limit(self.circuit_s, self.circuit_bytes)


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    expires: float


class Places:
    """Reservations of one relay."""

    def __init__(self, limits: RelayLimits) -> None:
        self._limits = limits
        self._places: dict[PeerId, _Place] = {}

    def reserve(self, peer: PeerId, host: str, now: float) -> float | None:
        """Give or renew a place; when it ends, or None if there is none to give."""
        self._forget_expired(now)
        others = [place for name, place in self._places.items() if name != peer]
        of_host = sum(place.host == host for place in others)
        if len(others) >= self._limits.reservations or of_host >= self._limits.reservations_per_host:
            return None
        expires = now + self._limits.reservation_s
        self._places[peer] = _Place(host, expires)
        return expires

    def holds(self, peer: PeerId, now: float) -> bool:
        place = self._places.get(peer)
        return place is not None and now < place.expires

    def drop(self, peer: PeerId) -> None:
        """Its connection is gone."""
        self._places.pop(peer, None)

    def count(self, now: float) -> int:
        self._forget_expired(now)
        return len(self._places)

    def _forget_expired(self, now: float) -> None:
        self._places = {peer: place for peer, place in self._places.items() if now < place.expires}


class Circuits:
    """How many circuits are open, in all, of each peer (at either end) and from each IP address."""

    def __init__(self, limits: RelayLimits) -> None:
        self._limits = limits
        self._peers: Counter[PeerId] = Counter()
        self._hosts: Counter[str] = Counter()
        self.open = 0

    def enter(self, source: PeerId, host: str, target: PeerId) -> bool:
        """Count one more, if it may be; then `leave` must follow."""
        limits = self._limits
        if (
            self.open >= limits.circuits
            or self._peers[source] >= limits.circuits_per_peer
            or self._peers[target] >= limits.circuits_per_peer
            or self._hosts[host] >= limits.circuits_per_host
        ):
            self._trim()
            return False
        self.open += 1
        self._peers.update((source, target))
        self._hosts[host] += 1
        return True

    def leave(self, source: PeerId, host: str, target: PeerId) -> None:
        self.open -= 1
        self._peers.subtract((source, target))
        self._hosts[host] -= 1
        self._trim()

    def _trim(self) -> None:
        self._peers += Counter()  # drops what is at zero
        self._hosts += Counter()
