"""Files and folders of one content as a browser asks for them: whole or by ranges, while they arrive if they are not here yet.

A folder is a list of links, or its `index.html`. Whatever comes out was verified by who read it. Called by gateway.routes, which has
checked that the asker may see this content.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from urllib.parse import quote

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.dag import FileView, FolderView, RawView, ShardView, SymlinkView, parse_node
from p2pnode.core.skeleton import MAX_VISITS
from p2pnode.errors import DecodeError, NotFoundError, RefusedError, UsageError
from p2pnode.gateway.kinds import content_policy, disposition, kind_of
from p2pnode.gateway.messages import Request, Response, matches, one_range
from p2pnode.gateway.pages import Entry, folder_page
from p2pnode.ports import Store
from p2pnode.services.content_path import held_block, resolve, walk_path
from p2pnode.services.reading import ReadableFile, Reading

OPEN_TIMEOUT_S = 60.0
"""Seconds to wait for the first bytes of a content that is not here: a browser shows nothing in between."""
SNIFF_BYTES = 512
LISTED_ENTRIES = 10_000
"""Entries of one folder that a page lists."""
INDEX = b"index.html"
REOPENINGS, REOPEN_PAUSE_S = 3, 0.2
"""Tries to open a content again whose fetch ended just then, and seconds before each."""


class _Stopped(Exception):
    """Nothing came, because what should bring it has ended."""

    def __init__(self, error: NotFoundError) -> None:
        super().__init__(error.message)
        self.error = error


class Files:
    """Reads from one store, and over the network through `reading`."""

    def __init__(self, store: Store, reading: Reading) -> None:
        self._store, self._reading = store, reading

    async def answer(self, request: Request, root: Cid, names: list[bytes], place: str) -> Response:
        """What lies at `names` below `root`, whose URL is `place`. NotFoundError, DecodeError; TooSlowError if nothing comes."""
        try:
            end = await walk_path(self._store, root, names)
        except NotFoundError:
            if await self._is_whole(root):
                raise
            return await self._arriving(request, root, names, place)
        view = parse_node(end.cid, end.block)
        if isinstance(view, FolderView | ShardView):
            return await self._folder(request, root, end.cid, names, place)
        if isinstance(view, SymlinkView):
            raise NotFoundError("this is a symbolic link; links are not followed")
        assert isinstance(view, FileView | RawView)
        roots = ",".join(map(str, end.roots))
        if isinstance(view, RawView):
            return _respond(request, names, place, _Bytes(end.block), end.cid, roots)
        stack = AsyncExitStack()
        if await self._is_whole(root):
            file = await stack.enter_async_context(self._reading.open_file(end.cid))
            return await _respond_file(request, names, place, file, end.cid, roots, stack)
        return await self._arriving(request, root, names, place)

    async def _is_whole(self, root: Cid) -> bool:
        """Whether nothing of the content has to come from elsewhere: a part of a content that is held counts too."""
        content = await self._store.read(lambda tx: tx.content(root))
        if content is not None:
            return content.state == "complete"
        return await self._store.read_block(root) is not None

    async def _arriving(self, request: Request, root: Cid, names: list[bytes], place: str) -> Response:
        """From a content that is not here in full: it is fetched while it is read, what is asked for first."""
        for again in range(REOPENINGS, -1, -1):
            try:
                return await self._arriving_once(request, root, names, place)
            except _Stopped as stopped:  # the fetch ended with the reader before us, at the moment when we joined it
                if not again:
                    raise NotFoundError(stopped.error.message, hint=stopped.error.hint) from stopped
                await trio.sleep(REOPEN_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    async def _arriving_once(self, request: Request, root: Cid, names: list[bytes], place: str) -> Response:
        stack = AsyncExitStack()
        try:
            with trio.fail_after(OPEN_TIMEOUT_S):
                try:
                    content = await stack.enter_async_context(self._reading.open(root))
                except NotFoundError as error:
                    raise _Stopped(error) from error
            path = b"/".join(name for name in names if name).decode("utf-8", "replace")
            try:
                file = content.file(path)
            except UsageError as error:
                await stack.aclose()
                return await self._folder_or_refuse(request, root, names, place, error)
            roots, _ = await resolve(self._store, root, names)
            return await _respond_file(request, names, place, file, roots[-1], ",".join(map(str, roots)), stack)
        except BaseException:
            with trio.CancelScope(shield=True):
                await stack.aclose()
            raise

    async def _folder_or_refuse(
        self, request: Request, root: Cid, names: list[bytes], place: str, error: UsageError
    ) -> Response:
        end = await walk_path(self._store, root, names)
        if isinstance(parse_node(end.cid, end.block), FolderView | ShardView):
            return await self._folder(request, root, end.cid, names, place)
        raise NotFoundError(error.message)

    async def _folder(self, request: Request, root: Cid, cid: Cid, names: list[bytes], place: str) -> Response:
        if not request.folder and names:
            return Response(301, {"location": place + "/".join(map(_quoted, names)) + "/"}, length=0)
        if not names and not request.folder:
            return Response(301, {"location": place}, length=0)
        entries = await self._entries(cid)
        if any(entry.name == INDEX for entry in entries) and "list" not in request.query:
            return await self.answer(request, root, [*names, INDEX], place)
        etag = f'"DirIndex-{cid}"'
        if matches(request.headers.get("if-none-match"), etag):
            return Response(304, {"etag": etag}, length=0)
        page = await trio.to_thread.run_sync(folder_page, names, entries[:LISTED_ENTRIES], len(entries))
        page.headers |= {"etag": etag, "x-ipfs-path": _ipfs_path(root, names), "x-ipfs-roots": str(root)}
        return page

    async def _entries(self, cid: Cid) -> list[Entry]:
        """Entries of a folder, of all of its shards, by name bytes."""
        found: list[Entry] = []
        todo = [cid]
        visits = 0
        while todo:
            here = todo.pop()
            visits += 1
            if visits + len(found) > MAX_VISITS:
                raise RefusedError("this folder has more entries than anybody can look at")
            view = parse_node(here, await held_block(self._store, here))
            if isinstance(view, ShardView):
                todo.extend(view.shards)
            if not isinstance(view, FolderView | ShardView):
                raise DecodeError(f"{here} is part of a folder, but is none")
            found += [Entry(entry.name, entry.cid, entry.tsize or 0) for entry in view.entries]
        return sorted(found, key=lambda entry: entry.name)


class _Bytes:
    """A file that is one block."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)


