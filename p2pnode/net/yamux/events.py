"""What the engine tells of what it received. Called by `engine`; read by `connection`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream; `accept` or `reset` it."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class DataReceived:
    """At least one byte of a stream, in order. `consumed` gives the room back."""

    stream_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The peer has sent all it wanted to (FIN)."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The peer gave the stream up, both directions of it (RST)."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """The last event there is. Every stream that was not told to be ended is lost, however this came about.

    `code` is the peer's GO_AWAY reason; None if the connection broke, went silent, or the peer broke the protocol.
    """

    code: int | None
    reason: str


Event: TypeAlias = StreamOpened | DataReceived | StreamEnded | StreamReset | ConnectionEnded
