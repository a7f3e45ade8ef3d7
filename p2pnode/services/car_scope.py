"""Which blocks of a DAG an archive holds when not all are wanted: the root alone, one file or folder, or a range of a file's bytes.

`dag-scope` and `entity-bytes` of the trustless gateway specification. Called by the gateway.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, get_args

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dag import FileView, FolderView, RawView, ShardView, SymlinkView, inline_block, parse_node
from p2pnode.errors import DecodeError
from p2pnode.ports import Store
from p2pnode.services.car_blocks import Block, dag_blocks
from p2pnode.services.content_path import held_block

Scope = Literal["block", "entity", "all"]
SCOPES = get_args(Scope)
_RANGE = re.compile(r"(-?\d{1,15}):(-?\d{1,15}|\*)")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `first` to `last` of a file, both included; negative ones count from the end, None is the end."""

    first: int
    last: int | None

    @classmethod
    def parse(cls, text: str) -> ByteRange | None:
        """As the query has it: FROM:TO; None if it is not."""
        found = _RANGE.fullmatch(text)
        if found is None:
            return None
        return cls(int(found[1]), None if found[2] == "*" else int(found[2]))

    def within(self, size: int) -> tuple[int, int]:
        """(offset, end) in a file of that size; empty when end <= offset."""
        first = max(0, size + self.first) if self.first < 0 else self.first
        last = size - 1 if self.last is None else size + self.last if self.last < 0 else self.last
        return first, min(last + 1, size)

    def misses(self, cid: Cid, block: bytes) -> bool:
        """Whether nothing of the file at this block lies in the range; False for what is no file."""
        size = _file_size(cid, block)
        if size is None or size == 0:
            return False
        first, end = self.within(size)
        return end <= first


def _file_size(cid: Cid, block: bytes) -> int | None:
    try:
        view = parse_node(cid, block)
    except DecodeError:
        return None
    if isinstance(view, RawView):
        return view.length
    return view.size if isinstance(view, FileView) else None


async def scope_blocks(
    store: Store, cid: Cid, scope: Scope, part: ByteRange | None, seen: set[Cid]
) -> AsyncGenerator[list[Block], None]:
    """The blocks that are not in `seen`, which grows; parents first. Errors as `dag_blocks`."""
    block = await held_block(store, cid)
    if scope == "all":
        chosen = dag_blocks(store, cid, seen)
    elif scope == "block":
        chosen = _given([(cid, block)], seen)
    else:
        chosen = _entity(store, cid, block, part, seen)
    async with aclosing(chosen):
        async for batch in chosen:
            yield batch


async def _given(blocks: list[Block], seen: set[Cid]) -> AsyncGenerator[list[Block], None]:
    fresh = [(cid, block) for cid, block in blocks if cid not in seen and inline_block(cid) is None]
    seen.update(cid for cid, _ in fresh)
    if fresh:
        yield fresh


async def _entity(
    store: Store, cid: Cid, block: bytes, part: ByteRange | None, seen: set[Cid]
) -> AsyncGenerator[list[Block], None]:
    try:
        view = parse_node(cid, block)
    except DecodeError:
        view = SymlinkView(b"")  # whatever is no file or folder: its block alone
    if isinstance(view, FileView) and part is None:
        chosen = dag_blocks(store, cid, seen)
    elif isinstance(view, FileView):
        assert part is not None
        chosen = _ranges(store, cid, *part.within(view.size), seen)
    elif isinstance(view, ShardView):
        chosen = _shards(store, cid, seen)
    else:
        assert isinstance(view, RawView | FolderView | SymlinkView)
        chosen = _given([(cid, block)], seen)
    async with aclosing(chosen):
        async for batch in chosen:
            yield batch


async def _shards(store: Store, root: Cid, seen: set[Cid]) -> AsyncGenerator[list[Block], None]:
    todo = [root]
    while todo:
        cid = todo.pop()
        if cid in seen:
            continue
        block = await held_block(store, cid)
        view = parse_node(cid, block)
        if isinstance(view, ShardView):
            todo.extend(reversed(view.shards))
        async for batch in _given([(cid, block)], seen):
            yield batch


async def _ranges(store: Store, root: Cid, first: int, end: int, seen: set[Cid]) -> AsyncGenerator[list[Block], None]:
    """The nodes and leaves of a file that hold bytes first..end-1; the root in any case."""
    todo = [(root, 0)]
    while todo:
        cid, offset = todo.pop()
        block = await held_block(store, cid)
        if cid.codec != RAW:
            view = parse_node(cid, block)
            if not isinstance(view, FileView):
                raise DecodeError(f"{cid} is part of a file, but is no file")
            todo.extend(reversed(_overlapping(view, offset, first, end)))
        async for batch in _given([(cid, block)], seen):
            yield batch


def _overlapping(view: FileView, offset: int, first: int, end: int) -> list[tuple[Cid, int]]:
    at = offset + len(view.data)
    found = []
    for cid, length in view.children:
        if at < end and at + length > first:
            found.append((cid, at))
        at += length
    return found
