"""The terminal UI's client against the real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.config import Home
from p2pnode.control import aio
from p2pnode.control.aio import ControlClient, keep_connected
from p2pnode.control.server import Emit
from p2pnode.errors import NoDaemonError, NotFoundError, P2pnodeError, TimedOutError
from tests.support.control import DEADLINE_S, ControlThread, control_thread

pytestmark = pytest.mark.asyncio
Object = dict[str, Any]
ended: list[str] = []


async def search(params: Object, emit: Emit) -> Object:
    for at in range(params.get("count", 3)):
        emit("work.hit", {"at": at})
    return {"items": [{"at": at} for at in range(params.get("count", 3))]}


async def wait_for_ever(params: Object, emit: Emit) -> Object:
    emit("transfer.progress", {"bytes": 1})
    try:
        await trio.sleep_forever()
    finally:
        ended.append("ended")
    return {}


async def not_found(params: Object, emit: Emit) -> Object:
    raise NotFoundError("no such work")


METHODS: Any = {"work.search": search, "wait": wait_for_ever, "work.show": not_found}


@pytest.fixture(params=["unix", "tcp"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ControlThread]:
    ended.clear()
    with control_thread(tmp_path, METHODS, request.param) as thread:
        yield thread


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.01)


async def test_many_calls_on_one_connection(daemon: ControlThread) -> None:
    client = await ControlClient.connect(daemon.home)
    results = await asyncio.gather(*(client.call("work.search", {"count": count}) for count in range(20)))
    assert [len(result["items"]) for result in results] == list(range(20))
    assert client.hello.api == 1
    await client.close()
    assert client.lost.is_set() and client.error is None


async def test_events_reach_their_own_call(daemon: ControlThread) -> None:
    client = await ControlClient.connect(daemon.home)
    seen: list[Object] = []
    await asyncio.gather(
        client.call("work.search", {"count": 2}, on_event=lambda name, data: seen.append(data)),
        client.call("work.search", {"count": 5}),
    )
    assert seen == [{"at": 0}, {"at": 1}]
    await client.close()


async def test_errors_come_as_their_class_and_hurt_nobody_else(daemon: ControlThread) -> None:
    client = await ControlClient.connect(daemon.home)

    def fail(name: str, data: Object) -> None:
        raise ZeroDivisionError

    with pytest.raises(NotFoundError):
        await client.call("work.show")
    with pytest.raises(ZeroDivisionError):
        await client.call("work.search", on_event=fail)
    assert await client.call("work.search")
    await client.close()


async def test_giving_up_cancels_the_request_in_the_daemon(daemon: ControlThread) -> None:
    client = await ControlClient.connect(daemon.home)
    with pytest.raises(TimedOutError):
        await client.call("wait", timeout_s=0.1)
    task = asyncio.create_task(client.call("wait"))
    await until(lambda: len(daemon.calls) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: ended == ["ended", "ended"])
    assert await client.call("work.search")
    await client.close()


async def test_an_iterator_of_events(daemon: ControlThread) -> None:
    client = await ControlClient.connect(daemon.home)
    seen = [event.data["at"] async for event in client.events("work.search", {"count": 50})]
    assert seen == list(range(50))
    with pytest.raises(NotFoundError):
        async for _ in client.events("work.show"):
            pass
    async with aclosing(client.events("wait")) as events:
        assert (await anext(events)).name == "transfer.progress"
    await until(lambda: ended == ["ended"])
    await client.close()


async def test_a_slow_iterator_loses_progress_and_is_told(daemon: ControlThread) -> None:
    client = await ControlClient.connect(daemon.home)
    async with aclosing(client.events()) as events:
        assert (await anext(events)).name == "events.subscribed"
        await asyncio.to_thread(
            lambda: [daemon.emit("transfer.progress", {"state": "fetching", "at": at}) for at in range(1000)]
        )
        await asyncio.to_thread(daemon.emit, "circle.joined", {})
        await asyncio.to_thread(daemon.emit, "end", {})
        lost = got = 0
        async for event in events:
            await asyncio.sleep(0)
            if event.name == "dropped":
                lost += event.data["count"]
            elif event.name == "end":
                break
            got += event.name == "transfer.progress"
        assert got + lost + client.dropped == 1000
    await client.close()


async def test_subscribing_has_happened_when_it_returns(daemon: ControlThread) -> None:
    client = await ControlClient.connect(daemon.home)
    seen: list[str] = []
    stop = await client.subscribe(lambda name, data: seen.append(name), ["circle.joined"])
    await asyncio.to_thread(daemon.emit, "peer.connected", {})
    await asyncio.to_thread(daemon.emit, "circle.joined", {})
    await until(lambda: seen == ["circle.joined"])
    stop()
    stop()
    await client.call("work.search")
    await asyncio.to_thread(daemon.emit, "circle.joined", {})
    await client.call("work.search")
    assert seen == ["circle.joined"]
    await client.close()


async def test_a_lost_daemon_ends_every_call(daemon: ControlThread) -> None:
    client = await ControlClient.connect(daemon.home)
    waiting = [asyncio.create_task(client.call("wait")) for _ in range(3)]
    await until(lambda: len(daemon.calls) == 3)
    await asyncio.to_thread(daemon.stop)
    for task in waiting:
        with pytest.raises(NoDaemonError):
            await task
    assert client.lost.is_set() and isinstance(client.error, NoDaemonError)
    with pytest.raises(NoDaemonError, match="is lost"):
        await client.call("work.search")
    await client.close()


async def test_connecting_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "FIRST_PAUSE_S", 0.01)
    home = Home(tmp_path)
    connected: list[int] = []
    lost: list[tuple[P2pnodeError, float]] = []

    async def on_connected(client: ControlClient) -> None:
        await client.call("work.search")
        connected.append(client.hello.pid)

    task = asyncio.create_task(keep_connected(home, on_connected, lambda error, pause_s: lost.append((error, pause_s))))
    await until(lambda: len(lost) >= 3)
    assert all(isinstance(error, NoDaemonError) for error, _ in lost)
    assert [pause_s for _, pause_s in lost[:3]] == [0.01, 0.02, 0.04]
    for round in range(2):
        with control_thread(tmp_path, METHODS):
            await until(lambda round=round: len(connected) == round + 1)
            lost.clear()
        await until(lambda: len(lost) >= 1)
        assert lost[0][1] == 0.01, "a connection that worked begins the pauses anew"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
