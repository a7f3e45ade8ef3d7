"""Length-prefixed frames on a Stream: four bytes of length, big-endian, then that many bytes. Every protocol of ours uses them."""

from __future__ import annotations

import struct

from p2pnode.errors import NetworkError, PeerError
from p2pnode.ports import Stream

HEAD = struct.Struct(">I")


async def send_frame(stream: Stream, payload: bytes) -> None:
    """One frame in one write."""
    await stream.send_all(HEAD.pack(len(payload)) + payload)


async def receive_exactly(stream: Stream, count: int) -> bytes:
    """`count` bytes. NetworkError when the stream ends before."""
    parts = bytearray()
    while len(parts) < count:
        part = await stream.receive_some(count - len(parts))
        if not part:
            raise NetworkError("the peer ended the stream in the middle of a message")
        parts += part
    return bytes(parts)


async def receive_frame(stream: Stream, limit: int) -> bytes | None:
    """The next frame, or None at a clean end between frames. PeerError when it is larger than `limit` bytes."""
    first = await stream.receive_some(HEAD.size)
    if not first:
        return None
    if len(first) < HEAD.size:
        first += await receive_exactly(stream, HEAD.size - len(first))
    (length,) = HEAD.unpack(first)
    if length > limit:
        raise PeerError(f"a message of {length} bytes is over the limit of {limit}")
    return await receive_exactly(stream, length)
