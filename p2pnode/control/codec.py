"""The control socket's language: one JSON object a line, read and written without any I/O.

The trio server, the asyncio client and the blocking client all use this file, so that there is one idea of what a line is.

Who says what:
  server  {"hello": {"api", "version", "pid"}}                 first line of every connection
  client  {"token": T}                                          first line of all over TCP, before the hello
  client  {"id", "method", "params"?}                           a request; ids are the client's own numbers
  client  {"id", "cancel": true}                                gives a running request up
  server  {"id", "event", "data"}                               while a request runs; without id: about the connection
  server  {"id", "items": [...]}                                the first part of an answer's items, where one line is too short for all
  server  {"id", "result": {...}} or {"id", "error": {...}}     the answer, once; the id is null when the request's is unknown

Numbers are JSON numbers without NaN or infinity; text that is no Unicode (a path of undecodable bytes) travels as the lone
surrogates of Python's surrogateescape. Unknown members are ignored, so that either side may learn new words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NoReturn

from p2pnode.errors import ERRORS, DecodeError, P2pnodeError
from p2pnode.limits import MIB

API = 1
"""Version of this language; a client that knows another one says so and stops."""
MAX_LINE_BYTES = MIB
"""Bytes of one line with its newline: room for every message we have, and a bound on what one side makes the other hold."""
MAX_DEPTH = 32
"""Objects and lists inside each other: our deepest message has six."""
MAX_METHOD_CHARACTERS = 64
"""Longest method name."""
MAX_ID = (1 << 53) - 1
"""Largest request id: every JSON library carries it exactly."""
FINAL_STATES = frozenset({"done", "failed", "cancelled"})
"""States of a transfer that no later progress repeats: an event that tells one is a change of state, not progress."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hello:
    """The daemon introduces itself."""

    api: int
    version: str
    pid: int


@dataclass(frozen=True, slots=True)
class Token:
    """What a client over TCP shows to prove that it can read this home's files."""

    token: str


@dataclass(frozen=True, slots=True)
class Request:
    """Do something and answer."""

    id: int
    method: str
    params: Object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give the request up; it is answered with an error of code `cancelled` unless it was just done."""

    id: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened; with an id it belongs to that request."""

    id: int | None
    name: str
    data: Object

    @property
    def is_progress(self) -> bool:
        """True when a later event makes this one worthless: a slow reader may lose it."""
        return self.name.endswith(".progress") and self.data.get("state") not in FINAL_STATES


