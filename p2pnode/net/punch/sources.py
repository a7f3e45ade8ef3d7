"""From which port we call: the one we listen on, so that a router maps both to the same port outside and what others see of us holds.

Only towards the internet: near peers need no mapping, and two of them that call each other at once would meet in the middle, where
each takes itself for the caller. Used by `net.dial` and `opening`.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from p2pnode.net.addresses import host_of
from p2pnode.net.punch.rules import public_ip

Source = tuple[str, int]


def source_for(swarm: Any, address: str) -> Source | None:
    """(IP address, port) to call `address` from, None if any will do."""
    target = public_ip(address)
    if target is None:
        return None
    for listener in swarm.listeners.values():
        for bound in map(str, listener.get_addrs()):
            ip = ipaddress.ip_address(host_of(bound))
            if ip.version == target.version and (ip.is_unspecified or not ip.is_loopback):
                return str(ip), int(bound.split("/")[4])
    return None
