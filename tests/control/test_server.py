"""The control server as a dialogue: what clients say, good and bad, and what they get."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode import __version__
from p2pnode.config import Home
from p2pnode.control import outgoing, server
from p2pnode.control.codec import MAX_LINE_BYTES
from p2pnode.control.endpoint import TcpEndpoint, read_endpoint
from p2pnode.control.server import Emit
from p2pnode.errors import AmbiguousError, NotFoundError
from tests.support.control import DEADLINE_S, ControlThread, RawClient, control_thread, wait_for

Object = dict[str, Any]


async def echo(params: Object, emit: Emit) -> Object:
    return params


async def wait_for_ever(params: Object, emit: Emit) -> Object:
    emit("started", {})
    try:
        await trio.sleep_forever()
    finally:
        ended.append(params.get("name", ""))
    return {}


async def break_down(params: Object, emit: Emit) -> Object:
    raise ZeroDivisionError("a secret of the inside")


async def break_down_in_groups(params: Object, emit: Emit) -> Object:
    async def fail() -> None:
        raise AmbiguousError("two works fit")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
    return {}


async def not_found(params: Object, emit: Emit) -> Object:
    raise NotFoundError("no such work", hint="search for it")


async def tell(params: Object, emit: Emit) -> Object:
    for at in range(params["count"]):
        emit(params.get("name", "work.hit"), {"at": at, "text": "x" * params.get("bytes", 1)})
    return {"told": params["count"]}


async def tell_nonsense(params: Object, emit: Emit) -> Object:
    emit("work.hit", {"bytes": b"not JSON"})
    return {}


async def answer_nonsense(params: Object, emit: Emit) -> Object:
    return {"bytes": b"not JSON"}


async def list_many(params: Object, emit: Emit) -> Object:
    last = params.get("last", 0)  # so many items at the end are a hundred times as long
    return {
        "items": [
            {"at": at, "text": "x" * params["bytes"] * (100 if at >= params["count"] - last else 1)}
            for at in range(params["count"])
        ],
        "more": True,
    }


async def answer_at_length(params: Object, emit: Emit) -> Object:
    return {"text": "x" * MAX_LINE_BYTES}


ended: list[str] = []
METHODS: dict[str, Any] = {
    "echo": echo,
    "wait": wait_for_ever,
    "break": break_down,
    "break.group": break_down_in_groups,
    "not.found": not_found,
    "tell": tell,
    "tell.nonsense": tell_nonsense,
    "answer.nonsense": answer_nonsense,
    "list": list_many,
    "long": answer_at_length,
}


@pytest.fixture(params=["unix", "tcp"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ControlThread]:
    ended.clear()
    with control_thread(tmp_path, METHODS, request.param) as thread:
        yield thread


@pytest.fixture
def client(daemon: ControlThread) -> Iterator[RawClient]:
    client = RawClient(daemon.home)
    yield client
    client.close()


def ask(client: RawClient, id: int, method: str, **params: Any) -> Object:
    client.send_line({"id": id, "method": method, "params": params})
    return client.read()


def test_the_daemon_introduces_itself(daemon: ControlThread) -> None:
    client = RawClient(daemon.home, greet=False)
    endpoint = read_endpoint(daemon.home)
    if isinstance(endpoint, TcpEndpoint):
        client.send_line({"token": endpoint.token})
    assert client.read() == {"hello": {"api": 1, "version": __version__, "pid": os.getpid()}}
    client.close()


def test_a_question_and_its_answer(client: RawClient) -> None:
    assert ask(client, 7, "echo", path="/tmp/ä") == {"id": 7, "result": {"path": "/tmp/ä"}}
    client.send_line({"id": 8, "method": "echo"})
    assert client.read() == {"id": 8, "result": {}}


def test_events_come_before_the_answer(client: RawClient) -> None:
    assert [ask(client, 1, "tell", count=2), client.read(), client.read()] == [
        {"id": 1, "event": "work.hit", "data": {"at": 0, "text": "x"}},
        {"id": 1, "event": "work.hit", "data": {"at": 1, "text": "x"}},
        {"id": 1, "result": {"told": 2}},
    ]


def test_our_errors_keep_code_message_and_hint(client: RawClient) -> None:
    error = {"code": "not_found", "message": "no such work", "hint": "search for it"}
    assert ask(client, 1, "not.found") == {"id": 1, "error": error}
    assert ask(client, 2, "break.group")["error"]["code"] == "ambiguous"
    assert ask(client, 3, "no.such.method")["error"]["code"] == "usage"


def test_other_errors_are_logged_and_tell_the_client_nothing(
    client: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answers = [ask(client, 1, "break"), ask(client, 2, "tell.nonsense"), ask(client, 3, "answer.nonsense")]
    assert [answer["error"]["code"] for answer in answers] == ["internal"] * 3
    assert "secret" not in str(answers) and "Traceback" not in str(answers)
    assert "a secret of the inside" in caplog.text
    assert ask(client, 4, "echo") == {"id": 4, "result": {}}


def test_requests_run_side_by_side_and_can_be_cancelled(client: RawClient) -> None:
    assert ask(client, 1, "wait", name="one")["event"] == "started"
    assert ask(client, 2, "wait", name="two")["event"] == "started"
    assert ask(client, 3, "echo", a=1) == {"id": 3, "result": {"a": 1}}
    client.send_line({"id": 1, "cancel": True})
    assert client.read() == {
        "id": 1,
        "error": {"code": "cancelled", "message": "the request was cancelled", "hint": ""},
    }
    assert ended == ["one"]
    client.send_line({"id": 99, "cancel": True})
    assert ask(client, 1, "echo") == {"id": 1, "result": {}}, "the id is free again, and an unknown cancel is nothing"


def test_an_id_in_use_is_not_taken_twice(client: RawClient) -> None:
    ask(client, 1, "wait")
    answer = ask(client, 1, "echo")
    assert (answer["id"], answer["error"]["code"]) == (None, "usage")


def test_a_client_has_a_bounded_number_of_requests(client: RawClient) -> None:
    for id in range(server.MAX_REQUESTS):
        assert ask(client, id, "wait")["event"] == "started"
    answer = ask(client, 1000, "echo")
    assert (answer["id"], answer["error"]["code"]) == (1000, "refused")


def test_requests_end_with_their_client(daemon: ControlThread) -> None:
    client = RawClient(daemon.home)
    ask(client, 1, "wait", name="left alone")
    client.close()
    wait_for(lambda: ended == ["left alone"], "the request was cancelled")


def test_garbage_is_answered_and_the_connection_goes_on(client: RawClient) -> None:
    for line in (b"hello?\n", b"\xff\xfe\x00\n", b"[1,2]\n", b"{}\n", b'{"id":1,"method":5}\n', b"[" * 50_000 + b"\n"):
        client.send(line)
        assert client.read()["error"]["code"] == "decode"
    client.send(b'{"id":5,"params":{}}\n')
    assert client.read()["id"] == 5, "an error reaches the request that caused it"
    client.send(b"\n  \n\r\n")
    assert ask(client, 6, "echo") == {"id": 6, "result": {}}


def test_a_line_over_the_limit_is_answered_and_skipped(client: RawClient) -> None:
    client.send(b'{"id":1,"method":"echo","params":{"a":"' + b"x" * (2 * MAX_LINE_BYTES) + b'"}}\n')
    answer = client.read()
    assert (answer["id"], answer["error"]["code"]) == (None, "decode")
    assert ask(client, 2, "echo") == {"id": 2, "result": {}}


@pytest.mark.parametrize(
    ("count", "bytes", "last"), [(20_000, 500, 0), (server.MANY_ITEMS + 1, 1, 0), (3000, 500, 100)]
)
def test_long_lists_come_in_parts(client: RawClient, count: int, bytes: int, last: int) -> None:
    client.send_line({"id": 1, "method": "list", "params": {"count": count, "bytes": bytes, "last": last}})
    items: list[Object] = []
    while "result" not in (message := client.read()):
        assert message["id"] == 1
        items += message["items"]
    assert message["result"] == {"items": [], "more": True}
    assert [item["at"] for item in items] == list(range(count))


def test_an_answer_that_fits_no_line_is_an_error(client: RawClient) -> None:
    assert "more than a line may have" in ask(client, 1, "long")["error"]["message"]
    assert "longer than a line" in ask(client, 2, "list", count=1, bytes=MAX_LINE_BYTES)["error"]["message"]
    assert ask(client, 3, "echo") == {"id": 3, "result": {}}


def test_many_clients_at_once(daemon: ControlThread) -> None:
    clients = [RawClient(daemon.home) for _ in range(30)]
    for at, client in enumerate(clients):
        client.send_line({"id": at, "method": "echo", "params": {"n": at}})
    assert [client.read()["result"]["n"] for client in reversed(clients)] == list(reversed(range(30)))
    for client in clients:
        client.close()


def test_too_many_clients_are_turned_away_and_the_others_stay(
    daemon: ControlThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CLIENTS", 1)
    first = RawClient(daemon.home)
    second = RawClient(daemon.home, greet=False)
    assert second.read()["error"]["code"] == "refused"
    assert second.at_end()
    assert ask(first, 1, "echo") == {"id": 1, "result": {}}
    first.close()
    second.close()


# ---------------------------------------------------------------- events of the node


def subscribe(client: RawClient, **params: Any) -> None:
    assert ask(client, 1, "events.subscribe", **params) == {"id": 1, "event": "events.subscribed", "data": {}}


def test_subscribers_hear_what_happens(daemon: ControlThread, client: RawClient) -> None:
    other = RawClient(daemon.home)
    subscribe(client)
    subscribe(other, names=["circle.joined"])
    daemon.emit("peer.connected", {"peer_id": "x"})
    daemon.emit("circle.joined", {"circle": "c-1"})
    assert client.read() == {"id": 1, "event": "peer.connected", "data": {"peer_id": "x"}}
    assert client.read() == {"id": 1, "event": "circle.joined", "data": {"circle": "c-1"}}
    assert other.read() == {"id": 1, "event": "circle.joined", "data": {"circle": "c-1"}}
    other.close()


def test_a_subscription_ends_by_cancel(daemon: ControlThread, client: RawClient) -> None:
    subscribe(client)
    client.send_line({"id": 1, "cancel": True})
    assert client.read()["error"]["code"] == "cancelled"
    daemon.emit("peer.connected", {})
    assert ask(client, 2, "echo") == {"id": 2, "result": {}}


@pytest.mark.parametrize("names", ["peer.connected", [1], {"a": 1}, [["a"]], None])
def test_names_of_events_are_a_list_of_texts(client: RawClient, names: object) -> None:
    assert ask(client, 1, "events.subscribe", names=names)["error"]["code"] == "usage"


def test_an_event_that_is_not_json_hurts_nobody(
    daemon: ControlThread, client: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    subscribe(client)
    daemon.emit("peer.connected", {"peer_id": b"bytes"})
    daemon.emit("peer.connected", {"peer_id": "x"})
    assert client.read()["data"] == {"peer_id": "x"}
    assert "a listener failed on the event peer.connected" in caplog.text


# ---------------------------------------------------------------- slow readers


def test_a_slow_reader_loses_progress_and_nothing_else(daemon: ControlThread, client: RawClient) -> None:
    subscribe(client)
    text = "x" * 10_000
    for at in range(3000):
        daemon.emit("transfer.progress", {"state": "fetching", "at": at, "text": text})
        if at % 100 == 0:
            daemon.emit("verdict.changed", {"at": at})
    daemon.emit("transfer.progress", {"state": "done", "at": 3000})
    daemon.emit("end", {})
    seen: list[Object] = []
    while (message := client.read()).get("event") != "end":
        seen.append(message)
    dropped = sum(message["data"]["count"] for message in seen if message["event"] == "dropped")
    progress = [message["data"]["at"] for message in seen if message["event"] == "transfer.progress"]
    assert [m["data"]["at"] for m in seen if m["event"] == "verdict.changed"] == list(range(0, 3000, 100))
    assert progress == sorted(progress)
    assert progress[-200:] == list(range(2801, 3001)), "the newest stay"
    assert dropped == 3001 - len(progress) > 0
    assert all("id" not in message for message in seen if message["event"] == "dropped")


def test_a_client_that_does_not_read_at_all_is_cut(daemon: ControlThread, caplog: pytest.LogCaptureFixture) -> None:
    client = RawClient(daemon.home)
    subscribe(client)
    for _ in range(1200):
        daemon.emit("verdict.changed", {"text": "x" * 10_000})
    wait_for(lambda: "a control client was cut" in caplog.text, "it was cut")
    while client.file.readline().endswith(b"\n"):
        pass
    assert client.at_end()
    client.close()
    other = RawClient(daemon.home)
    assert ask(other, 1, "echo") == {"id": 1, "result": {}}
    other.close()


def test_a_client_that_stalls_is_cut_in_time(
    daemon: ControlThread, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outgoing, "STALL_S", 0.2)
    client = RawClient(daemon.home)
    client.send_line({"id": 1, "method": "list", "params": {"count": 40_000, "bytes": 500}})
    wait_for(lambda: "it took nothing for 0.2 s" in caplog.text, "it was cut")
    client.close()


def test_a_client_that_only_sends_waits_for_its_own_answers(daemon: ControlThread) -> None:
    client = RawClient(daemon.home)
    client.socket.settimeout(0.5)
    line = b'{"id":1,"method":"' + b"?" * 60 + b'"}\n'
    with pytest.raises(TimeoutError):
        for _ in range(2000):
            client.send(line * 1000)
    client.socket.settimeout(DEADLINE_S)
    assert client.read()["error"]["code"] in ("usage", "refused")
    client.close()


# ---------------------------------------------------------------- the end


def test_the_one_who_stops_the_daemon_gets_the_answer(tmp_path: Path) -> None:
    with control_thread(tmp_path) as daemon:
        client, other = RawClient(daemon.home), RawClient(daemon.home)
        assert ask(client, 1, "node.stop") == {"id": 1, "result": {}}
        assert client.at_end() and other.at_end()
        client.close()
        other.close()


def test_a_wrong_token_is_refused(tmp_path: Path) -> None:
    with control_thread(tmp_path, METHODS, "tcp") as daemon:
        endpoint = read_endpoint(daemon.home)
        assert isinstance(endpoint, TcpEndpoint)
        wrong = {"token": "0" * len(endpoint.token)}
        for first in (wrong, {"token": "\ud800"}, {"id": 1, "method": "echo"}, {"token": endpoint.token[:-1]}):
            client = RawClient(daemon.home, greet=False)
            client.send_line(first)
            assert client.read()["error"]["code"] == "refused"
            client.close()
        assert daemon.calls == []


def test_who_shows_no_token_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GREETING_TIMEOUT_S", 0.1)
    with control_thread(tmp_path, METHODS, "tcp") as daemon:
        client = RawClient(daemon.home, greet=False)
        assert client.read()["error"]["code"] == "refused"
        client.close()


def test_a_client_of_another_user_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "is_own", lambda _: False)
    with control_thread(tmp_path, METHODS, "unix") as daemon:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(DEADLINE_S)
            stranger.connect(str(Home(tmp_path).run / "control.sock"))
            assert stranger.recv(100) == b""
        assert daemon.calls == []
