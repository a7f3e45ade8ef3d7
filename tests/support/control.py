"""A control server with a table of methods made for one test, run by trio in a thread: the real server and the real sockets.

What the methods would do in a node is not tested here; the end-to-end tests have real daemons.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trio

from p2pnode.config import Home
from p2pnode.control.endpoint import TcpEndpoint, connect
from p2pnode.control.events import EventBus
from p2pnode.control.listening import Transport, listen
from p2pnode.control.lock import DaemonLock
from p2pnode.control.server import Emit, Method, serve

Object = dict[str, Any]
DEADLINE_S = 10.0


class ControlThread:
    """The daemon's control end, without a node behind it. `calls` are the (method, params) that came."""

    def __init__(self, home: Home, answers: dict[str, Object | Method], transport: Transport | None = None) -> None:
        self.home = home
        self.bus = EventBus()
        self.calls: list[tuple[str, Object]] = []
        self._answers = answers
        self._transport = transport
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._token: trio.lowlevel.TrioToken
        self._stop: trio.Event

    def start(self) -> ControlThread:
        self._thread.start()
        assert self._ready.wait(DEADLINE_S), "the control server did not start"
        return self

    def stop(self) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._stop.set)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the control server did not stop"

    def emit(self, name: str, data: Object) -> None:
        """An event of the node, from any thread; returns when every client has it in line."""
        trio.from_thread.run_sync(self.bus.emit, name, data, trio_token=self._token)

    def _run(self) -> None:
        trio.run(self._serve)

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        lock = DaemonLock.acquire(self.home)
        listening = listen(self.home, self._transport)
        try:
            async with trio.open_nursery() as nursery:
                methods = {name: self._method(name) for name in [*self._answers, "node.stop"]}
                await nursery.start(serve, listening, methods, self.bus)
                self._ready.set()
                await self._stop.wait()
                nursery.cancel_scope.cancel()
        finally:
            listening.close()
            lock.release()

    def _method(self, name: str) -> Method:
        async def call(params: Object, emit: Emit) -> Object:
            self.calls.append((name, params))
            answer = self._answers.get(name, {})
            if name == "node.stop" and name not in self._answers:
                self._stop.set()
            return await answer(params, emit) if callable(answer) else answer

        return call


class RawClient:
    """A client that says whatever a test wants, without any of our code between."""

    def __init__(self, home: Home, *, greet: bool = True) -> None:
        self.socket, endpoint = connect(home)
        self.socket.settimeout(DEADLINE_S)
        self.file = self.socket.makefile("rb")
        if greet:
            if isinstance(endpoint, TcpEndpoint):
                self.send_line({"token": endpoint.token})
            assert "hello" in self.read()

    def send_line(self, message: object) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> Object:
        line = self.file.readline()
        assert line.endswith(b"\n"), f"the server ended with {line!r}"
        value = json.loads(line)
        assert isinstance(value, dict)
        return value

    def at_end(self) -> bool:
        """Whether the server closes the connection now, with nothing more said."""
        with contextlib.suppress(ConnectionResetError):
            return self.file.readline() == b""
        return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@contextlib.contextmanager
def control_thread(
    path: Path, answers: dict[str, Object | Method] | None = None, transport: Transport | None = None
) -> Iterator[ControlThread]:
    """A running control server of a fresh home."""
    thread = ControlThread(Home(path), answers or {}, transport).start()
    try:
        yield thread
    finally:
        thread.stop()


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Until the condition holds; a failed assertion after the deadline."""
    event = threading.Event()
    for _ in range(int(DEADLINE_S / 0.01)):
        if condition():
            return
        event.wait(0.01)
    raise AssertionError(f"waited in vain until {what}")
