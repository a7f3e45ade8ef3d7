"""Traffic that no connection of ours carries: questions to the router, announcements in the local network, dials that nobody answers.

It is little, and counted at the socket like all else, with the headers that an interface counts; it is never held back. Whose node a
task belongs to is in its context (`counted_by`, set once when a network starts): the parts that ask routers know no network. Called by
`net.nat`, `net.lan` and `net.tcp`.
"""

from __future__ import annotations

import socket
from contextvars import ContextVar
from math import log2
from typing import Final, cast

import trio

from p2pnode.net.traffic import Traffic, overhead

ROUTER: Final = "questions to the router"
LOCAL: Final = "announcements in the local network"
DIALS: Final = "dials that nobody answered"
SYN_BYTES: Final = 14 + 20 + 40
"""Of the segment that opens a TCP connection: Ethernet, IPv4, TCP with its options."""
DATAGRAM_HEADER_BYTES: Final = 14 + 20 + 8
"""Of a datagram over IPv4: Ethernet, IP and UDP."""

_traffic: ContextVar[Traffic | None] = ContextVar("traffic beside connections", default=None)


def counted_by(traffic: Traffic) -> None:
    """What this task and those that it starts send beside connections is counted there from now on."""
    _traffic.set(traffic)


def meter_of_task() -> Traffic | None:
    """Where what this task sends is counted, for a thread or a transport that has no context of its own."""
    return _traffic.get()


def datagram(*, sent: int | None = None, came: int | None = None, kind: str = ROUTER) -> None:
    """One UDP datagram of so many bytes went or came."""
    if (traffic := _traffic.get()) is not None:
        traffic.beside(kind, *(0 if size is None else size + DATAGRAM_HEADER_BYTES for size in (sent, came)))


def unanswered(traffic: Traffic, seconds: float) -> None:
    """A dial was given up after so long: the kernel opens once at the start, again after a second, and after twice as long each time."""
    traffic.beside(DIALS, SYN_BYTES * (1 + int(log2(1 + max(0.0, seconds)))), 0)


def exchange(stream: trio.SocketStream, sent: int, came: int, kind: str = ROUTER) -> None:
    """A TCP connection of the task's own is about to be closed that carried so much."""
    if (traffic := _traffic.get()) is not None:
        cost = overhead(cast(socket.socket, stream.socket), sent, came)
        traffic.beside(kind, sent + cost.up + cost.again, came + cost.down + cost.unread)
