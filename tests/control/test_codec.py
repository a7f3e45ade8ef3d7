"""The control language: everything we say is understood, and whatever else comes is a DecodeError."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.control import codec
from p2pnode.control.codec import Answer, Cancel, Event, Failure, Hello, Items, LineBuffer, Request, Token
from p2pnode.errors import DecodeError, NotFoundError, P2pnodeError

ids = st.integers(0, codec.MAX_ID)
names = st.text(min_size=1, max_size=codec.MAX_METHOD_CHARACTERS)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=10), values, max_size=4)

from_clients = st.one_of(
    st.builds(Token, st.text(max_size=80)), st.builds(Request, ids, names, objects), st.builds(Cancel, ids)
)
from_servers = st.one_of(
    st.builds(Hello, st.integers(0, 9), st.text(max_size=9), ids),
    st.builds(Event, st.none() | ids, names, objects),
    st.builds(Items, ids, st.lists(values, max_size=4)),
    st.builds(Answer, ids, objects),
    st.builds(Failure, st.none() | ids, names, st.text(max_size=30), st.text(max_size=30)),
)


@given(from_clients)
def test_what_a_client_says_is_understood(message: codec.FromClient) -> None:
    line = codec.encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and line.isascii()
    assert codec.decode_from_client(line) == message


@given(from_servers)
def test_what_a_server_says_is_understood(message: codec.FromServer) -> None:
    assert codec.decode_from_server(codec.encode(message)) == message


@given(st.binary(max_size=200) | objects.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_a_decode_error(line: bytes) -> None:
    for decode in (codec.decode_from_client, codec.decode_from_server):
        with contextlib.suppress(DecodeError):
            decode(line)
    codec.decode_id(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"7",
        b'{"id":1}',
        b'{"id":true,"method":"a"}',
        b'{"id":-1,"method":"a"}',
        b'{"id":1.0,"method":"a"}',
        b'{"id":9007199254740992,"method":"a"}',
        b'{"id":1,"method":""}',
        b'{"id":1,"method":"' + b"m" * 65 + b'"}',
        b'{"id":1,"method":"a","params":[]}',
        b'{"id":1,"method":"a","params":{"n":NaN}}',
        b'{"id":1,"method":"a","params":{"n":Infinity}}',
        b'{"id":1,"method":"a","params":' + b'{"a":' * 40 + b"1" + b"}" * 41,
        b'{"id":1,"method":"a","params":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"id":1,"method":"\xff"}',
        b'{"token":5}',
    ],
)
def test_malformed_requests(line: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.decode_from_client(line)


def test_depth_up_to_the_limit_is_taken() -> None:
    def nested(levels: int) -> bytes:
        return b'{"id":1,"method":"a","params":' + b'{"a":' * levels + b"{}" + b"}" * levels + b"}"

    codec.decode_from_client(nested(codec.MAX_DEPTH - 2))
    with pytest.raises(DecodeError):
        codec.decode_from_client(nested(codec.MAX_DEPTH - 1))


def test_paths_that_are_no_unicode_survive() -> None:
    path = b"/tmp/caf\xe9".decode("utf-8", "surrogateescape")
    request = Request(1, "work.publish", {"path": path})
    assert codec.decode_from_client(codec.encode(request)) == request


def test_errors_come_back_as_their_class() -> None:
    error = Failure(1, "not_found", "no such work", "look again").to_error()
    assert isinstance(error, NotFoundError)
    assert (error.message, error.hint, error.exit_status) == ("no such work", "look again", 4)
    unknown = Failure(1, "internal", "oh", "").to_error()
    assert type(unknown) is P2pnodeError
    assert (unknown.code, P2pnodeError.code) == ("internal", "error")


@pytest.mark.parametrize(
    ("name", "data", "progress"),
    [
        ("transfer.progress", {"state": "fetching"}, True),
        ("transfer.progress", {"state": "done"}, False),
        ("transfer.progress", {"state": "failed"}, False),
        ("publish.progress", {"bytes": 1}, True),
        ("work.hit", {}, False),
        ("verdict.changed", {"state": "fetching"}, False),
    ],
)
def test_only_what_a_later_event_replaces_is_progress(name: str, data: dict[str, str], progress: bool) -> None:
    assert Event(None, name, data).is_progress is progress


# ---------------------------------------------------------------- lines


def cut(data: bytes, sizes: list[int], limit: int = 50) -> list[bytes | None]:
    """Lines as they come out when the data arrives in parts; None for a line over the limit."""
    buffer, out, at = LineBuffer(limit), list[bytes | None](), 0
    parts = []
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    for part in [*parts, data[at:]]:
        buffer.receive(part)
        while True:
            try:
                line = buffer.next_line()
            except DecodeError:
                out.append(None)
                continue
            if line is None:
                break
            out.append(line)
    return out


@given(
    st.lists(st.binary(max_size=90).map(lambda line: line.replace(b"\n", b"")), max_size=8),
    st.lists(st.integers(0, 60), max_size=12),
)
def test_lines_do_not_depend_on_how_bytes_arrive(lines: list[bytes], sizes: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    assert cut(data, sizes) == [line if len(line) < 50 else None for line in lines]


def test_an_endless_line_is_named_once_and_not_kept() -> None:
    buffer = LineBuffer(100)
    buffer.receive(b"x" * 100)
    with pytest.raises(DecodeError):
        buffer.next_line()
    for _ in range(1000):
        buffer.receive(b"x" * 100)
        assert buffer.next_line() is None
        assert len(buffer._data) == 0
    buffer.receive(b"\nnext\n")
    assert buffer.next_line() == b"next"
