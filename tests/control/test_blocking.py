"""The command line's client against the real server."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.config import Home
from p2pnode.control.blocking import BlockingClient
from p2pnode.control.listening import listen
from p2pnode.control.server import Emit
from p2pnode.errors import DecodeError, NetworkError, NoDaemonError, NotFoundError, P2pnodeError, TimedOutError
from tests.support.control import DEADLINE_S, ControlThread, control_thread, wait_for

Object = dict[str, Any]
ended: list[str] = []


async def search(params: Object, emit: Emit) -> Object:
    for at in range(3):
        emit("work.hit", {"at": at})
    return {"items": [{"at": at} for at in range(params.get("count", 3))]}


async def wait_for_ever(params: Object, emit: Emit) -> Object:
    emit("transfer.progress", {"bytes": 1})
    try:
        await trio.sleep_forever()
    finally:
        ended.append("ended")
    return {}


async def time_out(params: Object, emit: Emit) -> Object:
    raise TimedOutError("nobody has it")


async def not_found(params: Object, emit: Emit) -> Object:
    raise NotFoundError("no such work", hint="search for it")


@pytest.fixture(params=["unix", "tcp"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ControlThread]:
    ended.clear()
    methods: Any = {"work.search": search, "wait": wait_for_ever, "work.show": not_found, "work.get": time_out}
    with control_thread(tmp_path, methods, request.param) as thread:
        yield thread


@pytest.fixture
def client(daemon: ControlThread) -> Iterator[BlockingClient]:
    with BlockingClient(daemon.home) as client:
        yield client


def test_a_call_its_events_and_its_result(client: BlockingClient) -> None:
    events: list[tuple[str, Object]] = []
    result = client.call("work.search", {"text": "a"}, lambda name, data: events.append((name, data)))
    assert events == [("work.hit", {"at": at}) for at in range(3)]
    assert result == {"items": [{"at": 0}, {"at": 1}, {"at": 2}]}
    assert client.hello.pid == os.getpid()


def test_long_lists_are_joined(client: BlockingClient) -> None:
    items = client.call("work.search", {"count": 200_000})["items"]
    assert [item["at"] for item in items] == list(range(200_000))


def test_errors_come_as_their_class(client: BlockingClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.call("work.show")
    assert (caught.value.message, caught.value.hint) == ("no such work", "search for it")


def test_a_timeout_cancels_the_request_and_the_client_goes_on(client: BlockingClient) -> None:
    with pytest.raises(TimedOutError, match="did not answer wait within"):
        client.call("wait", timeout_s=0.1)
    assert ended == ["ended"]
    assert client.call("work.search")["items"]


def test_a_timeout_of_the_daemon_keeps_its_own_words(client: BlockingClient) -> None:
    with pytest.raises(TimedOutError, match="nobody has it"):
        client.call("work.get", timeout_s=DEADLINE_S)


def test_ctrl_c_cancels_the_request_in_the_daemon(client: BlockingClient) -> None:
    def interrupt(name: str, data: Object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        client.call("wait", on_event=interrupt)
    assert ended == ["ended"]


def test_whatever_a_listener_raises_cancels_too(client: BlockingClient) -> None:
    def fail(name: str, data: Object) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        client.call("wait", on_event=fail)
    assert ended == ["ended"]


def test_a_request_that_is_too_long_is_not_sent(client: BlockingClient) -> None:
    with pytest.raises(P2pnodeError, match="the limit is"):
        client.call("work.search", {"text": "x" * (1 << 20)})
    assert client.call("work.search")


def test_a_daemon_that_goes_while_one_waits(daemon: ControlThread, client: BlockingClient) -> None:
    threading.Timer(0.1, daemon.stop).start()
    with pytest.raises(NoDaemonError, match="went away before it answered"):
        client.call("wait")


def test_waiting_for_the_end(client: BlockingClient) -> None:
    assert client.wait_until_closed(0.05) is False
    client.call("node.stop")
    assert client.wait_until_closed(DEADLINE_S) is True


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b'{"hello":{"api":2,"version":"9","pid":1}}\n', P2pnodeError),
        (b"SSH-2.0-OpenSSH\r\n", NetworkError),
        (b'{"id":1,"result":{}}\n', NetworkError),
        (b"x" * (2 << 20), NetworkError),
        (b"", NoDaemonError),
    ],
)
def test_something_else_listens(greeting: bytes, error: type[Exception], tmp_path: Path) -> None:
    listening = listen(Home(tmp_path))

    def answer() -> None:
        connection, _ = listening.listener.accept()
        with connection:
            try:
                connection.sendall(greeting)
            except OSError:
                return  # the client had seen enough

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(error):
        BlockingClient(Home(tmp_path))
    thread.join()
    listening.close()


def test_a_server_that_does_not_understand_us(tmp_path: Path) -> None:
    listening = listen(Home(tmp_path))

    def answer() -> None:
        connection, _ = listening.listener.accept()
        with connection:
            connection.sendall(b'{"hello":{"api":1,"version":"0","pid":1}}\n')
            connection.recv(1000)
            connection.sendall(b'{"id":null,"error":{"code":"decode","message":"what?","hint":""}}\n')

    thread = threading.Thread(target=answer)
    thread.start()
    with BlockingClient(Home(tmp_path)) as client, pytest.raises(DecodeError, match="did not understand us"):
        client.call("work.list")
    thread.join()
    listening.close()


def test_sockets_are_not_left_open(tmp_path: Path) -> None:
    with control_thread(tmp_path) as daemon:
        with BlockingClient(daemon.home) as client:
            descriptor = client._socket
        wait_for(lambda: descriptor.fileno() == -1, "it is closed")
    assert isinstance(descriptor, socket.socket)
