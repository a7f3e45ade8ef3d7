"""libp2p's TCP transport, with every connection on the node's two lines from its first byte. Made by `net.host`."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.tcp import tcp as upstream

from p2pnode.net.addresses import host_of
from p2pnode.net.beside import unanswered
from p2pnode.net.traffic import Traffic

TAKEN = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EINVAL, errno.EACCES)
"""From this port nothing can be opened to there: a connection is, or was a moment ago, or the system shares no ports."""
ADDRESS_PREFERENCES, LASTING = 72, 2
"""IPV6_ADDR_PREFERENCES of RFC 5014, in Linux's numbers."""


class MeteredTCP(upstream.TCP):  # type: ignore[misc]  # libp2p is not checked
    """Its connections are `net.socket`s: see `hardening.throughput`."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self._traffic = traffic

    async def dial(self, maddr: Any) -> Any:
        """A raw connection. libp2p's OpenConnectionError."""
        with self._counted():
            connection = await super().dial(maddr)
        connection.stream.meter(self._traffic)
        return connection

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """A dial that comes to nothing was on the wire, too."""
        began = trio.current_time()
        try:
            yield
        except BaseException:
            unanswered(self._traffic, trio.current_time() - began)
            raise

    async def dial_with_source(self, maddr: Any, source: tuple[str, int]) -> Any:
        """As `dial`, from a port of ours where that is possible, else from any."""
        try:
            return await self.dial_from(maddr, source)
        except OpenConnectionError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in TAKEN:
                return await self.dial(maddr)
            raise

    async def dial_from(self, maddr: Any, source: tuple[str, int] | None) -> Any:
        """As `dial`, from this port and no other (None: any). OpenConnectionError, with the OSError as its cause."""
        if source is None:
            return await self.dial(maddr)
        address = str(maddr)
        family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        opening = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            opening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                opening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                _prepare_ipv6(opening)
            await opening.bind(source)
            with self._counted():
                await opening.connect((host_of(address), int(address.split("/")[4])))
        except OSError as error:
            opening.close()
            raise OpenConnectionError(f"cannot open {address} from port {source[1]}") from error
        except BaseException:
            opening.close()
            raise
        connection = RawConnection(upstream.TrioTCPStream(trio.SocketStream(opening)), True)
        connection.stream.meter(self._traffic)
        return connection

    def create_listener(self, handler_function: Callable[[Any], Awaitable[None]]) -> Any:
        """A listener that gives raw connections to the handler."""

        async def handle(stream: Any) -> None:
            stream.meter(self._traffic)
            await handler_function(stream)

        return super().create_listener(handle)


def _prepare_ipv6(opening: Any) -> None:
    """Leave the same port of IPv4 alone, and call from the address that we tell to others, not from one that lasts a day."""
    opening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if sys.platform == "linux":
        opening.setsockopt(socket.IPPROTO_IPV6, ADDRESS_PREFERENCES, LASTING)
