"""Reading a file of a content by ranges: from this disk where it is held, over the network while it arrives where it is not.

Whoever reads gets verified bytes and nothing else. Only what lies ahead of the reading point is fetched, a bounded way ahead, and what
was fetched for a reader is kept like anything else that was fetched. Called by the methods of the control socket and by the gateway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from p2pnode.core.cid import Cid
from p2pnode.core.dag import inline_block
from p2pnode.core.layout import Piece, Skeleton
from p2pnode.core.leaf import leaf_data
from p2pnode.core.skeleton import inline_bytes
from p2pnode.errors import NotFoundError, RefusedError, UsageError
from p2pnode.limits import MIB
from p2pnode.ports import Store, Work
from p2pnode.services.awaited import Awaited
from p2pnode.services.credit import Credits
from p2pnode.services.fetch import Fetching
from p2pnode.services.running import OnProgress
from p2pnode.services.transfers import Transfers
from p2pnode.services.walk import read_skeleton

READ_AHEAD_BYTES = 4 * MIB
"""Bytes of leaves ahead of the reading point that are read together from this disk, or asked for and held: a few of our leaves."""
READ_TOGETHER = 256
"""Leaves looked up together at most: tiny ones."""
MAX_READERS = 32
"""Contents open for reading at a time: each may hold what it reads ahead."""


class ReadableFile:
    """One file of an open content. `path` is relative to the content and "" for a content that is a file; `size` in bytes."""

    def __init__(self, store: Store, skeleton: Skeleton, index: int, fetching: Fetching | None) -> None:
        file = skeleton.files[index]
        self._store, self._skeleton, self._index, self._fetching = store, skeleton, index, fetching
        self.path, self.size = file.path, file.size
        self._pieces = sorted([*file.leaves, *file.inline], key=lambda piece: piece[1])
        self._has_room = fetching is None

    async def read_range(self, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Bytes from `offset` on, `length` of them at most, in parts of at most a block. Nothing beyond the end.

        Waits for providers as long as it must; cancel its scope to stop. NotFoundError: a block is not here and cannot be had;
        ChangedError: the file was published in place and changed since; RefusedError: no room to keep what is read.
        """
        if offset < 0 or (length is not None and length < 0):
            raise UsageError("a range begins at 0 or later and is not of negative length")
        end = self.size if length is None else min(self.size, offset + length)
        wanted = [piece for piece in self._pieces if piece[1] < end and piece[1] + piece[2] > offset]
        blocks = self._held(wanted) if self._fetching is None else self._fetched(wanted, self._fetching)
        async with aclosing(blocks):
            async for start, block in blocks:
                if part := block[max(offset - start, 0) : end - start]:
                    yield part

    def _carried(self, cid: Cid) -> bytes | None:
        """What needs no look-up: bytes inside an interior node, or inside the CID itself."""
        return inline_bytes(self._skeleton, cid) if cid in self._skeleton.blocks else inline_block(cid)

    async def _held(self, pieces: Sequence[Piece]) -> AsyncGenerator[tuple[int, bytes], None]:
        """(offset, bytes) of pieces that lie on this disk, several read together."""
        ready: deque[bytes | None] = deque()
        for at, (cid, start, _) in enumerate(pieces):
            block = self._carried(cid)
            if block is None:
                if not ready:
                    ahead = [each for each, _, _ in pieces[at : at + READ_TOGETHER] if self._carried(each) is None]
                    ready.extend(await self._store.read_blocks(ahead, max_bytes=READ_AHEAD_BYTES))
                block = ready.popleft()
                block = None if block is None else leaf_data(cid, block)
            if block is None:
                raise NotFoundError(f"block {cid} is not here any more", hint="fetch the work again")
            yield start, block

    async def _fetched(self, pieces: Sequence[Piece], fetching: Fetching) -> AsyncGenerator[tuple[int, bytes], None]:
        """The same where leaves may still have to come: those just ahead are asked for before all others."""
        if not self._has_room:
            await fetching.open(self._index)
            self._has_room = True
        window: deque[tuple[Piece, Awaited | None]] = deque()
        ahead = 0
        rest = deque(pieces)
        try:
            while rest or window:
                while rest and (not window or ahead + rest[0][2] <= READ_AHEAD_BYTES):
                    piece = rest.popleft()
                    is_leaf = self._carried(piece[0]) is None
                    window.append((piece, fetching.expect(piece[0], piece[2]) if is_leaf else None))
                    ahead += piece[2]
                (cid, start, length), awaited = window[0]
                block = await awaited.take() if awaited is not None else await self._block(cid, fetching)
                window.popleft()
                ahead -= length
                yield start, block
        finally:
            for (cid, _, _), awaited in window:
                if awaited is not None:
                    fetching.unexpect(cid, awaited)

    async def _block(self, cid: Cid, fetching: Fetching) -> bytes:
        block = self._carried(cid)
        if block is None:
            block = await fetching.block(cid)
        if block is None:
            raise NotFoundError(f"block {cid} is not here any more", hint="fetch the work again")
        return block


