"""Cutting a stream's bytes into frames with a varint length before each. One per stream; never holds more than one frame."""

from __future__ import annotations

from collections.abc import Iterator

from p2pnode.errors import PeerError

MAX_FRAME_BYTES = 1 << 20
"""One frame, which may carry several messages: libp2p's usual limit."""
MAX_VARINT_BYTES = 5


class FrameReader:
    """`feed` gives the frames that are whole. PeerError for a length that is over the limit or never ends."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def size(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while (head := _length(buffer, at)) is not None:
                begin, length = head
                if len(buffer) < begin + length:
                    break
                at = begin + length
                yield bytes(memoryview(buffer)[begin:at])
        finally:
            if at:
                del buffer[:at]


def _length(buffer: bytearray, at: int) -> tuple[int, int] | None:
    """(where the body begins, its length); None if the length is not whole yet."""
    length = shift = 0
    for position in range(at, min(len(buffer), at + MAX_VARINT_BYTES)):
        byte = buffer[position]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            if length > MAX_FRAME_BYTES:
                raise PeerError(f"a gossip frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
            return position + 1, length
        shift += 7
    if len(buffer) - at >= MAX_VARINT_BYTES:
        raise PeerError("a gossip frame's length never ends")
    return None
