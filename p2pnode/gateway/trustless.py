"""Answers that need no trust: single blocks and archives, per the IPFS trustless gateway specification.

`?format=raw|car` or an Accept header; `dag-scope` and `entity-bytes` choose what of a content an archive holds. Only what is held here is
given (a block that is missing in the middle ends the stream, as the specification has it). Order: that of services.car_blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, urlencode

from p2pnode.core.car import encode_header, encode_section
from p2pnode.core.cid import Cid
from p2pnode.core.dag import inline_block
from p2pnode.gateway.kinds import disposition
from p2pnode.gateway.messages import Request, Response, matches
from p2pnode.ports import Store
from p2pnode.services.car_scope import SCOPES, ByteRange, Scope, scope_blocks
from p2pnode.services.content_path import Terminus, held_block, walk_path

RAW_TYPE, CAR_TYPE = "application/vnd.ipld.raw", "application/vnd.ipld.car"
CAR_ANSWER = f"{CAR_TYPE}; version=1; order=dfs; dups=n"
FORMATS = {"raw": RAW_TYPE, "car": CAR_TYPE}
CACHED = "private, max-age=29030400, immutable"


class BadRequest(ValueError):
    """What was asked for cannot be: to be answered with 400, in these words."""


class NotAcceptable(ValueError):
    """A variant that is not made here: 406."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A verifiable answer that was asked for, with the parameters of the content type."""

    type: str
    parameters: dict[str, str]


def wanted(request: Request) -> Wanted | None:
    """What the query, else the Accept header asks for; None: files and pages. BadRequest for a format that is none."""
    accepted = _accepted(request.headers.get("accept", ""))
    if (name := request.query.get("format")) is not None:
        if name not in FORMATS:
            raise BadRequest(f"the format {name!r} is not given here: raw or car")
        chosen = Wanted(FORMATS[name], accepted.parameters if accepted and accepted.type == FORMATS[name] else {})
    elif accepted is None:
        return None
    else:
        chosen = accepted
    if chosen.type == CAR_TYPE:
        given = {
            name: request.query[f"car-{name}"]
            for name in ("version", "order", "dups")
            if f"car-{name}" in request.query
        }
        chosen = Wanted(CAR_TYPE, chosen.parameters | given)
    return chosen


def _accepted(header: str) -> Wanted | None:
    for item in header.split(","):
        kind, *rest = (part.strip() for part in item.split(";"))
        if kind.lower() in (RAW_TYPE, CAR_TYPE):
            pairs = (part.partition("=") for part in rest)
            return Wanted(kind.lower(), {name.strip(): value.strip().strip('"') for name, _, value in pairs})
    return None


class Trustless:
    """Answers from one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def answer(self, request: Request, root: Cid, names: list[bytes], chosen: Wanted) -> Response:
        """NotFoundError: not held; DecodeError: no path; BadRequest, NotAcceptable."""
        if chosen.type == RAW_TYPE and names:
            raise BadRequest("a block has no path below it: ask for its own CID")
        if chosen.type == RAW_TYPE:
            response = await self._block(request, root)
        else:
            response = await self._archive(request, root, names, chosen)
        if "format" not in request.query:  # it was chosen by Accept: this is where it is without one
            name = next(name for name, type_ in FORMATS.items() if type_ == chosen.type)
            response.headers["content-location"] = "?" + urlencode({**request.query, "format": name})
        return response

    async def _block(self, request: Request, cid: Cid) -> Response:
        etag = f'"{cid}.raw"'
        block = await held_block(self._store, cid)
        if matches(request.headers.get("if-none-match"), etag):
            return Response(304, {"etag": etag}, length=0)
        headers = _headers(RAW_TYPE, request.query.get("filename") or f"{cid}.bin", etag, f"/ipfs/{cid}", str(cid))
        return Response(200, headers, block, len(block))

    async def _archive(self, request: Request, root: Cid, names: list[bytes], chosen: Wanted) -> Response:
        _check_variant(chosen)
        scope, part = _scope(request)
        end = await walk_path(self._store, root, names)
        if part is not None and part.misses(end.cid, end.block):
            raise BadRequest("the range of entity-bytes lies outside of the file")
        path = f"/ipfs/{root}" + "".join("/" + name.decode("utf-8", "replace") for name in names)
        key = hashlib.sha256(f"{path} {scope} {request.query.get('entity-bytes', '')}".encode()).hexdigest()[:16]
        etag = f'W/"{scope}.{end.cid}.car.{key}"'
        if matches(request.headers.get("if-none-match"), etag):
            return Response(304, {"etag": etag}, length=0)
        roots = ",".join(map(str, end.roots))
        headers = _headers(CAR_ANSWER, request.query.get("filename") or f"{root}.car", etag, _ascii(path), roots)
        headers |= {"accept-ranges": "none"}
        body = self._sections(root, end, scope, part) if request.method == "GET" else b""
        return Response(200, headers, body)

    async def _sections(
        self, root: Cid, end: Terminus, scope: Scope, part: ByteRange | None
    ) -> AsyncGenerator[bytes, None]:
        yield encode_header([root])
        seen: set[Cid] = set()
        for cid, block in end.way:
            if inline_block(cid) is None and cid not in seen:
                seen.add(cid)
                yield encode_section(cid, block)
        async with aclosing(scope_blocks(self._store, end.cid, scope, part, seen)) as batches:
            async for batch in batches:
                yield b"".join([encode_section(cid, block) for cid, block in batch])


def _check_variant(chosen: Wanted) -> None:
    known = {"version": ("1",), "order": ("dfs", "unk", ""), "dups": ("n", "")}
    for name, values in known.items():
        if chosen.parameters.get(name, values[0]) not in values:
            raise NotAcceptable(
                f"archives are of version 1, in order dfs and without repetitions here, not {name}={chosen.parameters[name]}"
            )


def _scope(request: Request) -> tuple[Scope, ByteRange | None]:
    text = request.query.get("entity-bytes")
    scope = request.query.get("dag-scope", "entity" if text is not None else "all")
    if scope not in SCOPES:
        raise BadRequest(f"dag-scope is {scope!r}: block, entity or all")
    if text is None:
        return cast(Scope, scope), None
    part = ByteRange.parse(text)
    if part is None:
        raise BadRequest("entity-bytes is FROM:TO, both whole numbers, TO perhaps *")
    return "entity", part


def _headers(type_: str, name: str, etag: str, path: str, roots: str) -> dict[str, str]:
    return {
        "content-type": type_,
        "content-disposition": disposition(name, download=True),
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": CACHED,
        "etag": etag,
        "x-ipfs-path": path,
        "x-ipfs-roots": roots,
    }


def _ascii(path: str) -> str:
    return quote(path)
