"""The tunnel to another machine and the sessions it leads to, without a network: who asks what, when it ends, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
import trio
import trio.testing

from p2pnode.cli.main import root
from p2pnode.cli.remote import HERE_ONLY, refuse_remote
from p2pnode.config import Home
from p2pnode.control import session
from p2pnode.control.aio import ControlClient
from p2pnode.control.blocking import BlockingClient
from p2pnode.control.events import EventBus
from p2pnode.control.listening import listen
from p2pnode.control.remote import ByteStream
from p2pnode.control.server import RemoteSessions, serve
from p2pnode.errors import NetworkError, NotFoundError, P2pnodeError, RefusedError, UsageError


class PipeStream:
    """One end of a stream in memory; what breaks is a NetworkError, as on a real one."""

    def __init__(self, pipe: trio.StapledStream[Any, Any]) -> None:
        self._pipe = pipe

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._pipe.send_all(bytes(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise NetworkError("the stream broke") from error

    async def receive_some(self, max_bytes: int) -> bytes:
        try:
            return bytes(await self._pipe.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise NetworkError("the stream broke") from error

    async def aclose(self) -> None:
        await self._pipe.aclose()


class World:
    """A desk's control socket, and a server behind a stream in memory."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.cut = trio.CancelScope()
        self.served: list[str] = []
        self.desk_bus, self.server_bus = EventBus(), EventBus()


async def whose(name: str, params: dict[str, Any], emit: Any) -> dict[str, Any]:
    if params.get("long"):
        return {"items": ["x" * 1000] * 3000}
    emit("a.progress", {"of": name})
    return {"name": name, **params}


async def hang(params: dict[str, Any], emit: Any) -> dict[str, Any]:
    await trio.sleep_forever()
    raise AssertionError


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(Home(tmp_path))
    listening = listen(made.home)
    sessions = RemoteSessions({"who": partial(whose, "server")}, made.server_bus)
    async with trio.open_nursery() as nursery:

        async def answer(stream: ByteStream) -> None:
            with made.cut:
                await sessions.serve(stream, "desk")
            await stream.aclose()

        async def reach(name: str) -> ByteStream:
            made.served.append(name)
            if name == "away":
                raise NetworkError("away cannot be driven", hint="is it on?")
            if name != "server":
                raise NotFoundError(f"there is no device {name!r}")
            here, there = trio.testing.memory_stream_pair()
            nursery.start_soon(answer, PipeStream(there))
            return PipeStream(here)

        await nursery.start(
            partial(serve, listening, {"who": partial(whose, "desk"), "hang": hang}, made.desk_bus, reach)
        )
        yield made
        listening.close()
        nursery.cancel_scope.cancel()


def blocking(home: Home, device: str | None) -> tuple[dict[str, Any], list[str], int]:
    with BlockingClient(home, device) as client:
        heard: list[str] = []
        answer = client.call("who", {"x": 1}, lambda name, data: heard.append(data["of"]), 30)
        return answer, heard, len(client.call("who", {"long": True}, None, 30)["items"])


@pytest.mark.trio
async def test_the_same_call_is_answered_here_or_there(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        for device, name in ((None, "desk"), ("server", "server")):
            answer, heard, count = await trio.to_thread.run_sync(blocking, made.home, device)
            assert (answer, heard, count) == ({"name": name, "x": 1}, [name], 3000)
        assert made.served == ["server"]


@pytest.mark.trio
async def test_why_a_machine_cannot_be_reached_is_said_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        for name, kind in (("away", NetworkError), ("nobody", NotFoundError)):
            with pytest.raises(kind):
                await trio.to_thread.run_sync(blocking, made.home, name)

        def try_and_stay() -> dict[str, Any]:
            with BlockingClient(made.home) as client:
                for params in ({"device": "away"}, {}, {"device": 5}, {"device": "server", "more": 1}):
                    with pytest.raises((NetworkError, UsageError)):
                        client.call(session.TUNNEL, params, None, 30)
                return client.call("who", {}, None, 30)

        assert await trio.to_thread.run_sync(try_and_stay) == {"name": "desk"}


@pytest.mark.trio
async def test_a_tunnel_is_refused_beside_a_request_that_runs(tmp_path: Path) -> None:
    def both(home: Home) -> None:
        with BlockingClient(home) as client:
            client.tell("hang", {})
            client.call(session.TUNNEL, {"device": "server"}, None, 30)

    async with world(tmp_path) as made:
        with pytest.raises(UsageError, match="nothing else"):
            await trio.to_thread.run_sync(both, made.home)


@pytest.mark.trio
async def test_a_tunnel_leads_no_further(tmp_path: Path) -> None:
    def onward(home: Home) -> None:
        with BlockingClient(home, "server") as client:
            client.call(session.TUNNEL, {"device": "server"}, None, 30)

    async with world(tmp_path) as made:
        with pytest.raises(UsageError):
            await trio.to_thread.run_sync(onward, made.home)


@pytest.mark.trio
async def test_whoever_is_cut_hears_that_the_machine_is_gone(tmp_path: Path) -> None:
    async with world(tmp_path) as made, trio.open_nursery() as nursery:
        there = trio.Event()
        unsubscribe = made.server_bus.subscribe

        def subscribed(listener: Any) -> Any:
            there.set()
            return unsubscribe(listener)

        made.server_bus.subscribe = subscribed  # type: ignore[method-assign]

        def listen_on() -> None:
            with BlockingClient(made.home, "server") as client, pytest.raises(NetworkError, match="to server ended"):
                client.call("events.subscribe", {}, None, 60)

        nursery.start_soon(trio.to_thread.run_sync, listen_on)
        await there.wait()
        made.cut.cancel()


@pytest.mark.trio
async def test_rubbish_to_a_session_is_answered_and_ends_nothing(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        here, there = trio.testing.memory_stream_pair()
        sessions = RemoteSessions({"who": partial(whose, "server")}, EventBus())
        nursery.start_soon(sessions.serve, PipeStream(there), "desk")
        client = PipeStream(here)
        await client.send_all(b"\xff\n[]\n{}\n" + b"x" * (2 << 20) + b'\n{"id": 1, "method": "who", "params": {}}\n')
        said = b""
        with trio.fail_after(60):
            while b'"result"' not in said:
                said += await client.receive_some(65536)
        assert said.count(b'"decode"') >= 4
        await here.aclose()


@pytest.mark.asyncio
async def test_the_asyncio_client_says_when_there_is_no_daemon_to_go_through(tmp_path: Path) -> None:
    with pytest.raises(P2pnodeError) as caught:
        await ControlClient.connect(Home(tmp_path), "server")
    assert caught.value.code == "no_daemon"
    assert not isinstance(caught.value, RefusedError)


def test_every_command_that_is_done_here_only_exists() -> None:
    for words in HERE_ONLY:
        command: click.Command = root
        for word in words.split():
            assert isinstance(command, click.Group) and word in command.commands, words
            command = command.commands[word]


@pytest.mark.parametrize("words", ["service install", "service uninstall", "backup", "restore"])
def test_what_would_be_done_to_this_machine_instead_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="not with --node server"):
        refuse_remote(f"p2pnode {words}", "server")
