"""The end of a relayed connection to a peer that is connected directly: when nothing runs on it any more, or after a grace.

New streams prefer the direct connection by themselves (`net.multistream`), gossip moves at once; what is left is transfers, and streams of
the DHT that are kept for a next question. Transfers end, or after GRACE_S they are cut and go on by new streams, since a circuit's limits
would end them anyway. Called by `punching`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import trio

from p2pnode.net.relay.circuit import moved_bytes

log = logging.getLogger("p2pnode.net")

LOOK_S = 2.0
QUIET_LOOKS = 5
"""Looks in a row without a stream, or with no more than QUIET_BYTES since the last: whoever answers takes no longer."""
QUIET_BYTES = 200
"""Pings of the muxer, sealed."""
GRACE_S = 60.0
"""For a transfer to finish on the relayed connection: 60 s at 10 Mbit/s are a quarter of what a circuit carries."""


async def retire(connection: Any, is_direct: Callable[[], bool]) -> None:
    """Close a relayed connection of libp2p. Nothing happens if the direct one goes first."""
    muxed = connection.muxed_conn
    quiet, before = 0, moved_bytes(muxed)
    with trio.move_on_after(GRACE_S):
        while quiet < QUIET_LOOKS and not muxed.is_closed:
            await trio.sleep(LOOK_S)
            now = moved_bytes(muxed)
            quiet = quiet + 1 if not muxed.streams or now - before <= QUIET_BYTES else 0
            before = now
    if is_direct() and not muxed.is_closed:
        log.info("the relayed connection to %s is not needed any more", muxed.peer_id)
        await connection.close()