def _respond(request: Request, names: list[bytes], place: str, file: _Bytes, cid: Cid, roots: str) -> Response:
    head, part = _head(request, names, place, file.size, file.data[:SNIFF_BYTES], cid, roots)
    if part is not None:
        head.body = file.data[part[0] : part[0] + part[1]]
    return head


async def _respond_file(
    request: Request, names: list[bytes], place: str, file: ReadableFile, cid: Cid, roots: str, stack: AsyncExitStack
) -> Response:
    """The response whose body keeps the content open until it was sent. Its first bytes are here before its head is."""
    async with AsyncExitStack() as guard:
        guard.push_async_exit(stack)
        first = b""
        if not names or b"." not in names[-1]:
            first = await _first(file.read_range(0, SNIFF_BYTES))
        head, part = _head(request, names, place, file.size, first, cid, roots)
        if part is not None and part[1] and request.method == "GET":
            parts = file.read_range(*part)
            guard.push_async_callback(parts.aclose)
            head.body = _stream(await _first(parts), parts)
            head.held = guard.pop_all()
    return head


async def _first(parts: AsyncGenerator[bytes, None]) -> bytes:
    """The first of them, or nothing. _Stopped if the fetch that should bring it ended."""
    with trio.fail_after(OPEN_TIMEOUT_S):
        try:
            return await anext(parts, b"")
        except NotFoundError as error:
            raise _Stopped(error) from error


async def _stream(first: bytes, parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for data in parts:
        yield data


def _head(
    request: Request, names: list[bytes], place: str, size: int, first: bytes, cid: Cid, roots: str
) -> tuple[Response, tuple[int, int] | None]:
    """Status and headers, and which bytes are to follow (None: none)."""
    root = roots.partition(",")[0]
    etag = f'"{cid}"'
    if matches(request.headers.get("if-none-match"), etag):
        return Response(304, {"etag": etag}, length=0), None
    name = request.query.get("filename") or (names[-1].decode("utf-8", "replace") if names else str(cid))
    kind = kind_of(name, first, download=request.query.get("download") == "true")
    headers = {
        "content-type": kind.type,
        "content-disposition": disposition(name, download=kind.download),
        "content-security-policy": content_policy(kind.type, place),
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=29030400, immutable",
        "etag": etag,
        "x-ipfs-path": f"/ipfs/{root}" + "".join("/" + _quoted(name) for name in names),
        "x-ipfs-roots": roots,
    }
    try:
        part = one_range(request, size, etag)
    except ValueError:
        return Response(416, {"content-range": f"bytes */{size}", "etag": etag}, length=0), None
    if part is None:
        return Response(200, headers, length=size), (0, size)
    headers["content-range"] = f"bytes {part[0]}-{part[0] + part[1] - 1}/{size}"
    return Response(206, headers, length=part[1]), part


def _ipfs_path(root: Cid, names: list[bytes]) -> str:
    return f"/ipfs/{root}/" + "".join(_quoted(name) + "/" for name in names)


def _quoted(name: bytes) -> str:
    return quote(name, safe="")
