"""Reading a file of a content by ranges: from this disk where it is held, over the network while it arrives where it is not.

Whoever reads gets verified bytes and nothing else. Only what lies ahead of the reading point is fetched, a bounded way ahead, and what
was fetched for a reader is kept like anything else that was fetched. Called by the methods of the control socket and by the gateway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.dag import inline_block
from p2pnode.core.layout import Skeleton, SkeletonFile
from p2pnode.core.skeleton import inline_bytes
from p2pnode.errors import NotFoundError, UsageError
from p2pnode.limits import MIB
from p2pnode.ports import Store
from p2pnode.services.export import read_skeleton

READ_AHEAD_BYTES = 4 * MIB
"""Bytes of leaves that are read together ahead of the reading point when they lie on this disk."""


class ReadableFile:
    """One file of an open content. `path` is relative to the content and "" for a content that is a file; `size` in bytes."""

    def __init__(self, store: Store, skeleton: Skeleton, file: SkeletonFile) -> None:
        self._store, self._skeleton, self._file = store, skeleton, file
        self.path, self.size = file.path, file.size
        self._pieces = sorted([*file.leaves, *file.inline], key=lambda piece: piece[1])

    async def read_range(self, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Bytes from `offset` on, `length` of them at most, in parts of at most a block. Nothing beyond the end.

        NotFoundError: a block is not here and cannot be had; ChangedError: the file was published in place and changed since.
        """
        if offset < 0 or (length is not None and length < 0):
            raise UsageError("a range begins at 0 or later and is not of negative length")
        end = self.size if length is None else min(self.size, offset + length)
        wanted = [piece for piece in self._pieces if piece[1] < end and piece[1] + piece[2] > offset]
        async for (_, start, _), block in self._blocks(wanted):
            part = block[max(offset - start, 0) : end - start]
            if part:
                yield part

    async def _blocks(
        self, pieces: Sequence[tuple[Cid, int, int]]
    ) -> AsyncIterator[tuple[tuple[Cid, int, int], bytes]]:
        at = 0
        while at < len(pieces):
            cid = pieces[at][0]
            if cid in self._skeleton.blocks or inline_block(cid) is not None:
                yield pieces[at], inline_bytes(self._skeleton, cid)
                at += 1
                continue
            ahead = [piece[0] for piece in pieces[at : at + 256] if piece[0] not in self._skeleton.blocks]
            for block in await self._store.read_blocks(ahead, max_bytes=READ_AHEAD_BYTES):
                if block is None:
                    raise NotFoundError(f"block {pieces[at][0]} is not here", hint="fetch the work again")
                while inline_block(pieces[at][0]) is not None or pieces[at][0] in self._skeleton.blocks:
                    yield pieces[at], inline_bytes(self._skeleton, pieces[at][0])
                    at += 1
                yield pieces[at], block
                at += 1


class OpenContent:
    """A content whose skeleton is known: its files, folders and links are in `skeleton`, and any of its files can be read."""

    def __init__(self, store: Store, skeleton: Skeleton) -> None:
        self._store, self.skeleton = store, skeleton

    def file(self, path: str = "") -> ReadableFile:
        """The file at `path` ("" for a content that is one file). NotFoundError: no such file; UsageError: it is a folder or a link."""
        path = path.strip("/")
        for file in self.skeleton.files:
            if file.path == path:
                return ReadableFile(self._store, self.skeleton, file)
        if path in self.skeleton.folders:
            raise UsageError(f"{path or 'this'} is a folder", hint="name a file in it; p2pnode show WORK lists them")
        if any(link == path for link, _ in self.skeleton.symlinks):
            raise UsageError(f"{path or 'this'} is a symbolic link; links are not followed")
        raise NotFoundError(f"there is no file {path!r} in it", hint="p2pnode show WORK lists what there is")


class Reading:
    """Opens contents for reading."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def open(self, root: Cid) -> AsyncIterator[OpenContent]:
        """The content of `root`, for as long as the block lasts; what it lacks is fetched while it is read."""
        skeleton = await read_skeleton(self._store, root)
        await trio.lowlevel.checkpoint()
        yield OpenContent(self._store, skeleton)

    @asynccontextmanager
    async def open_file(self, root: Cid, path: str = "") -> AsyncIterator[ReadableFile]:
        """One file of it: `async with reading.open_file(root, "a/b") as file: async for part in file.read_range(0, 100): ...`."""
        async with self.open(root) as content:
            yield content.file(path)