class OpenContent:
    """A content whose skeleton is known: its files, folders and links are in `skeleton`, and any of its files can be read."""

    def __init__(self, store: Store, skeleton: Skeleton, fetching: Fetching | None) -> None:
        self._store, self.skeleton, self._fetching = store, skeleton, fetching

    def file(self, path: str = "") -> ReadableFile:
        """The file at `path` ("" for a content that is one file). NotFoundError: no such file; UsageError: it is a folder or a link."""
        path = path.strip("/")
        for index, file in enumerate(self.skeleton.files):
            if file.path == path:
                return ReadableFile(self._store, self.skeleton, index, self._fetching)
        if path in self.skeleton.folders:
            raise UsageError(f"{path or 'this'} is a folder", hint="name a file in it; p2pnode show WORK lists them")
        if any(link == path for link, _ in self.skeleton.symlinks):
            raise UsageError(f"{path or 'this'} is a symbolic link; links are not followed")
        raise NotFoundError(f"there is no file {path!r} in it", hint="p2pnode show WORK lists what there is")


class Reading:
    """Opens contents for reading. Without `transfers` only what is here."""

    def __init__(self, store: Store, transfers: Transfers | None = None) -> None:
        self._store, self._transfers = store, transfers
        self._readers = 0
        self.credits = Credits()

    @asynccontextmanager
    async def open(
        self, root: Cid, work: Work | None = None, on_progress: OnProgress | None = None
    ) -> AsyncIterator[OpenContent]:
        """The content of `root`, for as long as the block lasts; what it lacks is fetched while it is read.

        Waits for providers as long as it must. RefusedError: too many readers, or its transfer is paused.
        """
        if self._readers >= MAX_READERS:
            raise RefusedError(f"{MAX_READERS} contents are being read already", hint="end one of these first")
        self._readers += 1
        try:
            async with AsyncExitStack() as stack:
                yield await self._open(root, work, on_progress, stack)
        finally:
            self._readers -= 1

    async def _open(
        self, root: Cid, work: Work | None, on_progress: OnProgress | None, stack: AsyncExitStack
    ) -> OpenContent:
        held = await self._store.read(lambda tx: tx.content(root))
        if self._transfers is None or (held is not None and held.state == "complete"):
            return OpenContent(self._store, await read_skeleton(self._store, root), None)
        fetching = await stack.enter_async_context(self._transfers.reading(root, work, on_progress))
        return OpenContent(self._store, await fetching.skeleton(), fetching)

    @asynccontextmanager
    async def open_file(
        self, root: Cid, path: str = "", work: Work | None = None, on_progress: OnProgress | None = None
    ) -> AsyncIterator[ReadableFile]:
        """One file of it: `async with reading.open_file(root, "a/b") as file: async for part in file.read_range(0, 100): ...`."""
        async with self.open(root, work, on_progress) as content:
            yield content.file(path)


def split_reference(text: str) -> tuple[str, str]:
    """(work or CID, path inside) of `WORK/path`; the path is "" without one."""
    reference, _, path = text.partition("/")
    return reference, path.strip("/")
