"""Mends of libp2p's swarm: inbound connections, and dialling."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import trio

log = logging.getLogger("p2pnode.net")

MAX_HANDSHAKES = 32
"""Inbound handshakes in flight: each costs a few ms of CPU and up to 10 s of patience. When there are more, the oldest one of the
host that has most of them makes room: whoever opens connections and says nothing keeps nobody else out."""

MAX_INBOUND_PER_HOST = 100
"""Inbound connections from one address, whatever names they have: of our 160, some always remain for the rest of the world."""


def hold_inbound_slot_while_connected() -> None:
    """Give an inbound slot back when its connection closes.

    Defect: after 250 inbound connections in its *lifetime* a node refuses every new one and leaks a task for each, because the
    handler waits for the end of the node instead of that of the connection (`network/swarm.py:1982, 2044, 2060`). Here it
    waits for the connection; and handshakes in flight are limited, which upstream they are not.
    """
    from libp2p.network.connection.raw_connection import RawConnection
    from libp2p.network.swarm import Swarm

    async def handle(self: Any, connection: Any, maddr: Any, failure_event: Any) -> None:
        handshakes: dict[trio.CancelScope, str] = self.__dict__.setdefault("_handshakes", {})
        if len(handshakes) >= MAX_HANDSHAKES:
            _make_room(handshakes)
        scope = trio.CancelScope()
        handshakes[scope] = _host(connection)
        muxed = None
        try:
            try:
                with scope:
                    muxed = await self.upgrade_inbound_raw_conn(RawConnection(connection, False), maddr)
            finally:
                handshakes.pop(scope, None)
            if muxed is not None:
                await _until_closed(self, muxed, _host(connection))
        except Exception as error:
            log.debug("an inbound connection failed: %r", error)
        finally:
            await connection.close()

    Swarm._do_handle_inbound_connection = handle


def _make_room(handshakes: dict[trio.CancelScope, str]) -> None:
    busiest, _ = Counter(handshakes.values()).most_common(1)[0]
    oldest = next(scope for scope, host in handshakes.items() if host == busiest)
    del handshakes[oldest]
    oldest.cancel()


async def _until_closed(swarm: Any, muxed: Any, host: str) -> None:
    """Wait for the end of a connection, which comes at once if its host has too many."""
    inbound: Counter[str] = swarm.__dict__.setdefault("_inbound_by_host", Counter())
    if inbound[host] >= MAX_INBOUND_PER_HOST:
        await muxed.close()
        return
    inbound[host] += 1
    try:
        await muxed.event_closed.wait()
    finally:
        inbound[host] -= 1
        if not inbound[host]:
            del inbound[host]


def _host(connection: Any) -> str:
    address = connection.get_remote_address()
    return address[0] if address else ""


def never_dial_from_inside() -> None:
    """Leave dialling to `net.dial`.

    Defect: `Swarm.dial_peer` tries only the first TCP address, has no deadline, then blacklists the peer for 60 s
    (`network/swarm.py:92, 889, 936`); libp2p's services call it behind our back. Here it only hands out live connections.
    """
    from libp2p.network.exceptions import SwarmException
    from libp2p.network.swarm import Swarm

    async def dial_peer(self: Any, peer: Any) -> list[Any]:
        live = [connection for connection in self.get_connections(peer) if not connection.is_closed]
        if not live:
            raise SwarmException(f"not connected to {peer}")
        return live

    Swarm.dial_peer = dial_peer
