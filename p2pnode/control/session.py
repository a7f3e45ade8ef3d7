"""What both clients know: ids of requests, which message belongs to which, and that the daemon speaks our version.

No I/O; the blocking and the asyncio client feed it lines and send the bytes it gives.
"""

from __future__ import annotations

from typing import Any

from p2pnode.control import codec
from p2pnode.control.codec import Answer, Event, Failure, FromServer, Hello, Items
from p2pnode.control.endpoint import Endpoint, TcpEndpoint
from p2pnode.errors import NetworkError, P2pnodeError


def greeting(endpoint: Endpoint) -> bytes:
    """What a client sends before anything else."""
    return codec.encode(codec.Token(endpoint.token)) if isinstance(endpoint, TcpEndpoint) else b""


def check_hello(message: FromServer) -> Hello:
    """The daemon's first message, if it is a hello of our version; the error to raise otherwise."""
    if isinstance(message, Failure):
        raise message.to_error()
    if not isinstance(message, Hello):
        raise NetworkError("what listens at the control socket is no p2pnode")
    if message.api != codec.API:
        raise P2pnodeError(
            f"the daemon ({message.version}) speaks version {message.api} of the control language, this program {codec.API}",
            hint="stop it and start it again: p2pnode stop",
        )
    return message


def encode_request(id: int, method: str, params: dict[str, Any]) -> bytes:
    """A request's line. P2pnodeError when it is longer than a line may be."""
    line = codec.encode(codec.Request(id, method, params))
    if len(line) > codec.MAX_LINE_BYTES:
        raise P2pnodeError(f"the request has {len(line)} bytes, the limit is {codec.MAX_LINE_BYTES}")
    return line


TUNNEL = "device.tunnel"
"""The method that turns a connection into a tunnel to another machine; like `events.subscribe` it is the server's own."""
TUNNEL_TIMEOUT_S = 30.0
"""For finding the other machine, dialling it and its greeting."""
TUNNEL_ID = 1
"""The request's number: it is the first of a connection."""


def encode_tunnel(device: str) -> bytes:
    """Ask one's own daemon for a tunnel to a device; nothing else may be sent before its answer."""
    return encode_request(TUNNEL_ID, TUNNEL, {"device": device})


def check_tunnel(message: FromServer) -> bool:
    """Whether the tunnel is open; False for a message about something else. Raises what the daemon answered otherwise."""
    if isinstance(message, Failure) and message.id in (TUNNEL_ID, None):
        raise message.to_error()
    return isinstance(message, Answer) and message.id == TUNNEL_ID


def lost(device: str) -> NetworkError:
    """What to raise when the way to another machine ends."""
    return NetworkError(
        f"the connection to {device} ended",
        hint="it went away, or it lets this machine drive it no more: p2pnode device list",
    )


class Pending:
    """One request that waits for its answer: joins the parts of a long one."""

    def __init__(self) -> None:
        self._items: list[Any] = []

    def take(self, message: FromServer) -> dict[str, Any] | None:
        """The result once it is whole; None while more comes. Raises the error the daemon answered with."""
        if isinstance(message, Items):
            self._items += message.items
        elif isinstance(message, Failure):
            raise message.to_error()
        elif isinstance(message, Answer):
            if self._items:
                message.result["items"] = self._items + message.result.get("items", [])
            return message.result
        return None


def id_of(message: FromServer) -> int | None:
    """The request a message belongs to; None for one about the connection."""
    return message.id if isinstance(message, (Event, Items, Answer, Failure)) else None
