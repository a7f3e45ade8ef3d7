"""Whom we let ourselves be told to call. Pure.

A peer that asks for a hole names addresses, and we send openings there: it must not make us knock at doors in our own network, at
servers of third parties, or at many doors. Used by `punching` for what peers name and for what we name ourselves.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from p2pnode.net.addresses import host_of, is_circuit

MAX_ADDRESSES = 4
"""Called of one peer in one round, and told of ourselves."""
LEAST_PORT = 1024
"""Ports below belong to servers of others; no router maps a node to one by itself."""


def punchable(addresses: Iterable[str]) -> list[str]:
    """Those that a peer may have us call: public IP addresses, at most one of IPv4 and one of IPv6, ports from LEAST_PORT up."""
    hosts: dict[int, str] = {}
    kept: dict[str, None] = {}
    for address in addresses:
        ip = public_ip(address)
        if ip is None or int(address.split("/")[4]) < LEAST_PORT:
            continue
        if hosts.setdefault(ip.version, str(ip)) == str(ip) and len(kept) < MAX_ADDRESSES:
            kept[address] = None
    return list(kept)


def public_ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address in a multiaddr, if the whole internet would find it there; None for names, circuits and everything local."""
    if is_circuit(address) or not address.startswith(("/ip4/", "/ip6/")):
        return None
    try:
        ip = ipaddress.ip_address(host_of(address))
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo):
        return None  # another address inside: it may be any
    return ip if ip.is_global and not ip.is_multicast else None
