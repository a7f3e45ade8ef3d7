"""Mend: two nodes can listen on one port at once. What the defect was good for, we do otherwise: see `share_port`."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any


def listen_exclusively() -> None:
    """Refuse a port that another process listens on.

    Defect: `transport/tcp/tcp.py:57` sets SO_REUSEPORT on every listener (for hole punching), so a second node binds the same
    port without an error and the kernel deals connections to either at random.
    """
    from libp2p.transport.tcp import tcp

    def set_reuse_flags(sock: Any) -> None:
        if os.name == "posix":  # elsewhere SO_REUSEADDR means what SO_REUSEPORT means here
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:  # else `::` takes the port of IPv4 too, and nobody can listen on both
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)

    tcp._set_reuse_flags = set_reuse_flags


def share_port(listener: Any) -> None:
    """Let this node open connections from the port that it listens on (`net.punch.sources`), once it has it for itself: another
    process that wants to listen there does not share, and is refused."""
    for one in listener.listeners:
        if hasattr(socket, "SO_REUSEPORT"):
            with suppress(OSError):
                one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
