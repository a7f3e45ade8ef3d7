"""Sees when this machine is somewhere else: a laptop is carried to another network, a VPN comes up or goes.

By looking at the interfaces every few seconds, which works on every system and costs half a millisecond. Connections from an address
that is gone are cut at once: else each would be found dead only by the pings. Run by `outside`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import ifaddr
import trio

from p2pnode.net.relay.circuit import is_relayed

log = logging.getLogger("p2pnode.net")

LOOK_S = 3.0
SETTLE_S = 1.0
"""After a change: addresses come one after the other, and routes after them."""
CUT_S = 0.5


def interface_addresses() -> frozenset[str]:
    """All IP addresses of this machine, without zones."""
    found = (ip.ip if isinstance(ip.ip, str) else ip.ip[0] for adapter in ifaddr.get_adapters() for ip in adapter.ips)
    return frozenset(address.partition("%")[0] for address in found)


class Watch:
    """`moved` is awaited after each change, when the connections that it ended are cut."""

    def __init__(
        self,
        swarm: Any,
        moved: Callable[[], Awaitable[None]],
        addresses: Callable[[], frozenset[str]] = interface_addresses,
    ) -> None:
        self._swarm = swarm
        self._moved = moved
        self._addresses = addresses

    async def run(self) -> None:
        """For ever."""
        before = self._addresses()
        while True:
            await trio.sleep(LOOK_S)
            if self._addresses() == before:
                continue
            await trio.sleep(SETTLE_S)
            now = self._addresses()
            if now == before:
                continue
            log.info("addresses of this machine came (%d) and went (%d)", len(now - before), len(before - now))
            before = now
            await self._cut(now)
            await self._moved()

    async def _cut(self, there: frozenset[str]) -> None:
        for connection in list(self._swarm.get_connections()):
            host = local_host(connection.muxed_conn)
            if host and host not in there:
                with trio.move_on_after(CUT_S):
                    await connection.muxed_conn.secured_conn.close()


def local_host(muxed: Any) -> str:
    """The IP address at our end of a direct connection, "" if it is relayed or gone."""
    if is_relayed(muxed):
        return ""
    return str(getattr(muxed.secured_conn.conn.stream, "local_host", "")).partition("%")[0]
