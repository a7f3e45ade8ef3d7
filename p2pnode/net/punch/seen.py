"""Where others see us: what peers say in their introductions, one voice each, as long as they are connected. Pure.

Right behind most routers, because we call from the port we listen on (`sources`) and they keep to one mapping; wrong behind those
that draw a port for each connection, which nothing can be done about. Told by `net.network`, asked by `punching`.
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
        self._voices: dict[PeerId, str] = {}

    def told(self, observer: PeerId, address: str) -> None:
        """A directly connected peer sees us at `address` (without /p2p); what is not public is passed over."""
        self._voices.pop(observer, None)
        if punchable([address]):
            self._voices[observer] = address
            if len(self._voices) > MAX_OBSERVERS:
                del self._voices[next(iter(self._voices))]

    def forget(self, observer: PeerId) -> None:
        """It is not connected any more: since then we may have moved."""
        self._voices.pop(observer, None)

    def addresses(self) -> list[str]:
        """Most voices first; of equals the newest."""
        newest_first = reversed(list(self._voices.values()))
        return [address for address, _ in Counter(newest_first).most_common()]
