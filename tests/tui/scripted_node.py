"""A node that says what a test told it to: a control socket with scripted answers, in a thread of its own.

It speaks through `p2pnode.control.codec`, so what passes here passes on the wire. Every request is kept in `requests`.
An answer is a dict, an error to raise, NEVER (the request stays open), or a function of the parameters that returns one of
these; `Told` adds events that are sent before the answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from p2pnode.config import Home
from p2pnode.control import codec
from p2pnode.control.listening import Listening, listen
from p2pnode.errors import P2pnodeError

NEVER = object()
DEADLINE_S = 20.0
PID = 4242


@dataclass
class Told:
    """Events before an answer."""

    events: list[tuple[str, dict[str, Any]]]
    answer: Any = field(default_factory=dict)


class ScriptedNode:
    """`with ScriptedNode(home, answers) as node:`. `answers` may be changed while it runs."""

    def __init__(self, home: Home, answers: Mapping[str, Any]) -> None:
        self.home = home
        self.answers: dict[str, Any] = dict(answers)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.cancelled: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._writers: dict[asyncio.StreamWriter, int | None] = {}
        self._open: dict[tuple[asyncio.StreamWriter, int], str] = {}
        self._server: asyncio.Server | None = None
        self._listening: Listening | None = None

    def __enter__(self) -> ScriptedNode:
        self._thread.start()
        self.rise()
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    def rise(self) -> None:
        """Listen, and say where in run/control."""
        self._listening = listen(self.home)
        self._call(self._serve_clients(self._listening))

    def vanish(self) -> None:
        """Go without taking leave: connections drop, nobody listens."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        self._call(self._drop())

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """An event for everybody who subscribed."""
        self._call(self._emit(name, data))

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every call of a method, in order."""
        return [params for name, params in list(self.requests) if name == method]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    async def _serve_clients(self, listening: Listening) -> None:
        listening.served = True
        listening.listener.setblocking(False)
        self._server = await asyncio.start_server(self._serve, sock=listening.listener)

    async def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.close()
        self._writers.clear()
        if serving := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(serving, timeout=DEADLINE_S)

    async def _emit(self, name: str, data: dict[str, Any]) -> None:
        for writer, id in list(self._writers.items()):
            if id is not None:
                writer.write(codec.encode(codec.Event(id, name, data)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers[writer] = None
        lines = codec.LineBuffer()
        writer.write(codec.encode(codec.Hello(codec.API, "0.1.0", PID)))
        while data := await self._read(reader):
            lines.receive(data)
            while (line := lines.next_line()) is not None:
                self._take(codec.decode_from_client(line), writer)
        self._writers.pop(writer, None)
        writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(65536)
        except OSError:
            return b""

    def _take(self, message: codec.FromClient, writer: asyncio.StreamWriter) -> None:
        if isinstance(message, codec.Cancel):
            if method := self._open.pop((writer, message.id), None):
                self.cancelled.append(method)
        elif isinstance(message, codec.Request):
            self._answer(message, writer)

    def _answer(self, request: codec.Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "events.subscribe":
            self._writers[writer] = request.id
            writer.write(codec.encode(codec.Event(request.id, "events.subscribed", {})))
            return
        self.requests.append((request.method, request.params))
        answer = self.answers.get(request.method, P2pnodeError(f"no answer is scripted for {request.method}"))
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer(request.params)
        if isinstance(answer, Told):
            for name, data in answer.events:
                writer.write(codec.encode(codec.Event(request.id, name, data)))
            answer = answer.answer
        if answer is NEVER:
            self._open[writer, request.id] = request.method
        elif isinstance(answer, P2pnodeError):
            writer.write(codec.encode(codec.Failure(request.id, answer.code, answer.message, answer.hint)))
        else:
            writer.write(codec.encode(codec.Answer(request.id, answer)))
