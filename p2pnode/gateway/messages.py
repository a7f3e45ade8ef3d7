"""Requests and responses of the gateway as values: what the rules of a page or a content see of HTTP, and all that they see.

Also the few things of HTTP's grammar that both sides of the gateway read: targets, queries, ranges, ETags.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_to_bytes

import trio

Body = bytes | AsyncGenerator[bytes, None]

MAX_QUERY_FIELDS = 16
"""Fields of a query that are read; more is no request of ours."""
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower-case; of a header that came twice the values stand behind one another with commas."""

    method: str
    path: tuple[bytes, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def folder(self) -> bool:
        """Whether the path ended in a slash."""
        return self.path[-1:] == (b"",)


@dataclass(slots=True)
class Response:
    """One response. `length` is what a HEAD says and a GET sends; None = not known before it ends. `body` bytes, or parts as they come."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = b""
    length: int | None = None
    held: AsyncExitStack | None = None
    """What the body needs while it is sent; whoever sends it, or gives it up, closes this."""

    async def aclose(self) -> None:
        """Let go of everything, whether the body was sent, begun or never looked at."""
        with trio.CancelScope(shield=True):
            if not isinstance(self.body, bytes):
                await self.body.aclose()
            if self.held is not None:
                await self.held.aclose()


class BadTarget(ValueError):
    """A target that is none of ours: to be answered with 400."""


def read_request(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> Request:
    """From what the HTTP library read. BadTarget if path or query cannot be."""
    raw, _, query = target.partition(b"?")
    if not raw.startswith(b"/") or any(byte <= 32 or byte >= 127 for byte in target):
        raise BadTarget("the target is not a path")
    path = tuple(unquote_to_bytes(part) for part in raw[1:].split(b"/"))
    try:
        fields = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as error:
        raise BadTarget("the query cannot be read") from error
    read: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        read[key] = f"{read[key]}, {text}" if key in read else text
    return Request(method.decode("ascii", "replace"), path, dict(fields), read)


def matches(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match names this ETag, weakly or not."""
    if header is None:
        return False
    names = [name.strip().removeprefix("W/") for name in header.split(",")]
    return "*" in names or etag.removeprefix("W/") in names


def one_range(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """(offset, length) of the one range that was asked for; None: the whole. ValueError when nothing of it exists.

    Several ranges, other units and a failing If-Range are answered with the whole, as RFC 9110 allows.
    """
    header, condition = request.headers.get("range"), request.headers.get("if-range")
    found = _RANGE.fullmatch(header.strip()) if header is not None else None
    if found is None or (condition is not None and condition.strip() != etag):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        if not length:
            raise ValueError("an empty range")
        return size - length, length
    start, end = int(first), min(int(last) if last else size - 1, size - 1)
    if last and int(last) < start:
        return None
    if start >= size:
        raise ValueError("the range begins behind the end")
    return start, end - start + 1
