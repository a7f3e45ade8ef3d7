"""HTTP/1.1 on the loopback interface: h11 reads and writes the protocol, this file moves its bytes on trio and keeps the limits.

One request after another on a connection, no bodies, no upgrades. A client that is slow to ask or to take is cut; one beyond the limit is
told to come back. What a handler does not foresee is a 500 and a line in the log. Called by gateway.door.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from email.utils import formatdate

import h11
import trio

from p2pnode.errors import P2pnodeError
from p2pnode.gateway.messages import BadTarget, Request, Response, read_request
from p2pnode.gateway.pages import error_page
from p2pnode.limits import KIB

log = logging.getLogger("p2pnode.gateway")

MAX_CONNECTIONS = 64
"""Connections at a time: a browser opens six to one host, and a player some more."""
MAX_HEAD_BYTES = 16 * KIB
"""Bytes of a request's line and headers together."""
READ_BYTES = 16 * KIB
HEAD_TIMEOUT_S = 10.0
"""Seconds for a whole request head, from its first byte or from connecting."""
IDLE_TIMEOUT_S = 60.0
"""Seconds that a connection may wait between two requests."""
STALL_TIMEOUT_S = 120.0
"""Seconds in which a client must take something of what is sent: a player that pauses fills its buffer first, and asks again later."""
MAX_REQUESTS = 1000
"""Requests on one connection."""

Answer = Callable[[Request], Awaitable[Response]]


class _Gone(Exception):
    """The client is not there any more, or was cut."""


class Server:
    """Serves any number of connections with one `answer`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._open = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection until its end. Raises nothing but Cancelled."""
        async with stream:
            if self._open >= MAX_CONNECTIONS:
                with trio.move_on_after(HEAD_TIMEOUT_S):
                    await _Connection(stream, self._answer).refuse(503, "too many connections; try again in a moment")
                return
            self._open += 1
            try:
                await _Connection(stream, self._answer).run()
            except (_Gone, OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            except Exception:
                log.exception("a gateway connection failed")
            finally:
                self._open -= 1


class _Connection:
    def __init__(self, stream: trio.SocketStream, answer: Answer) -> None:
        self._stream, self._answer = stream, answer
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def run(self) -> None:
        for count in range(MAX_REQUESTS):
            try:
                head = await self._next_head(first=count == 0)
            except h11.RemoteProtocolError as error:
                await self.refuse(error.error_status_hint, "this is no request that can be read")
                return
            if head is None:
                return
            await self._respond(head)
            if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
                return  # it asked to close, or sent a body that nobody reads
            self._h11.start_next_cycle()

    async def refuse(self, status: int, message: str) -> None:
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = error_page(status, message)
            response.headers["connection"] = "close"
            await self._send_response("GET", response)

    async def _next_head(self, *, first: bool) -> h11.Request | None:
        """The next request, None at the end. What waits between two requests is idle, what is slow to finish one is cut."""
        event = self._h11.next_event()
        if event is h11.NEED_DATA:
            with trio.move_on_after(HEAD_TIMEOUT_S if first else IDLE_TIMEOUT_S):
                await self._receive()
                event = self._h11.next_event()
        with trio.move_on_after(HEAD_TIMEOUT_S):
            while event is h11.NEED_DATA:
                await self._receive()
                event = self._h11.next_event()
        return event if isinstance(event, h11.Request) else None

    async def _receive(self) -> None:
        self._h11.receive_data(await self._stream.receive_some(READ_BYTES))

    async def _respond(self, head: h11.Request) -> None:
        if not isinstance(self._h11.next_event(), h11.EndOfMessage):
            await self.refuse(413, "a request has no body here")
            return
        try:
            request = read_request(head.method, head.target, list(head.headers))
        except BadTarget as error:
            await self._send_response("GET", error_page(400, str(error)))
            return
        try:
            response = await self._answer(request)
        except Exception:
            log.exception("a gateway request failed")
            response = error_page(500, "the node failed to answer this", "its log tells more")
        try:
            await self._send_response(request.method, response)
        finally:
            await response.aclose()

    async def _send_response(self, method: str, response: Response) -> None:
        headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in response.headers.items()]
        headers.append((b"date", formatdate(usegmt=True).encode()))
        if response.length is not None and response.status != 304:
            headers.append((b"content-length", str(response.length).encode()))
        await self._send(h11.Response(status_code=response.status, headers=headers))
        if method == "HEAD" or response.status == 304:
            pass
        elif not isinstance(response.body, bytes):
            await self._send_parts(response.body)
        elif response.body:
            await self._send(h11.Data(data=response.body))
        await self._send(h11.EndOfMessage())

    async def _send_parts(self, parts: AsyncGenerator[bytes, None]) -> None:
        """A body that breaks off ends the connection: the client sees that it is not whole."""
        try:
            async with aclosing(parts):
                async for part in parts:
                    await self._send(h11.Data(data=part))
        except P2pnodeError as error:
            log.info("a gateway answer breaks off: %s", error.message)
            raise _Gone from error

    async def _send(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if not data:
            return
        view = memoryview(data)
        while view:  # piece by piece: a slow client is one that takes nothing, not one that takes long
            with trio.move_on_after(STALL_TIMEOUT_S) as scope:
                view = view[await self._stream.socket.send(view) :]
            if scope.cancelled_caught:
                raise _Gone
