"""Addresses and peer IDs in the binary form in which peers send them, without the detour over libp2p's general parser.

A look-up's answer has some twenty peers with eight addresses each, and strangers choose them: the general parser spends 75 us on one, 50 ms
on the worst answer. Only what this node could dial is read: TCP behind an IP address or a name, perhaps through a relay.
Called by `net.addresses` and `net.kad.wire`.
"""

from __future__ import annotations

import re
import socket
from functools import lru_cache

from libp2p.peer.id import ID
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId

KEPT = 4096
"""Peer IDs and addresses whose other form is remembered, about 1 MB a kind: the same ones come again and again."""

_IP4, _IP6, _TCP = b"\x04", b"\x29", b"\x06"
_NAMES = {b"\x35": "dns", b"\x36": "dns4", b"\x37": "dns6"}
_P2P, _CIRCUIT = b"\xa5\x03", b"\xa2\x02"
_NAME = re.compile(rb"[A-Za-z0-9._-]{1,120}")
_LONGEST = 220
"""Bytes of the longest address that is read: a name, a port and a relay."""


@lru_cache(KEPT)
def peer_of(data: bytes) -> PeerId:
    """The text of a peer ID's bytes, whatever they are."""
    return PeerId(ID(data).to_base58())


@lru_cache(KEPT)
def bytes_of(peer: PeerId) -> bytes:
    """The bytes of a peer ID that is known to be one."""
    return bytes(ID.from_base58(peer).to_bytes())


@lru_cache(KEPT)
def binary_of(address: str) -> bytes:
    """A multiaddr for the wire. `address` is one that `net.addresses` let pass."""
    return bytes(Multiaddr(address).to_bytes())


def text_of(data: bytes) -> str | None:
    """The address without a final /p2p/ID, None if it is not one that could be dialled. Any bytes are welcome."""
    if len(data) > _LONGEST:
        return None
    host, at = _host(data)
    if host is None or data[at : at + 1] != _TCP or len(data) < at + 3:
        return None
    port = int.from_bytes(data[at + 1 : at + 3], "big")
    if not port:
        return None
    return _relayed(f"{host}/tcp/{port}", data[at + 3 :])


def _host(data: bytes) -> tuple[str | None, int]:
    """(/family/host, where the rest begins)"""
    kind = data[:1]
    if kind == _IP4 and len(data) >= 5 and any(data[1:5]):
        return f"/ip4/{socket.inet_ntop(socket.AF_INET, data[1:5])}", 5
    if kind == _IP6 and len(data) >= 17 and any(data[1:17]):
        return f"/ip6/{socket.inet_ntop(socket.AF_INET6, data[1:17])}", 17
    if kind in _NAMES and len(data) >= 2:
        name = data[2 : 2 + data[1]]
        if len(name) == data[1] and _NAME.fullmatch(name):
            return f"/{_NAMES[kind]}/{name.decode('ascii')}", 2 + data[1]
    return None, 0


def _relayed(address: str, rest: bytes) -> str | None:
    """What stands behind host and port: nothing, the peer itself, or a relay and perhaps the peer."""
    if not rest:
        return address
    relay, rest = _peer(rest)
    if relay is None:
        return None
    if not rest:
        return address
    if rest[:2] != _CIRCUIT:
        return None
    peer, end = _peer(rest[2:]) if rest[2:] else (b"", b"")
    return None if peer is None or end else f"{address}/p2p/{peer_of(relay)}/p2p-circuit"


def _peer(data: bytes) -> tuple[bytes | None, bytes]:
    """(a peer ID, the rest)"""
    if data[:2] != _P2P or len(data) < 3 or len(data) < 3 + data[2] or data[2] not in (34, 38):
        return None, b""
    return data[3 : 3 + data[2]], data[3 + data[2] :]
