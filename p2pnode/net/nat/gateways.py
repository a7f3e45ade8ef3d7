"""What a router that forwards ports, or opens them in its firewall, looks like to `mapping`, and where the router is.

Only addresses of local networks are ever asked: a route that points into the internet is nobody who forwards ports for us.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import ifaddr

from p2pnode.net.addresses import is_near_ip

ROUTES = Path("/proc/net/route")
"""Linux's table of IPv4 routes."""
ROUTES6 = Path("/proc/net/ipv6_route")
"""Of IPv6."""
MAX_GATEWAYS = 2
"""Asked: one of each cable and radio; more is a machine that knows better."""
_UP, _GATEWAY = 0x1, 0x2


@dataclass(frozen=True, slots=True)
class Mapping:
    """A port outside that leads to ours. `life_s` from now; `address` may be private: then another router stands before this one."""

    address: str
    outside: int
    inside: int
    life_s: int


class Gateway(Protocol):
    """A router that was found. Every method raises NetworkError and nothing else."""

    @property
    def kind(self) -> str:
        """How it is spoken to, for people."""
        ...

    async def map(self, inside: int, outside: int) -> Mapping:
        """Lead a port to `inside`, if it may be `outside`; the same again renews it."""
        ...

    async def holds(self, mapping: Mapping) -> bool:
        """Whether it is still so: the same address, no restart since."""
        ...

    async def unmap(self, mapping: Mapping) -> None: ...


def gateways() -> list[str]:
    """IPv4 addresses of the routers of this machine, most likely first."""
    try:
        found = parse_routes(ROUTES.read_text("ascii", "replace"))
    except OSError:  # not Linux: routers of homes have the first address of their network
        found = [
            str(next(ipaddress.ip_network(f"{ip}/{bits}", strict=False).hosts())) for ip, bits in local_addresses()
        ]
    return [address for address in dict.fromkeys(found) if is_near_ip(address)][:MAX_GATEWAYS]


def parse_routes(text: str) -> list[str]:
    """The gateways of default routes in /proc/net/route, the least metric first."""
    routes: list[tuple[int, str]] = []
    for line in text.splitlines()[1:]:
        parts = line.split()
        try:
            destination, gateway, flags, metric, mask = (int(parts[at], 16) for at in (1, 2, 3, 6, 7))
        except (ValueError, IndexError):
            continue
        if not destination and not mask and flags & _UP and flags & _GATEWAY:
            routes.append((metric, str(ipaddress.IPv4Address(struct.pack("=I", gateway)))))
    return [gateway for _, gateway in sorted(routes)]


def gateways6() -> list[str]:
    """As `gateways`, by IPv6: link-local addresses with their zones. None where there is no such table."""
    try:
        found = parse_routes6(ROUTES6.read_text("ascii", "replace"))
    except OSError:
        return []
    return [address for address in dict.fromkeys(found) if is_near_ip(address.partition("%")[0])][:MAX_GATEWAYS]


def parse_routes6(text: str) -> list[str]:
    """The gateways of default routes in /proc/net/ipv6_route, the least metric first."""
    routes: list[tuple[int, str]] = []
    for parts in map(str.split, text.splitlines()):
        try:
            destination, bits, gateway, metric, flags = (int(parts[at], 16) for at in (0, 1, 4, 5, 8))
            address = ipaddress.IPv6Address(gateway)
        except (ValueError, IndexError):
            continue
        if not destination and not bits and flags & _UP and flags & _GATEWAY and len(parts) > 9:
            routes.append((metric, f"{address}%{parts[9]}" if address.is_link_local else str(address)))
    return [gateway for _, gateway in sorted(routes)]


def local_addresses() -> list[tuple[str, int]]:
    """(IPv4 address, bits of its network) of each interface in a local network, without loopback."""
    found = [
        (ip.ip, ip.network_prefix) for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)
    ]
    return [(ip, bits) for ip, bits in found if is_near_ip(ip) and not ip.startswith("127.") and bits < 31]
