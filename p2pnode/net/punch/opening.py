"""Both sides open at once: TCP connections from the port we listen on, until one stands or the time is up.

Who opened is no sign of who is client then: the roles are agreed on beforehand (the specification's A is the client, B the server), and
Noise proves who is there. Called by `punching`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.net.addresses import peer_id, to_id
from p2pnode.net.punch.sources import source_for

log = logging.getLogger("p2pnode.net")

ROUND_S = 5.0
"""For one round: the first opening is often lost at a router that does not expect it yet, and is repeated after a second."""
AGAIN_S = 0.25
"""Pause after an opening that was refused."""

Take = Callable[[Any], Awaitable[None]]
"""Keeps an inbound connection of the muxer in its place until it ends; returns when it has begun to."""


async def open_at_once(
    swarm: Any, peer: PeerId, addresses: Sequence[str], *, client: bool, take: Take, is_there: Callable[[], bool]
) -> bool:
    """Whether a direct connection to `peer` stands, by these openings or, meanwhile, by any other way (`is_there`)."""
    with trio.move_on_after(ROUND_S):
        async with trio.open_nursery() as nursery:

            async def attempt(address: str) -> None:
                while not is_there():
                    try:
                        await _open(swarm, peer, address, client, take)
                        break
                    except OpenConnectionError as error:
                        log.debug("no opening to %s: %r", address, error)
                        await trio.sleep(AGAIN_S)
                    except Exception as error:  # the layers of libp2p have many, and the peer can cause each
                        log.debug("opening to %s came to nothing: %r", address, error)
                        return
                nursery.cancel_scope.cancel()

            for address in addresses:
                nursery.start_soon(attempt, address)
    return is_there()


async def _open(swarm: Any, peer: PeerId, address: str, client: bool, take: Take) -> None:
    where = Multiaddr(address)
    transport = swarm.transport_manager.transport_for_dialing(where)
    raw = await transport.dial_from(where, source_for(swarm, address))
    try:
        if client:
            connection = await swarm.upgrade_outbound_raw_conn(raw, to_id(peer))
            connection.muxed_conn.punched = True
            return
        muxed = await swarm.upgrade_inbound_raw_conn(RawConnection(raw.stream, False), where)
        if peer_id(muxed.peer_id) != peer:
            await muxed.close()
            raise ConnectionError("somebody else answers")
        muxed.punched = True
        await take(muxed)
    except BaseException:
        with trio.CancelScope(shield=True), trio.move_on_after(0.5):
            await raw.close()
        raise
