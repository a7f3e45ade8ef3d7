"""The daemon's end of the control socket: many clients, many requests each, on trio.

It knows no service: methods come as a table of functions, events from an EventBus. What goes wrong in a method becomes an error
object; a traceback goes to the log and never to a client. A client that breaks the language is answered, one that does not
read is cut. Called by the daemon.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import trio

from p2pnode import __version__
from p2pnode.control import codec
from p2pnode.control.codec import Answer, Cancel, Event, Failure, Hello, Items, LineBuffer, Request, Token
from p2pnode.control.endpoint import is_own
from p2pnode.control.events import EventBus, Listener
from p2pnode.control.listening import Listening
from p2pnode.control.outgoing import Outgoing, Wire
from p2pnode.control.remote import ByteStream, Reach, StreamWire, splice
from p2pnode.control.session import TUNNEL
from p2pnode.errors import DecodeError, P2pnodeError, RefusedError, UsageError

Emit = Callable[[str, dict[str, Any]], None]
"""Tell the client of this request something, at once: a name and a JSON object."""
Method = Callable[[dict[str, Any], Emit], Awaitable[dict[str, Any]]]
"""One method: params and emit -> result. Cancelled when the client gives up or goes."""

MAX_CLIENTS = 64
"""Clients at a time: a TUI, some scripts, and room; each costs a few kilobytes."""
MAX_REQUESTS = 64
"""Requests of one client at a time."""
GREETING_TIMEOUT_S = 5.0
"""For the token of a TCP client, which sends it unasked as its first bytes."""
LAST_WORD_S = 1.0
"""For telling a client why it is turned away."""
MAX_TOKEN_LINE_BYTES = 256
RECEIVE_BYTES = 65536
MANY_ITEMS, SAMPLE_ITEMS = 1000, 50
"""An answer with more items than this goes in parts from the beginning, sized by a sample: writing all of it once only to see how long it
is would keep the loop from everything else."""
SUBSCRIBE = "events.subscribe"

logger = logging.getLogger(__name__)


class TaskStatus(Protocol):
    """trio's, written down here because the stubs that come with libp2p do not know it."""

    def started(self) -> None: ...


