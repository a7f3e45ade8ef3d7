"""Opening and closing the gateway while the node runs: off unless asked for, on 127.0.0.1 only, with a new token each time.

Called by the daemon (setting `gateway`) and by the methods of the control socket.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass

import trio

from p2pnode.errors import RefusedError
from p2pnode.gateway.access import Access
from p2pnode.gateway.routes import Routes
from p2pnode.gateway.server import Server
from p2pnode.ports import Json, Store
from p2pnode.services.background import contained
from p2pnode.services.reading import Reading

HOST = "127.0.0.1"
BACKLOG = 128
"""Connections that wait to be accepted."""


@dataclass(slots=True)
class _Open:
    port: int
    access: Access
    scope: trio.CancelScope


class Door:
    """The gateway of one node. Its connections live in `nursery`; `on_open` is called whenever it opens."""

    def __init__(
        self, store: Store, reading: Reading, nursery: trio.Nursery, on_open: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._reading, self._nursery, self._on_open = store, reading, nursery, on_open
        self._now: _Open | None = None

    def state(self) -> Json:
        """Whether it is open, and where."""
        if self._now is None:
            return {"open": False}
        url = f"http://{HOST}:{self._now.port}"
        return {
            "open": True,
            "url": f"{url}/{self._now.access.token}/",
            "port": self._now.port,
            "token": self._now.access.token,
        }

    async def open(self, port: int) -> Json:
        """Open it on that port (0: a free one), or tell where it is open. RefusedError if the port is taken, or another is open."""
        if self._now is not None:
            if port not in (0, self._now.port):
                raise RefusedError(
                    f"the gateway is open on port {self._now.port} already",
                    hint="close it first: p2pnode gateway --stop",
                )
            return self.state()
        listener = await listen_here(port)
        port = listener.socket.getsockname()[1]
        access = Access(port)
        server = Server(Routes(self._store, self._reading, access).answer)
        self._on_open()
        self._now = _Open(port, access, trio.CancelScope())
        self._nursery.start_soon(contained, self._run, self._now, server, listener)
        return self.state()

    async def close(self) -> Json:
        """Close it: its token and every address that was made with it are worth nothing from now on."""
        if self._now is not None:
            self._now.scope.cancel()
            self._now = None
        await trio.lowlevel.checkpoint()
        return self.state()

    async def _run(self, opened: _Open, server: Server, listener: trio.SocketListener) -> None:
        try:
            with opened.scope:
                await trio.serve_listeners(server.serve, [listener])
        finally:
            listener.socket.close()
            if self._now is opened:
                self._now = None


async def listen_here(port: int) -> trio.SocketListener:
    """Listen on 127.0.0.1. RefusedError if the port is taken."""
    sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await sock.bind((HOST, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        why = "another program uses it" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise RefusedError(f"port {port} cannot be opened: {why}", hint="give another --port, or none") from error
    return trio.SocketListener(sock)
