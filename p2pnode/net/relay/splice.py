"""What flows through a relay: two streams joined, within a circuit's limits. Called by `hop`."""

from __future__ import annotations

from collections.abc import Callable

import trio

from p2pnode.errors import NetworkError
from p2pnode.net.relay.messages import Limit
from p2pnode.ports import Stream

PIECE_BYTES = 64 << 10
"""Carried at once in one direction: what one Noise message holds."""
GIVE_UP_S = 0.5
"""For the resets of a circuit that is cut."""


async def splice(left: Stream, right: Stream, limit: Limit, count: Callable[[int], None] = lambda count: None) -> None:
    """Carry bytes both ways until both sides have ended. NetworkError if one broke or the limit is reached: both are reset."""
    failure: list[NetworkError] = []

    async def carry(source: Stream, sink: Stream) -> None:
        carried = 0
        try:
            while data := await source.receive_some(PIECE_BYTES):
                carried += len(data)
                count(len(data))
                if limit.data_bytes and carried > limit.data_bytes:
                    raise NetworkError(f"a circuit carried its {limit.data_bytes} bytes")
                await sink.send_all(data)
            await sink.send_eof()
        except NetworkError as error:
            failure.append(error)
            nursery.cancel_scope.cancel()

    done = False
    try:
        with trio.move_on_after(limit.duration_s or float("inf")) as patience:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(carry, left, right)
                nursery.start_soon(carry, right, left)
        if patience.cancelled_caught:
            failure.append(NetworkError(f"a circuit lived its {limit.duration_s} s"))
        if failure:
            raise failure[0]
        done = True
    finally:
        if not done:
            with trio.CancelScope(shield=True), trio.move_on_after(GIVE_UP_S):
                await left.reset()
                await right.reset()
