"""Where others see us: what peers say in their introductions as long as they are connected, one voice a range of addresses. Pure.

Right behind most routers, because we call from the port we listen on (`punch.sources`) and they keep to one mapping; wrong behind those
that draw a port for each connection, which nothing can be done about. Whether we are reached there is another question: `voices`.
Owned by `outside`, told by `net.network`, asked by `outside` and `punching`.
"""

from __future__ import annotations

from collections import Counter

from p2pnode.core.ids import PeerId
from p2pnode.net.punch.rules import punchable

MAX_OBSERVERS = 64
"""Voices kept, the newest: enough that a few liars are a minority."""


class Seen:
    """The addresses of one node as its peers see them."""

    def __init__(self) -> None:
        self._voices: dict[PeerId, dict[int, tuple[str, str]]] = {}  # by kind of IP: address, and range of who says so

    def told(self, observer: PeerId, address: str, origin: str = "") -> None:
        """A directly connected peer of range `origin` sees us at `address` (without /p2p); what is not public is passed over."""
        version = 6 if address.startswith("/ip6/") else 4
        voices = self._voices.pop(observer, {})
        voices.pop(version, None)
        if punchable([address]):
            voices[version] = address, origin or observer
        if voices:
            self._voices[observer] = voices
        if len(self._voices) > MAX_OBSERVERS:
            del self._voices[next(iter(self._voices))]

    def forget(self, observer: PeerId) -> None:
        """It is not connected any more: since then we may have moved."""
        self._voices.pop(observer, None)

    def addresses(self) -> list[str]:
        """Most voices first; of equals the newest."""
        newest_first = [voice for voices in reversed(list(self._voices.values())) for voice in voices.values()]
        return [address for address, _ in Counter(address for address, _ in dict.fromkeys(newest_first)).most_common()]
