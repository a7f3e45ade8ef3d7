"""Who may come in when there is no room for all: places for inbound connections, by address, by range of addresses, and by use.

Names cost nothing and addresses little, so no single address or range may take every place; and where places are short, the connection of
the least use makes room for a newcomer, of whom nothing is known yet. Pure but for the addresses' arithmetic: the time is an argument.
Called by `net.hardening.swarm`; what a peer is worth is told by `net.network`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

MAX_INBOUND = 256
"""Inbound connections, about 70 KB each; of all connections the rest remains for what we dial."""
MAX_PER_HOST = 32
"""From one public address: a household, a small office or a carrier's shared address. An eighth of all places."""
MAX_PER_RANGE = 64
"""From one range of addresses: /24 of IPv4, /48 of IPv6, what one customer of a provider has at most. A quarter of all places."""
MAX_NEAR = 224
"""From loopback, private and link-local addresses together, without a limit for each: they are this machine, its own network, or a
proxy before it. The other places remain for the world."""
SETTLED_S = 120.0
"""Who has been here so long and is of no use yet makes room for a newcomer."""

USELESS, IN_DHT, IN_USE, MEMBER = 0, 1, 2, 3
"""What a peer is worth: nothing so far; it is in our routing table; streams that we opened are in use; it proved to be a member of a circle
of ours."""
Worth = Callable[[Any], int]
Standing = tuple[int, bool, int, bool, float]
"""What decides who goes, the smallest first: use, whether it had its time, how many come from there, and who came last."""
_IP4_RANGE_BITS, _IP6_RANGE_BITS = 24, 48


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection comes from. The range of a `near` address is itself: nobody else's."""

    host: str
    range: str
    near: bool


@lru_cache(4096)
def origin_of(host: str) -> Origin:
    """The origin of an IP address; what is none counts as a range of its own."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return Origin(host, host, near=False)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback or ip.is_private or ip.is_link_local:
        return Origin(str(ip), str(ip), near=True)
    bits = _IP4_RANGE_BITS if ip.version == 4 else _IP6_RANGE_BITS
    return Origin(str(ip), str(ipaddress.ip_network((ip, bits), strict=False)), near=False)


@dataclass(eq=False, slots=True)
class Place:
    """One inbound connection. `evict` ends it."""

    peer: Any
    origin: Origin
    since: float
    evict: Callable[[], None]
    given_up: bool = field(default=False)


class Places:
    """The inbound connections of one node. `judge` gives what tells what a peer is worth now, one of the constants above."""

    def __init__(self) -> None:
        self.judge: Callable[[], Worth] = lambda: lambda peer: USELESS
        self._taken: list[Place] = []

    def take(self, newcomer: Place, now: float) -> bool:
        """Give the newcomer a place, if need be that of somebody of less use. False: there is none, and nothing changed for it."""
        for limit, group in self._groups(newcomer.origin):
            if len(group) < limit:
                continue
            crowd = self._crowds()
            crowd[newcomer.origin.range] = crowd.get(newcomer.origin.range, 0) + 1
            worth = self.judge()
            standing = [(_standing(place, worth(place.peer), crowd, now), place) for place in group]
            standing.append(
                ((USELESS, True, -crowd[newcomer.origin.range], False, 0.0), newcomer)
            )  # last of its equals
            _, last = min(standing, key=lambda entry: entry[0])
            if last is newcomer:
                return False
            self.leave(last)
            last.given_up = True
            last.evict()
        self._taken.append(newcomer)
        return True

    def leave(self, place: Place) -> None:
        """Its connection is over. Nothing happens the second time."""
        if place in self._taken:
            self._taken.remove(place)

    def __len__(self) -> int:
        return len(self._taken)

    def _groups(self, origin: Origin) -> Iterable[tuple[int, list[Place]]]:
        if origin.near:
            yield MAX_NEAR, [place for place in self._taken if place.origin.near]
        else:
            yield MAX_PER_HOST, [place for place in self._taken if place.origin.host == origin.host]
            yield MAX_PER_RANGE, [place for place in self._taken if place.origin.range == origin.range]
        yield MAX_INBOUND, self._taken

    def _crowds(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for place in self._taken:
            counts[place.origin.range] = counts.get(place.origin.range, 0) + 1
        return counts


def _standing(place: Place, worth: int, crowd: dict[str, int], now: float) -> Standing:
    had_its_time = worth == USELESS and now - place.since >= SETTLED_S
    return worth, not had_its_time, -crowd[place.origin.range], True, -place.since
