"""Messages behind an unsigned varint of their length, as libp2p's own protocols frame them (our protocols use services.framing)."""

from __future__ import annotations

from p2pnode.errors import NetworkError, PeerError
from p2pnode.ports import Stream

MAX_VARINT_BYTES = 5
"""Of a length: more than any limit here could need."""


async def receive_prefixed(stream: Stream, limit: int) -> bytes | None:
    """The next message of at most `limit` bytes, None at a clean end between messages. PeerError if it is larger."""
    length = shift = 0
    for position in range(MAX_VARINT_BYTES):
        byte = await stream.receive_some(1)
        if not byte:
            if position == 0:
                return None
            raise NetworkError("the peer ended the stream in the middle of a message")
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    else:
        raise PeerError("a message's length never ends")
    if length > limit:
        raise PeerError(f"a message of {length} bytes is over the limit of {limit}")
    data = bytearray()
    while len(data) < length:
        part = await stream.receive_some(length - len(data))
        if not part:
            raise NetworkError("the peer ended the stream in the middle of a message")
        data += part
    return bytes(data)
