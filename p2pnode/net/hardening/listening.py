"""Mend: two nodes can listen on one port at once."""

from __future__ import annotations

import os
import socket
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

    tcp._set_reuse_flags = set_reuse_flags
