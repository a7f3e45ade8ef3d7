"""libp2p's TCP transport, with every connection on the node's two lines from its first byte. Made by `net.host`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from libp2p.transport.tcp.tcp import TCP

from p2pnode.net.traffic import Traffic


class MeteredTCP(TCP):  # type: ignore[misc]  # libp2p is not checked
    """Its connections are `net.socket`s: see `hardening.throughput`."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self._traffic = traffic

    async def dial(self, maddr: Any) -> Any:
        """A raw connection. libp2p's OpenConnectionError."""
        connection = await super().dial(maddr)
        connection.stream.meter(self._traffic)
        return connection

    def create_listener(self, handler_function: Callable[[Any], Awaitable[None]]) -> Any:
        """A listener that gives raw connections to the handler."""

        async def handle(stream: Any) -> None:
            stream.meter(self._traffic)
            await handler_function(stream)

        return super().create_listener(handle)