@dataclass(frozen=True, slots=True)
class Items:
    """The first items of an answer that is too long for one line."""

    id: int
    items: list[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The request is done."""

    id: int
    result: Object


@dataclass(frozen=True, slots=True)
class Failure:
    """The request is not done, and why. The id is None when the line could not be read at all."""

    id: int | None
    code: str
    message: str
    hint: str = ""

    def to_error(self) -> P2pnodeError:
        """The error of this code; a code that this version does not know keeps its name on the base class."""
        error = ERRORS.get(self.code, P2pnodeError)(self.message, hint=self.hint)
        error.code = self.code
        return error


FromClient = Token | Request | Cancel
FromServer = Hello | Event | Items | Answer | Failure


def encode(message: FromClient | FromServer) -> bytes:
    """One line with its newline. ValueError or TypeError when the message holds what JSON cannot carry (our own bug)."""
    line = json.dumps(_object_of(message), separators=(",", ":"), allow_nan=False)
    return line.encode("ascii") + b"\n"


def _object_of(message: FromClient | FromServer) -> Object:
    match message:
        case Hello(api, version, pid):
            return {"hello": {"api": api, "version": version, "pid": pid}}
        case Token(token):
            return {"token": token}
        case Request(id, method, params):
            return {"id": id, "method": method, "params": params}
        case Cancel(id):
            return {"id": id, "cancel": True}
        case Event(None, name, data):
            return {"event": name, "data": data}
        case Event(id, name, data):
            return {"id": id, "event": name, "data": data}
        case Items(id, items):
            return {"id": id, "items": items}
        case Answer(id, result):
            return {"id": id, "result": result}
        case Failure(id, code, text, hint):
            return {"id": id, "error": {"code": code, "message": text, "hint": hint}}


def decode_from_client(line: bytes) -> FromClient:
    """What a client says in one line. DecodeError on anything else."""
    members = _decode_object(line)
    if "token" in members:
        return Token(_text(members, "token"))
    id = _id(members)
    if members.get("cancel") is True:
        return Cancel(id)
    method = _text(members, "method")
    if not 0 < len(method) <= MAX_METHOD_CHARACTERS:
        raise DecodeError(f"a method name has 1 to {MAX_METHOD_CHARACTERS} characters")
    params = members.get("params", {})
    if not isinstance(params, dict):
        raise DecodeError("params is not an object")
    return Request(id, method, params)


def decode_from_server(line: bytes) -> FromServer:
    """What the daemon says in one line. DecodeError on anything else."""
    members = _decode_object(line)
    if "hello" in members:
        hello = _object(members, "hello")
        return Hello(_number(hello, "api"), _text(hello, "version"), _number(hello, "pid"))
    if "event" in members:
        return Event(_id(members) if "id" in members else None, _text(members, "event"), _object(members, "data"))
    if "items" in members:
        if not isinstance(members["items"], list):
            raise DecodeError("items is not a list")
        return Items(_id(members), members["items"])
    if "result" in members:
        return Answer(_id(members), _object(members, "result"))
    error = _object(members, "error")
    id = None if members.get("id") is None else _id(members)
    return Failure(id, _text(error, "code"), _text(error, "message"), _text(error, "hint"))


def decode_id(line: bytes) -> int | None:
    """The id of a line that is otherwise not understood, so that its error reaches the request that caused it. Never raises."""
    try:
        return _id(_decode_object(line))
    except DecodeError:
        return None


def _decode_object(line: bytes) -> Object:
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DecodeError("the line is not JSON") from error
    if not isinstance(value, dict):
        raise DecodeError("the line is not a JSON object")
    _check_depth(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_depth(value: Object) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            inner.extend(item.values() if isinstance(item, dict) else item)
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return
    raise DecodeError(f"more than {MAX_DEPTH} levels inside each other")


def _id(members: Object) -> int:
    id = _number(members, "id")
    if not 0 <= id <= MAX_ID:
        raise DecodeError(f"an id is a number from 0 to {MAX_ID}")
    return id


def _number(members: Object, name: str) -> int:
    value = members.get(name)
    if type(value) is not int:
        raise DecodeError(f"{name} is not a whole number")
    return value


def _text(members: Object, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise DecodeError(f"{name} is not a text")
    return value


def _object(members: Object, name: str) -> Object:
    value = members.get(name)
    if not isinstance(value, dict):
        raise DecodeError(f"{name} is not an object")
    return value


class LineBuffer:
    """Cuts a stream of bytes into lines and holds at most one line more than it was asked for.

    A line over the limit is not kept: it comes out once as a DecodeError, and reading goes on after its newline.
    """

    def __init__(self, limit_bytes: int = MAX_LINE_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._data = bytearray()
        self._searched = 0
        self._discarding = False

    def receive(self, data: bytes) -> None:
        """Bytes as they came from the stream."""
        self._data += data

    def next_line(self) -> bytes | None:
        """The next whole line without its newline, or None until more bytes came. DecodeError once for a line over the limit."""
        while True:
            end = self._data.find(b"\n", self._searched)
            if end < 0:
                self._keep_unfinished()
                return None
            line = bytes(self._data[:end])
            del self._data[: end + 1]
            self._searched = 0
            if self._discarding:
                self._discarding = False
            elif end >= self.limit_bytes:
                raise self._too_long()
            else:
                return line

    def _keep_unfinished(self) -> None:
        self._searched = len(self._data)
        if not self._discarding and self._searched < self.limit_bytes:
            return
        self._data.clear()
        self._searched = 0
        if not self._discarding:
            self._discarding = True
            raise self._too_long()

    def _too_long(self) -> DecodeError:
        return DecodeError(f"the line is longer than {self.limit_bytes} bytes")
