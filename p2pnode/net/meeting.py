"""Meeting peers: whoever is connected introduces himself, and what he says is told to whom it concerns; and dialling those on the LAN.

Called by `net.network`, which says what is done with an introduction. Who belongs to another network is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import P2pnodeError
from p2pnode.net import dht, identify
from p2pnode.net.failures import say_failed
from p2pnode.net.identify import Introduction
from p2pnode.net.peers import Peers
from p2pnode.net.stream import Libp2pStream
from p2pnode.ports import AddressBook

log = logging.getLogger("p2pnode.net")

IDENTIFY_S = 5.0
"""For a new peer's introduction; after that it counts as connected without one."""
LAN_POLITENESS_S = 2.0
"""Of two nodes that see each other on the LAN the one with the smaller ID dials at once, the other only later."""
MAX_SEEN_ON_LAN = 64
"""Dials in flight to peers that announce themselves on the LAN, where anybody may announce anything."""


class Meeting:
    """`on_heard` is called with every introduction, `on_met` with a peer's first, before the peer counts as connected."""

    def __init__(
        self,
        peers: Peers,
        kad_protocol: str,
        book: AddressBook,
        open_stream: Callable[[PeerId, str], Awaitable[Libp2pStream]],
        leave: Callable[[PeerId], Awaitable[None]],
        on_met: Callable[[PeerId, Introduction], None],
        on_heard: Callable[[PeerId, Introduction], None],
    ) -> None:
        self._peers, self._kad_protocol, self._book = peers, kad_protocol, book
        self._open_stream, self._leave = open_stream, leave
        self._on_met, self._on_heard = on_met, on_heard

    async def greet(self, peer: PeerId) -> None:
        """A peer's first connection: hear who it is, then tell everybody."""
        introduction = await self._ask(peer)
        if self._is_of_another_network(introduction):
            log.info("%s belongs to another network and is left alone", peer)
            await self._leave(peer)
            return
        self._on_met(peer, introduction)
        self._peers.introduced(peer, introduction)
        await self._heard(peer, introduction)

    async def heard_again(self, peer: PeerId, introduction: Introduction) -> None:
        """What a peer says of itself has changed."""
        if self._peers.introduced_again(peer, introduction):
            await self._heard(peer, introduction)

    async def _ask(self, peer: PeerId) -> Introduction:
        introduction = Introduction()
        try:
            with trio.move_on_after(IDENTIFY_S):
                stream = await self._open_stream(peer, identify.PROTOCOL)
                try:
                    introduction = await identify.ask(stream)
                finally:
                    with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                        await stream.aclose()
        except P2pnodeError as error:
            log.info("%s does not introduce itself: %s", peer, error.message)
        except Exception as error:
            log.debug("identify of %s: %r", peer, error)
        return introduction

    async def _heard(self, peer: PeerId, introduction: Introduction) -> None:
        """Where a peer says that it is: when it comes, and when that changes."""
        if introduction.addresses:
            await self._book.remember(peer, introduction.addresses, answered=False)
        self._on_heard(peer, introduction)

    def _is_of_another_network(self, introduction: Introduction) -> bool:
        """A p2pnode that serves another DHT and not ours; foreign implementations may serve what they like."""
        others = [p for p in introduction.protocols if p.endswith(dht.PROTOCOL_SUFFIX) and p != self._kad_protocol]
        ours = self._kad_protocol in introduction.protocols
        return introduction.agent.startswith("p2pnode/") and bool(others) and not ours


class LanMeeting:
    """Dials those that are seen on the LAN, a bounded number at a time, in `nursery`."""

    def __init__(
        self,
        own: PeerId,
        nursery: trio.Nursery,
        is_connected: Callable[[PeerId], bool],
        connect: Callable[[PeerId, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._own, self._nursery = own, nursery
        self._is_connected, self._connect = is_connected, connect
        self._dials = 0

    def seen(self, peer: PeerId, addresses: Sequence[str]) -> None:
        """It announced itself."""
        if not self._is_connected(peer) and self._dials < MAX_SEEN_ON_LAN:
            self._dials += 1
            self._nursery.start_soon(self._meet, peer, addresses)

    async def _meet(self, peer: PeerId, addresses: Sequence[str]) -> None:
        try:
            if self._own > peer:
                await trio.sleep(LAN_POLITENESS_S)
            await self._connect(peer, addresses)
        except P2pnodeError as error:
            log.info("a node on the local network cannot be reached: %s", error.message)
        except Exception as error:
            say_failed(log, "meeting a node on the local network", error)
        finally:
            self._dials -= 1
