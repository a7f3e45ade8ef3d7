"""Identify push: peers hear it when our addresses change (a place at a relay was given or lost), and we when theirs do.

Without it a peer would know until its next connection only where we were when it came. Joined to the rest by `net.network`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, P2pnodeError
from p2pnode.net import identify
from p2pnode.net.peers import Peers
from p2pnode.ports import Stream

log = logging.getLogger("p2pnode.net")

BUNDLE_S = 0.5
"""Changes that come together are told together."""
TELL_S = 5.0
"""For one peer to be told; who does not listen hears it when it connects again."""
TELL_PARALLEL = 8
TELL_PAUSE_S = 1.5
"""After we told: who hears of us again within HEAR_PAUSE_S does not listen, and would never learn what was new."""
HEAR_S = 10.0
"""For a peer to say what it opened the stream for."""
HEAR_PAUSE_S = 1.0
"""Least time between two pushes of one peer: each is written to the address book."""

Hear = Callable[[PeerId, identify.Introduction], Awaitable[None]]


class Push:
    """`introduction` is our message of this moment, `hear` is told what a peer says, `open_stream` opens one to a connected peer."""

    def __init__(
        self,
        peers: Peers,
        introduction: Callable[[], bytes],
        hear: Hear,
        open_stream: Callable[[PeerId], Awaitable[Stream]],
    ) -> None:
        self._peers = peers
        self._introduction = introduction
        self._hear = hear
        self._open = open_stream
        self._wanted = trio.Event()
        self._heard_at: dict[PeerId, float] = {}
        peers.on_gone.append(self._forget)

    def changed(self) -> None:
        """Our addresses are others than before."""
        self._wanted.set()

    def _forget(self, peer: PeerId) -> None:
        self._heard_at.pop(peer, None)

    async def run(self) -> None:
        """Tell connected peers what changes; for ever."""
        while True:
            await self._wanted.wait()
            await trio.sleep(BUNDLE_S)
            self._wanted = trio.Event()
            message = self._introduction()
            limit = trio.CapacityLimiter(TELL_PARALLEL)
            async with trio.open_nursery() as nursery:
                for peer in self._peers.speaking(identify.PUSH_PROTOCOL):
                    nursery.start_soon(self._tell, peer, message, limit)
            await trio.sleep(TELL_PAUSE_S)

    async def _tell(self, peer: PeerId, message: bytes, limit: trio.CapacityLimiter) -> None:
        async with limit:
            stream: Stream | None = None
            try:
                with trio.move_on_after(TELL_S):
                    stream = await self._open(peer)
                    await stream.send_all(message)
                    await stream.send_eof()
            except P2pnodeError as error:
                log.debug("%s was not told our addresses: %s", peer, error.message)
            finally:
                if stream is not None:
                    with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                        await stream.aclose()

    async def serve(self, stream: Stream) -> None:
        """One push. PeerError on nonsense, NetworkError if they come too often or not at all."""
        now = trio.current_time()
        if now - self._heard_at.get(stream.peer, float("-inf")) < HEAR_PAUSE_S:
            raise NetworkError("its addresses change too often")
        self._heard_at[stream.peer] = now
        with trio.move_on_after(HEAR_S):
            await self._hear(stream.peer, await identify.ask(stream))
            return
        raise NetworkError("a push without a word")
