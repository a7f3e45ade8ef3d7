"""What a peer asks of us on a stream: a frame, in time and well formed. Called by the services that answer requests of one frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import trio

from p2pnode.errors import DecodeError, PeerError
from p2pnode.ports import Network, Stream
from p2pnode.services.framing import receive_frame

T = TypeVar("T")

MALFORMED_POINTS: Final = 25
"""Penalty for a request that cannot be read: four of them ban."""


async def receive_request(
    network: Network, stream: Stream, decode: Callable[[bytes], T], what: str, *, limit: int, timeout_s: float
) -> T | None:
    """The next request, or None at a clean end and when nothing whole came in time. PeerError, and a penalty, if it is malformed."""
    frame = None
    with trio.move_on_after(timeout_s):
        frame = await receive_frame(stream, limit)
    if frame is None:
        return None
    try:
        return decode(frame)
    except DecodeError as error:
        network.penalise(stream.peer, MALFORMED_POINTS, f"{what}: {error.message}")
        raise PeerError(f"a malformed {what}: {error.message}") from error
