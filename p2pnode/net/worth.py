"""What each peer is worth to this node: whose connection is the last to go when places are short (`net.places`).

Told by `net.network` about streams and members; asked by the places.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any
from weakref import WeakSet

from p2pnode.core.ids import PeerId
from p2pnode.net.addresses import peer_id
from p2pnode.net.places import IN_DHT, IN_USE, MEMBER, USELESS
from p2pnode.net.stream import Libp2pStream


class Worths:
    """`is_in_table` says whether a peer stands in the routing table, `relays` whether it is of use as a relay or through one."""

    def __init__(self, is_in_table: Callable[[PeerId], bool], relays: Callable[[PeerId], bool]) -> None:
        self._is_in_table, self._relays = is_in_table, relays
        self._in_use: dict[PeerId, WeakSet[Libp2pStream]] = {}
        self.members: Callable[[], Container[PeerId]] = frozenset
        """Who proved to be a member of a circle of ours."""

    def opened(self, stream: Libp2pStream) -> None:
        """A service opened a stream: as long as it is open, the peer is in use."""
        self._in_use.setdefault(stream.peer, WeakSet()).add(stream)

    def gone(self, peer: PeerId) -> None:
        """It is not connected any more."""
        self._in_use.pop(peer, None)

    def __len__(self) -> int:
        return len(self._in_use)

    def judge(self) -> Callable[[Any], int]:
        """What tells the worth of libp2p's peer IDs now."""
        members = self.members()

        def worth(peer: Any) -> int:
            name = peer_id(peer)
            if name in members:
                return MEMBER
            if self._relays(name) or any(not stream.is_closed for stream in self._in_use.get(name, ())):
                return IN_USE
            return IN_DHT if self._is_in_table(name) else USELESS

        return worth
