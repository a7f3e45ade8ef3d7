"""From a content path to the block at its end: `/ipfs/CID/a/b` as IPFS has it, over blocks that are held here.

The blocks on the way are given too: whoever asks for a verifiable answer needs them. Nothing is fetched. Called by the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.dag import inline_block
from p2pnode.core.skeleton import MAX_DEPTH
from p2pnode.core.unixfs_path import step
from p2pnode.errors import NotFoundError, RefusedError
from p2pnode.ports import Store


@dataclass(frozen=True, slots=True)
class Terminus:
    """Where a path ends. `roots` are the CIDs at each segment, the first and the last included; `way` every block walked through."""

    cid: Cid
    block: bytes
    roots: tuple[Cid, ...]
    way: tuple[tuple[Cid, bytes], ...]


async def walk_path(store: Store, root: Cid, names: Sequence[bytes]) -> Terminus:
    """Follow names from folder to folder. NotFoundError: no such entry, or a block is not here; DecodeError: no folder on the way."""
    roots, way = await resolve(store, root, names)
    return Terminus(roots[-1], await held_block(store, roots[-1]), roots, way)


async def resolve(
    store: Store, root: Cid, names: Sequence[bytes]
) -> tuple[tuple[Cid, ...], tuple[tuple[Cid, bytes], ...]]:
    """As `walk_path`, without the block at the end, which need not be here: (CIDs at each segment, blocks walked through)."""
    if len(names) > MAX_DEPTH:
        raise RefusedError(f"a path of {len(names)} names is longer than any content is deep")
    roots, way = [root], []
    for name in names:
        block = await held_block(store, roots[-1])
        way.append((roots[-1], block))
        roots.append(await _enter(store, roots[-1], block, name, way))
    return tuple(roots), tuple(way)


async def _enter(store: Store, cid: Cid, block: bytes, name: bytes, way: list[tuple[Cid, bytes]]) -> Cid:
    todo = [(cid, block, 0)]
    while todo:
        here, data, level = todo.pop()
        looked = step(here, data, name, level)
        if looked.found is not None:
            return looked.found
        for shard in looked.shards:
            below = await held_block(store, shard)
            way.append((shard, below))
            todo.append((shard, below, level + 1))
    raise NotFoundError(f"there is no {name.decode('utf-8', 'replace')!r} in it")


async def held_block(store: Store, cid: Cid) -> bytes:
    """A block that is here, or that the CID carries. NotFoundError otherwise."""
    block = inline_block(cid)
    if block is None:
        block = await store.read_block(cid)
    if block is None:
        raise NotFoundError(f"{cid} is not here", hint="fetch it first: p2pnode get")
    return block
