"""Mend of what makes libp2p slow at the socket. The other half, between socket and muxer, is `net.noise`."""

from __future__ import annotations

from p2pnode.net.socket import Socket


def use_our_sockets() -> None:
    """One system call for many messages.

    Defect: every Noise message costs two calls to receive, one of them for two bytes, and a lock, two copies and a turn of the event
    loop (`io/trio.py:41, 62`, `io/msgio.py:44, 61`). libp2p's transport makes its connections by this name.
    """
    from libp2p.transport.tcp import tcp

    tcp.TrioTCPStream = Socket
