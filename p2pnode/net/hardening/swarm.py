"""Mends of libp2p's swarm: inbound connections, and dialling."""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import Any

import trio

from p2pnode.net.places import Origin, Place, Places, origin_of

log = logging.getLogger("p2pnode.net")

MAX_HANDSHAKES = 32
"""Inbound handshakes in flight: each costs a few ms of CPU and up to 10 s of patience. When there are more, the oldest one of the
range of addresses that has most of them makes room: whoever opens connections and says nothing keeps nobody else out."""

CAME_KEPT = 256
"""Latest inbound connections that are remembered (from which range of addresses, when): who says that he dialled us back has one."""


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
        places: Places = self.__dict__.setdefault("_places", Places())
        if len(handshakes) >= MAX_HANDSHAKES:
            _make_room(handshakes)
        origin = origin_of(_host(connection))
        came = self.__dict__.setdefault("_came", deque(maxlen=CAME_KEPT))
        came.append((origin.range, trio.current_time()))
        scope = trio.CancelScope()
        handshakes[scope] = origin.host if origin.near else origin.range
        muxed = None
        try:
            try:
                with scope:
                    muxed = await self.upgrade_inbound_raw_conn(RawConnection(connection, False), maddr)
            finally:
                handshakes.pop(scope, None)
            if muxed is not None:
                await until_closed(muxed, places, origin)
        except Exception as error:
            log.debug("an inbound connection failed: %r", error)
        finally:
            await connection.close()

    Swarm._do_handle_inbound_connection = handle


def _make_room(handshakes: dict[trio.CancelScope, str]) -> None:
    busiest, _ = Counter(handshakes.values()).most_common(1)[0]
    oldest = next(scope for scope, origin in handshakes.items() if origin == busiest)
    del handshakes[oldest]
    oldest.cancel()


async def until_closed(muxed: Any, places: Places, origin: Origin) -> None:
    """Wait for the end of a connection, which comes at once if there is no place for it, and when it must make room."""
    evicted = trio.CancelScope()
    place = Place(muxed.peer_id, origin, trio.current_time(), evicted.cancel)
    if not places.take(place, trio.current_time()):
        await muxed.close()
        return
    try:
        with evicted:
            await muxed.event_closed.wait()
    finally:
        places.leave(place)
    if place.given_up:
        log.info("the connection of %s makes room for another", muxed.peer_id)
        await muxed.close()


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


def hand_streams_on() -> None:
    """Give a stream that a peer opened to the host's handler as it is.

    Defect: each stream gets an object with five locks, and a nursery with a task for each who listens, to tell him of it; once more at
    its end (`network/connection/swarm_connection.py:279`, `network/swarm.py:3195`). Nobody here listens to that.
    """
    from libp2p.network.connection.swarm_connection import SwarmConn

    async def handle(self: Any, stream: Any) -> None:
        await self.swarm.common_stream_handler(stream)

    SwarmConn._handle_muxed_stream = handle
