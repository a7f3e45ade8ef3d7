"""Yamux frames as bytes: twelve bytes of header, and for data frames a body (specification /yamux/1.0.0).

This file knows what a frame looks like and which ones cannot be; it knows nothing of streams. It never keeps a body: bytes are
handed on as they arrive, so that a frame which never ends costs nothing. Called by `engine`.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

VERSION: Final = 0
DATA: Final = 0
WINDOW_UPDATE: Final = 1
PING: Final = 2
GO_AWAY: Final = 3

SYN: Final = 1
ACK: Final = 2
FIN: Final = 4
RST: Final = 8

NORMAL: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2

HEADER_BYTES: Final = 12
MESSAGE_BYTES: Final = 65_519
"""What one Noise message carries (65,535 less 16 of its tag): a frame cut to fit it is sealed, sent and opened in one piece."""
BODY_BYTES: Final = MESSAGE_BYTES - HEADER_BYTES
"""The longest body that we send."""
MAX_BODY_BYTES: Final = 16 << 20
"""The longest body that we take: no window is larger."""
MAX_UINT32: Final = (1 << 32) - 1

_HEADER = Struct("!BBHII")


class ProtocolError(Exception):
    """The peer broke the rules of Yamux. The connection ends with GO_AWAY; the text is for our log."""


class Piece(NamedTuple):
    """A frame, or as much of its body as has arrived: `first` with its header, `last` with the end of its body."""

    kind: int
    flags: int
    stream_id: int
    length: int
    body: bytes
    first: bool
    last: bool


def encode(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    """A header. `length` is the body's length, the credit, the ping's value or the reason to go away."""
    return _HEADER.pack(VERSION, kind, flags, stream_id, length)


class FrameReader:
    """Cuts a byte stream into pieces of frames; keeps at most eleven bytes."""

    def __init__(self) -> None:
        self._head = b""
        self._frame = (0, 0, 0, 0)
        self._left = 0  # of the body that is being read

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Every piece in `data`, in order. ProtocolError at the first frame that cannot be."""
        if self._head:
            data = self._head + data
            self._head = b""
        at, end = 0, len(data)
        while at < end:
            if first := not self._left:
                if end - at < HEADER_BYTES:
                    self._head = data[at:]
                    return
                self._frame = _decode(data, at)
                at += HEADER_BYTES
                self._left = self._frame[3] if self._frame[0] == DATA else 0
            body = data[at : at + self._left]
            at += len(body)
            self._left -= len(body)
            yield Piece(*self._frame, body, first, not self._left)


def _decode(data: bytes, at: int) -> tuple[int, int, int, int]:
    version, kind, flags, stream_id, length = _HEADER.unpack_from(data, at)
    if version != VERSION:
        raise ProtocolError(f"version {version}")
    if kind > GO_AWAY:
        raise ProtocolError(f"frame type {kind}")
    if kind == DATA and length > MAX_BODY_BYTES:
        raise ProtocolError(f"a frame of {length} bytes")
    if kind <= WINDOW_UPDATE and not stream_id:
        raise ProtocolError("stream 0")
    return kind, flags, stream_id, length