async def serve(
    listening: Listening,
    methods: Mapping[str, Method],
    bus: EventBus,
    reach: Reach | None = None,
    *,
    task_status: TaskStatus = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer clients until cancelled; answers that are ready by then are still delivered. With `reach` they may drive other machines. The
    caller closes `listening` when no new clients shall come; the socket itself is closed here."""
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening.listener))
    clients: set[_Session] = set()

    async def talk(stream: trio.SocketStream) -> None:
        session = _Session(stream.socket, methods, bus, listening.token, reach)
        with stream.socket:
            if not is_own(stream.socket):  # type: ignore[arg-type]  # trio's socket has the same getsockopt
                logger.warning("a control client of another user was turned away")
                return
            if len(clients) >= MAX_CLIENTS:
                logger.warning("a control client was turned away: %d are connected", len(clients))
                refusal = RefusedError(
                    f"{MAX_CLIENTS} programs are connected to the daemon already", hint="end some of them"
                )
                with contextlib.suppress(OSError), trio.move_on_after(LAST_WORD_S):
                    await stream.socket.send(codec.encode(_failure(None, refusal)))
                return
            clients.add(session)
            try:
                await session.run()
            except Exception:
                logger.exception("a control session failed")
            finally:
                clients.discard(session)

    listening.served = True
    task_status.started()
    async with listener:
        await trio.serve_listeners(talk, [listener])


class RemoteSessions:
    """The same for one's other devices: each of them on a stream that the services let in."""

    def __init__(self, methods: Mapping[str, Method], bus: EventBus) -> None:
        self._methods, self._bus = methods, bus

    async def serve(self, stream: ByteStream, device: str) -> None:
        """Until the device ends it, breaks the rules, or is cut."""
        try:
            await _Session(StreamWire(stream), self._methods, self._bus, None).run()
        except Exception:
            logger.exception("a control session of %s failed", device)


class _Session:
    """One client. Its requests are children of its nursery and end with it."""

    def __init__(
        self,
        socket: Wire,
        methods: Mapping[str, Method],
        bus: EventBus,
        token: str | None,
        reach: Reach | None = None,
    ) -> None:
        self._socket = socket
        self._methods = methods
        self._bus = bus
        self._token = token
        self._reach = reach
        self._tunnel: Request | None = None
        self._running: dict[int, trio.CancelScope] = {}
        self._outgoing = Outgoing(socket)

    async def run(self) -> None:
        """Until the client closes its side, breaks the rules of the greeting, or is cut."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, nursery)
            lines = LineBuffer()
            if await self._greet():
                self._outgoing.push(Hello(codec.API, __version__, os.getpid()))
                await self._read(lines, nursery)
                nursery.cancel_scope.cancel()
            else:
                self._outgoing.push(_failure(None, RefusedError("this is not the token of this home")))
                nursery.cancel_scope.cancel()

    async def _write(self, nursery: trio.Nursery) -> None:
        await self._outgoing.run()
        nursery.cancel_scope.cancel()

    async def _greet(self) -> bool:
        """Whether the client may speak: always on a Unix socket, over TCP when its first line is the token."""
        if self._token is None:
            return True
        line = bytearray()
        with trio.move_on_after(GREETING_TIMEOUT_S):
            while not line.endswith(b"\n") and len(line) < MAX_TOKEN_LINE_BYTES:
                byte = await self._receive(1)  # byte by byte: what follows the newline belongs to the session
                if not byte:
                    return False
                line += byte
        try:
            message = codec.decode_from_client(bytes(line))
        except DecodeError:
            return False
        if not isinstance(message, Token):
            return False
        shown = message.token.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(shown, self._token.encode())

    async def _receive(self, max_bytes: int) -> bytes:
        try:
            return await self._socket.recv(max_bytes)
        except OSError:  # a reset is an end like any other here
            return b""

    async def _read(self, lines: LineBuffer, nursery: trio.Nursery) -> None:
        while data := await self._receive(RECEIVE_BYTES):
            lines.receive(data)
            while True:
                try:
                    line = lines.next_line()
                except DecodeError as error:
                    self._outgoing.push(_failure(None, error))
                    continue
                if line is None:
                    break
                if line.strip():
                    self._take(line, nursery)
                if self._tunnel is not None and await self._go_through(self._tunnel):
                    return
            await self._outgoing.has_room()  # a client that only sends waits for its own answers

    def _take(self, line: bytes, nursery: trio.Nursery) -> None:
        try:
            message = codec.decode_from_client(line)
        except DecodeError as error:
            self._outgoing.push(_failure(codec.decode_id(line), error))
            return
        if isinstance(message, Cancel):
            if (scope := self._running.get(message.id)) is not None:
                scope.cancel()
        elif isinstance(message, Request) and message.method == TUNNEL:
            self._tunnel = message
        elif isinstance(message, Request):
            self._start(message, nursery)

    async def _go_through(self, request: Request) -> bool:
        """Be a tunnel to another machine until either side ends; False if it cannot be reached."""
        self._tunnel = None
        name = request.params.get("device")
        try:
            if self._reach is None or self._running or not isinstance(name, str) or len(request.params) != 1:
                raise UsageError(f"{TUNNEL} takes a device, and nothing else may run on the connection")
            stream = await self._reach(name)
        except P2pnodeError as error:
            self._outgoing.push(_failure(request.id, error))
            return False
        self._outgoing.push(Answer(request.id, {"device": name}))
        await splice(self._receive, self._outgoing, stream)
        return True

    def _start(self, request: Request, nursery: trio.Nursery) -> None:
        if request.id in self._running:
            self._outgoing.push(_failure(None, UsageError(f"request {request.id} is still running")))
        elif len(self._running) >= MAX_REQUESTS:
            self._outgoing.push(_failure(request.id, RefusedError(f"{MAX_REQUESTS} requests are running already")))
        elif request.method == SUBSCRIBE and not _are_names(request.params.get("names", [])):
            self._outgoing.push(_failure(request.id, UsageError("names is a list of names of events")))
        else:
            scope = self._running[request.id] = trio.CancelScope()
            cancel = self._subscribe(request) if request.method == SUBSCRIBE else None
            nursery.start_soon(self._answer, request, scope, cancel)

    def _subscribe(self, request: Request) -> Callable[[], None]:
        """Listen at once, not when the task runs: what a later request causes is heard for certain."""
        listener = self._event_listener(request)
        names = request.params.get("names")
        wanted = None if names is None else frozenset(names)
        cancel = self._bus.subscribe(
            lambda name, data: listener(name, data) if wanted is None or name in wanted else None
        )
        listener("events.subscribed", {})
        return cancel

    def _event_listener(self, request: Request) -> Listener:
        def emit(name: str, data: dict[str, Any]) -> None:
            if request.id in self._running:
                self._outgoing.push(Event(request.id, name, data))

        return emit

    async def _answer(self, request: Request, scope: trio.CancelScope, cancel: Callable[[], None] | None) -> None:
        reply: Answer | Failure = Failure(request.id, "cancelled", "the request was cancelled")
        try:
            with scope:
                if cancel is None:
                    reply = await self._perform(request)
                else:
                    await trio.sleep_forever()
        finally:
            if cancel is not None:
                cancel()
            del self._running[request.id]
        if isinstance(reply, Answer):
            await self._send_answer(reply)
        else:
            self._outgoing.push(reply)

    async def _perform(self, request: Request) -> Answer | Failure:
        method = self._methods.get(request.method)
        if method is None:
            return _failure(request.id, UsageError(f"there is no method {request.method!r}"))
        try:
            return Answer(request.id, await method(request.params, self._event_listener(request)))
        except Exception as error:
            known = _find_known(error)
            if known is None:
                logger.exception("the method %s failed", request.method)
                return Failure(
                    request.id, "internal", f"{request.method} failed inside the node", "the daemon's log tells more"
                )
            return _failure(request.id, known)

    async def _send_answer(self, answer: Answer) -> None:
        """An answer longer than a line goes in parts, each when there is room for it."""
        try:
            items = answer.result.get("items")
            if isinstance(items, list) and len(items) > MANY_ITEMS:
                sample = codec.encode(Items(answer.id, items[:SAMPLE_ITEMS]))
                await self._send_parts(answer, items, len(sample) // SAMPLE_ITEMS)
                return
            line = codec.encode(answer)
            if len(line) <= codec.MAX_LINE_BYTES:
                self._outgoing.push_line(line)
            elif isinstance(items, list):
                await self._send_parts(answer, items, len(line) // max(1, len(items)))
            else:
                raise P2pnodeError(f"the answer has {len(line)} bytes, more than a line may have")
        except P2pnodeError as error:
            self._outgoing.push(_failure(answer.id, error))
        except (TypeError, ValueError):
            logger.exception("an answer is not JSON")
            self._outgoing.push(Failure(answer.id, "internal", "the node's answer could not be written"))

    async def _send_parts(self, answer: Answer, items: list[Any], mean_bytes: int) -> None:
        size = max(1, codec.MAX_LINE_BYTES // 4 // max(1, mean_bytes))
        parts = deque(items[start : start + size] for start in range(0, len(items), size))
        while parts:
            part = parts.popleft()
            line = codec.encode(Items(answer.id, part))
            if len(line) > codec.MAX_LINE_BYTES:
                if len(part) == 1:
                    raise P2pnodeError("an item of the answer is longer than a line may be")
                parts.extendleft((part[len(part) // 2 :], part[: len(part) // 2]))
                continue
            await self._outgoing.has_room()
            await trio.lowlevel.checkpoint()
            self._outgoing.push_line(line)
        self._outgoing.push(Answer(answer.id, {**answer.result, "items": []}))


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _failure(id: int | None, error: P2pnodeError) -> Failure:
    return Failure(id, error.code, error.message, error.hint)


def _find_known(error: BaseException) -> P2pnodeError | None:
    """The first of our own errors in what was raised: a method's nursery wraps it in groups."""
    if isinstance(error, P2pnodeError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((known for inner in error.exceptions if (known := _find_known(inner))), None)
    return None
