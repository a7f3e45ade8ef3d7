"""The blocks of a DAG in the one order in which archives carry them: depth first, a parent before its children, each block once.

That is the `order=dfs; dups=n` of the trustless gateway specification. Nothing is interpreted but links, so what cannot be laid out as
files can still be archived. Called by services.car_export, services.bundle_export and the gateway.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import trio

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dag import inline_block
from p2pnode.core.dagpb import decode_node
from p2pnode.core.skeleton import MAX_VISITS
from p2pnode.errors import NotFoundError, RefusedError
from p2pnode.limits import MIB
from p2pnode.ports import Store

Block = tuple[Cid, bytes]

READ_CIDS = 256
"""Leaves looked up together: ten thousand tiny files are not ten thousand hops to the store's thread."""
READ_BYTES = 4 * MIB
"""... and their bytes that are held at a time."""


async def dag_blocks(store: Store, root: Cid, seen: set[Cid]) -> AsyncGenerator[list[Block], None]:
    """Every block below and with `root` that is not in `seen`, which grows; some at a time. Blocks inside identity CIDs are none.

    NotFoundError: a block is not held; ChangedError, StoreError as the store; RefusedError: more than MAX_VISITS blocks.
    """
    todo = [root]
    while todo:
        batch = _next(todo, seen)
        if not batch:
            await trio.lowlevel.checkpoint()
            continue
        if len(seen) > MAX_VISITS:
            raise RefusedError(f"this content has more than {MAX_VISITS} blocks")
        blocks = await read_all(store, batch)
        taken = list(zip(batch, blocks, strict=False))
        unread = batch[len(taken) :]
        seen.difference_update(unread)
        todo.extend(reversed(unread))
        for cid, block in taken:
            todo.extend(reversed(links(cid, block)))
        yield taken


def _next(todo: list[Cid], seen: set[Cid]) -> list[Cid]:
    """What comes next: one inner node, or leaves that follow one another."""
    batch: list[Cid] = []
    while todo and len(batch) < READ_CIDS and (todo[-1].codec == RAW or not batch):
        cid = todo.pop()
        if cid in seen:
            continue
        if inline_block(cid) is not None:
            todo.extend(reversed(links(cid, cid.digest)))
            continue
        seen.add(cid)
        batch.append(cid)
        if cid.codec != RAW:
            break
    return batch


async def read_all(store: Store, cids: Sequence[Cid]) -> list[bytes]:
    """The first of these blocks, at least one. NotFoundError if that one is not held."""
    found = await store.read_blocks(cids, max_bytes=READ_BYTES)
    held: list[bytes] = []
    for block in found:
        if block is None:
            break
        held.append(block)
    if not held:
        raise NotFoundError(f"block {cids[0]} is not here", hint="fetch the work again: p2pnode get")
    return held


def links(cid: Cid, block: bytes) -> list[Cid]:
    """The CIDs that a (verified) block links to, in order; none where the codec is another than dag-pb. DecodeError: it is malformed."""
    return [link.cid for link in decode_node(block).links] if cid.codec == DAG_PB else []
