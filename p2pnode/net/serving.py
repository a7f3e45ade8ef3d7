"""Protocols that this node answers: each stream of a peer is counted, contained, and closed or reset when its handler ends.

A peer that breaks a protocol's rules is penalised here, whatever the protocol's own service adds; what is a bug of ours is logged and ends
that stream only. Called by `net.network`; knows nothing of what is said on a stream, except PING, which is a loop of three lines.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.net.addresses import peer_id
from p2pnode.net.failures import say_failed
from p2pnode.net.ledger import Ledger
from p2pnode.net.stream import Libp2pStream
from p2pnode.ports import Stream

log = logging.getLogger("p2pnode.net")

PING_PROTOCOL, PING_BYTES = "/ipfs/ping/1.0.0", 32
PING_STREAM_S = 300.0
"""A ping stream lives this long, then the other side opens another."""
BROKEN_RULE_POINTS = 5
"""For any stream on which a peer broke its protocol's rules, whatever its service adds: twenty of them are no accident."""

Handle = Callable[[Libp2pStream], Awaitable[None]] | Callable[[Stream], Awaitable[None]]


class Served:
    """What `host` answers; what lingers after a stream was closed runs in `nursery`."""

    def __init__(
        self, host: Any, nursery: trio.Nursery, penalise: Callable[[PeerId, int, str], None], ledger: Ledger
    ) -> None:
        self._host, self._nursery, self._penalise, self._ledger = host, nursery, penalise, ledger
        self._counts: dict[str, dict[PeerId, int]] = {}

    def serve(self, protocol: str, handle: Handle, *, streams_per_peer: int) -> None:
        """Answer from now on; streams of one peer beyond that many at a time are reset."""
        counts = self._counts.setdefault(protocol, {})

        async def handler(raw: Any) -> None:
            raw.count_as(self._ledger.of(protocol))
            peer = peer_id(raw.muxed_conn.peer_id)
            stream = Libp2pStream(raw, peer, self._nursery)
            if counts.get(peer, 0) >= streams_per_peer:
                await stream.reset()
                return
            counts[peer] = counts.get(peer, 0) + 1
            try:
                await self._contained(protocol, handle, stream)
            finally:
                counts[peer] -= 1
                if not counts[peer]:
                    del counts[peer]

        self._host.set_stream_handler(protocol, handler)

    def unserve(self, protocol: str) -> None:
        """Answer no more; streams that are open go on."""
        self._counts.pop(protocol, None)
        self._host.multiselect.handlers.pop(protocol, None)

    def protocols(self) -> list[str]:
        """Everything that is answered, the library's own too."""
        return [str(protocol) for protocol in self._host.multiselect.handlers if protocol is not None]

    async def _contained(self, protocol: str, handle: Handle, stream: Libp2pStream) -> None:
        try:
            await handle(stream)
            await stream.aclose()
        except (NetworkError, DecodeError) as error:
            log.info("%s with %s ended: %s", protocol, stream.peer, error.message)
            if isinstance(error, (PeerError, DecodeError)):
                self._penalise(stream.peer, BROKEN_RULE_POINTS, f"{protocol}: {error.message}")
            await stream.reset()
        except Exception as error:
            say_failed(log, f"{protocol} with {stream.peer}", error)
            await stream.reset()


async def serve_ping(stream: Stream) -> None:
    """What comes goes back."""
    with trio.move_on_after(PING_STREAM_S):
        while data := await stream.receive_some(PING_BYTES):
            await stream.send_all(data)
