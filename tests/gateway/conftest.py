"""A gateway on a real socket over a store in memory, and a real HTTP client (the standard library's) that asks it."""

from __future__ import annotations

import http.client
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import trio

from p2pnode.core.cid import Cid
from p2pnode.gateway.door import Door
from p2pnode.services.reading import Reading
from p2pnode.store.memory import MemoryStore

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Opened:
    """An open gateway: its token, its store, and ways to ask it."""

    store: MemoryStore
    door: Door
    port: int
    token: str

    async def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: Any) -> Answer:
        """One request on a connection of its own. Header names are given with underscores."""
        return await trio.to_thread.run_sync(self._ask, path, method, body, headers)

    def _ask(self, path: str, method: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=named)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    async def follow(self, path: str, **headers: Any) -> Answer:
        """The same, going where it is sent to."""
        for _ in range(4):
            answer = await self.ask(path, **headers)
            if answer.status not in (301, 302):
                return answer
            path = answer.headers["location"]
        raise AssertionError(f"sent on and on, to {path}")

    async def ask_until(self, status: int) -> None:
        """Ask for the first page until it is answered so; the deadline is `opened`'s."""
        while (await self.ask(f"/{self.token}/")).status != status:  # noqa: ASYNC110  # another process's state has no event
            await trio.sleep(0.01)

    async def place(self, root: Cid) -> str:
        """The path by which a browser reads that content: what the token's own path leads to."""
        answer = await self.ask(f"/{self.token}/ipfs/{root}/")
        assert answer.status == 302
        return answer.headers["location"]

    async def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Bytes as they stand, and everything that comes back until the end."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(data)
                if half_close:
                    await stream.send_eof()
            back = b""
            with suppress(trio.BrokenResourceError):  # reset while bytes of ours were still on their way
                async for part in stream:
                    back += part
            return back


@asynccontextmanager
async def opened() -> AsyncIterator[Opened]:
    """A gateway that is open as long as the block lasts."""
    store = MemoryStore(clock=lambda: 0.0)
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            door = Door(store, Reading(store), nursery)
            state = await door.open(0)
            yield Opened(store, door, state["port"], state["token"])
            nursery.cancel_scope.cancel()
