"""Walking the skeleton of a content that is fetched: its interior nodes, from the store where they are held, else from the swarm.

Called by services.fetch before a single leaf is asked for; within the limits of core.skeleton.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.layout import Skeleton
from p2pnode.core.skeleton import SkeletonWalk
from p2pnode.errors import NotFoundError, StoreError, TimedOutError
from p2pnode.limits import KIB, MIB
from p2pnode.ports import Store
from p2pnode.services.swarm import Swarm

WALK_BATCH = 256
"""Interior nodes looked up in the store at a time."""
INTERIOR_GUESS_BYTES = 32 * KIB
"""Bytes that an interior node is taken to have before it comes: what is asked ahead is reckoned by it."""
MAX_EARLY_BYTES = 32 * MIB
"""Leaves that had to be loaded for their length and are kept until the files are laid out; what is more is loaded again."""
SMALL_VISITS = 10_000
"""Links of a skeleton that is laid out at once; a larger one in a worker thread."""


async def walk_skeleton(store: Store, swarm: Swarm, walk: SkeletonWalk) -> tuple[Skeleton, dict[Cid, bytes]]:
    """The skeleton, and leaves that were loaded on the way. DecodeError: malformed; RefusedError: over a limit."""
    early: dict[Cid, bytes] = {}
    early_bytes = 0

    def feed(cid: Cid, block: bytes) -> None:
        nonlocal early_bytes
        walk.feed(cid, block)
        if walk.is_leaf(cid) and cid not in early and early_bytes + len(block) <= MAX_EARLY_BYTES:
            early[cid] = block
            early_bytes += len(block)

    while not walk.done:
        while walk.busy:
            await trio.lowlevel.checkpoint()
            walk.step()
        needed = walk.wanted(WALK_BATCH)
        absent = []
        held = await held_blocks(store, needed)
        for cid in needed:
            block = held.get(cid)
            if block is None:
                absent.append((cid, INTERIOR_GUESS_BYTES))
            else:
                feed(cid, block)
        swarm.wanted(absent)
        if not needed and not walk.done:
            for cid, block in await swarm.blocks.receive():
                feed(cid, block)
    return await laid_out(walk), early


async def laid_out(walk: SkeletonWalk) -> Skeleton:
    """The result of a walk that is done, without holding up the node."""
    if walk.visits < SMALL_VISITS:
        return walk.result()
    return await trio.to_thread.run_sync(walk.result)


async def read_skeleton(store: Store, root: Cid) -> Skeleton:
    """The skeleton of a content that is held. NotFoundError if a node is missing."""
    walk = SkeletonWalk(root)
    while not walk.done:
        while walk.busy:
            await trio.lowlevel.checkpoint()
            walk.step()
        needed = walk.wanted(WALK_BATCH)
        held = await held_blocks(store, needed)
        for cid in needed:
            if cid not in held:
                raise NotFoundError(f"block {cid} is not here any more", hint="fetch the work again")
            walk.feed(cid, held[cid])
    return await laid_out(walk)


async def held_blocks(store: Store, cids: Sequence[Cid]) -> dict[Cid, bytes]:
    """Those of these blocks that are held and right."""
    found: dict[Cid, bytes] = {}
    at = 0
    while at < len(cids):
        try:
            blocks = await store.read_blocks(cids[at:], max_bytes=MIB)
        except (StoreError, TimedOutError):
            at += 1
            continue
        found.update((cid, block) for cid, block in zip(cids[at:], blocks, strict=False) if block is not None)
        at += len(blocks)
    return found
