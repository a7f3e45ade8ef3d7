"""The asyncio client of the control socket: the TUI's. Standard library only.

One connection carries any number of calls at once. Events are handed over synchronously, or through an iterator with a bounded
Backlog. A lost connection ends every call with NoDaemonError and sets `lost`; `keep_connected` tries again with growing pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

from p2pnode.config import Home
from p2pnode.control import codec, session
from p2pnode.control.backlog import Backlog
from p2pnode.control.codec import Answer, Cancel, Event, Failure, FromServer, Hello, LineBuffer
from p2pnode.control.endpoint import CONNECT_TIMEOUT_S, connect
from p2pnode.errors import DecodeError, NoDaemonError, P2pnodeError, TimedOutError

OnEvent = Callable[[str, dict[str, Any]], None]
RECEIVE_BYTES = 65536
EVENT_OVERHEAD_BYTES = 1024
"""What one waiting event counts against an iterator's backlog."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
"""Between attempts to reconnect: soon at first, and never so rare that a person waits for it."""


class _Call:
    def __init__(self, on_event: OnEvent | None) -> None:
        self.on_event = on_event
        self.pending = session.Pending()
        self.result: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.answered = False
        """Whether the daemon is done with it; `result` is also done when its awaiter was cancelled."""


class ControlClient:
    """One connection to one daemon. Make it with `ControlClient.connect`, end it with `close`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, home: Home, device: str | None = None
    ) -> None:
        self._device = device
        self._reader = reader
        self._writer = writer
        self._home = home
        self._calls: dict[int, _Call] = {}
        self._serial = 0
        self._lines = LineBuffer()
        self._task: asyncio.Task[None] | None = None
        self.hello: Hello
        self.lost = asyncio.Event()
        """Set once the connection is over, whoever ended it."""
        self.error: P2pnodeError | None = None
        """Why it is over; None while it is not, and after `close`."""
        self.dropped = 0
        """Progress events that the daemon dropped because we were slow."""

    @classmethod
    async def connect(cls, home: Home, device: str | None = None) -> ControlClient:
        """Connect and greet. NoDaemonError when none runs, RefusedError when it is somebody else's.

        With `device` the daemon of that paired machine is spoken to, through this home's.
        """
        connection, endpoint = await asyncio.to_thread(connect, home)
        connection.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=connection)
        client = cls(reader, writer, home, device)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                writer.write(session.greeting(endpoint))
                client.hello = session.check_hello(await client._receive())
            if device is not None:
                async with asyncio.timeout(session.TUNNEL_TIMEOUT_S):
                    await client._go_through(device)
        except TimeoutError:
            writer.close()
            raise TimedOutError("the daemon accepted, but it does not speak") from None
        except BaseException:
            writer.close()
            raise
        client._task = asyncio.create_task(client._read())
        return client

    async def _go_through(self, device: str) -> None:
        self._writer.write(session.encode_tunnel(device))
        while not session.check_tunnel(await self._receive()):
            pass
        self.hello = session.check_hello(await self._receive())

    async def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        on_event: OnEvent | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        """The result of one method. Raises what the daemon answered, by its code. Cancelling the task cancels the request.

        `on_event` is called from the reading task, at once and in order; it must not wait.
        """
        id, waiting = self._begin(method, params, on_event)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiting.result
        except TimeoutError:
            raise TimedOutError(f"{method} took longer than {timeout_s:g} s") from None
        finally:
            self._end(id)

    async def events(
        self, method: str = "events.subscribe", params: dict[str, Any] | None = None
    ) -> AsyncGenerator[Event, None]:
        """The events of one request as they come, until its answer (whose error is raised). Close it with `aclosing`.

        A consumer that falls behind gets an event `dropped` {"count"} in place of the progress it missed.
        """
        backlog: Backlog[Event] = Backlog()
        wake = asyncio.Event()

        def take(name: str, data: dict[str, Any]) -> None:
            event = Event(None, name, data)
            backlog.push(event, EVENT_OVERHEAD_BYTES, progress=event.is_progress)
            wake.set()

        id, waiting = self._begin(method, params, take)
        waiting.result.add_done_callback(lambda _: wake.set())
        try:
            while True:
                wake.clear()
                if dropped := backlog.take_dropped():
                    yield Event(None, "dropped", {"count": dropped})
                elif (event := backlog.pop()) is not None:
                    yield event
                elif waiting.result.done():
                    waiting.result.result()
                    return
                else:
                    await wake.wait()
        finally:
            self._end(id)

    async def subscribe(self, on_event: OnEvent, names: list[str] | None = None) -> Callable[[], None]:
        """Hear the node's events from now on; when this returns the daemon is listening for us. Returns the way to stop."""
        ready = asyncio.Event()

        def take(name: str, data: dict[str, Any]) -> None:
            if name == "events.subscribed":
                ready.set()
            else:
                on_event(name, data)

        id, waiting = self._begin("events.subscribe", {} if names is None else {"names": names}, take)
        waiting.result.add_done_callback(lambda _: ready.set())
        try:
            await ready.wait()
            if waiting.result.done():
                waiting.result.result()
        except BaseException:
            self._end(id)
            raise
        return lambda: self._end(id)

    async def close(self) -> None:
        """End the connection; running requests are cancelled by that."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._over(None)
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _begin(self, method: str, params: dict[str, Any] | None, on_event: OnEvent | None) -> tuple[int, _Call]:
        if self.lost.is_set():
            raise NoDaemonError(f"the connection to the daemon at {self._home.path} is lost")
        self._serial += 1
        line = session.encode_request(self._serial, method, params or {})
        waiting = self._calls[self._serial] = _Call(on_event)
        self._writer.write(line)
        return self._serial, waiting

    def _end(self, id: int) -> None:
        """Forget a request; where it still runs, cancel it."""
        waiting = self._calls.pop(id, None)
        if waiting is None:
            return
        if not waiting.answered and not self.lost.is_set():
            self._writer.write(codec.encode(Cancel(id)))
        if not waiting.result.done():
            waiting.result.cancel()
        elif not waiting.result.cancelled():
            waiting.result.exception()  # read it, so that asyncio does not report it as forgotten

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._receive())
        except P2pnodeError as error:
            self._over(error)

    async def _receive(self) -> FromServer:
        while (line := self._lines.next_line()) is None:
            try:
                data = await self._reader.read(RECEIVE_BYTES)
            except OSError:
                data = b""
            if not data:
                if self._device is not None:
                    raise session.lost(self._device)
                raise NoDaemonError(f"the daemon at {self._home.path} has gone")
            self._lines.receive(data)
        return codec.decode_from_server(line)

    def _take(self, message: FromServer) -> None:
        id = session.id_of(message)
        if id is None:
            self._take_notice(message)
            return
        waiting = self._calls.get(id)
        if waiting is None:
            return  # the late answer of a request that we cancelled
        waiting.answered = isinstance(message, (Answer, Failure))
        if waiting.result.done():
            return
        try:
            if isinstance(message, Event):
                if waiting.on_event is not None:
                    waiting.on_event(message.name, message.data)
            elif (result := waiting.pending.take(message)) is not None:
                waiting.result.set_result(result)
        except Exception as error:  # the daemon's answer, or a listener's own failure: either way it is the caller's
            waiting.result.set_exception(error)

    def _take_notice(self, message: FromServer) -> None:
        if isinstance(message, Event) and message.name == "dropped":
            count = message.data.get("count")
            self.dropped += count if isinstance(count, int) else 0
        elif isinstance(message, Failure):
            raise DecodeError(f"the daemon did not understand us: {message.message}")

    def _over(self, error: P2pnodeError | None) -> None:
        if self.lost.is_set():
            return
        self.error = error
        self.lost.set()
        for waiting in self._calls.values():
            if not waiting.result.done():
                waiting.result.set_exception(error or NoDaemonError("the connection was closed"))
        self._writer.close()


class OnConnected(Protocol):
    """What to do with a fresh connection; it may subscribe and call, and returns when it has set itself up."""

    def __call__(self, client: ControlClient) -> Awaitable[None]: ...


async def keep_connected(home: Home, on_connected: OnConnected, on_lost: Callable[[P2pnodeError, float], None]) -> None:
    """Connect, and again whenever the connection is lost, until cancelled.

    `on_lost(error, pause_s)` is told why there is no connection now and in how many seconds the next attempt comes.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            client = await ControlClient.connect(home)
            try:
                await on_connected(client)
                pause_s = FIRST_PAUSE_S
                await client.lost.wait()
                error = client.error or NoDaemonError("the connection was closed")
            finally:
                await client.close()
        except P2pnodeError as failure:
            error = failure
        on_lost(error, pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
