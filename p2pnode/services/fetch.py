"""The journey "fetch": a content from many providers, nothing of it trusted, nothing of it fetched twice.

Skeleton first (interior nodes, within the limits of core.skeleton), then the leaves. What was verified is kept by the store at once,
so a fetch that was cancelled or cut off goes on where it was: what is missing is a set difference. Called by the transfers service.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dag import inline_block
from p2pnode.core.ids import PeerId
from p2pnode.core.layout import Skeleton, SkeletonFile
from p2pnode.core.skeleton import MAX_CONTENT_BYTES, SkeletonWalk, inline_bytes
from p2pnode.errors import ChangedError, DecodeError, P2pnodeError
from p2pnode.limits import KIB, MIB
from p2pnode.ports import Content, Incoming, Network, Store, WantedFile
from p2pnode.services.swarm import FindMore, Swarm
from p2pnode.services.transfer import Transfer

WALK_BATCH = 256
"""Interior nodes looked up in the store at a time."""
INTERIOR_GUESS_BYTES = 32 * KIB
"""Bytes that an interior node is taken to have before it comes: what is asked ahead is reckoned by it."""
MAX_EARLY_BYTES = 8 * MIB
"""Raw leaves that had to be loaded for their length and are kept until the files are laid out."""
SMALL_VISITS = 10_000
"""Links of a skeleton that is laid out at once; a larger one in a worker thread."""
CHECKPOINT_TIMEOUT_S = 20.0
"""Seconds to bring to the disk what was verified when a fetch is cancelled."""


async def fetch(
    network: Network,
    store: Store,
    root: Cid,
    name: str,
    *,
    providers: Sequence[PeerId],
    find_more: FindMore | None,
    transfer: Transfer,
    max_bytes: int = MAX_CONTENT_BYTES,
) -> Content:
    """Fetch `root` into the library under `name`; returns when it is complete and on the disk.

    It waits for providers as long as it must (`transfer` says so); cancel its scope to stop, and call again to go on. DecodeError: the
    content is malformed; RefusedError: over a limit, over `max_bytes` or over quota; StoreError: the disk.
    """
    held = await store.read(lambda tx: tx.content(root))
    if held is not None and held.state == "complete":
        transfer.begin(held.size, held.size)
        transfer.say("done", "it was here already")
        return held
    swarm = Swarm(network, root, transfer, find_more)
    outcome: list[Content | P2pnodeError] = []

    async def journey() -> None:
        try:
            skeleton, early = await _walk(store, swarm, SkeletonWalk(root, max_bytes=max_bytes))
            outcome.append(await _leaves(store, swarm, name, skeleton, early, transfer))
        except P2pnodeError as error:  # out of a nursery it would come as a group
            outcome.append(error)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(swarm.run, providers)
            await journey()
            nursery.cancel_scope.cancel()
    finally:
        if not outcome:
            transfer.say("cancelled", "stopped; what was verified is kept, and the next fetch goes on from there")
    if isinstance(outcome[0], P2pnodeError):
        transfer.say("failed", outcome[0].message)
        raise outcome[0]
    transfer.say("done", "every byte was verified and is on the disk")
    return outcome[0]


async def _walk(store: Store, swarm: Swarm, walk: SkeletonWalk) -> tuple[Skeleton, dict[Cid, bytes]]:
    """The skeleton, from the store where it is held, and raw leaves that were loaded on the way."""
    early: dict[Cid, bytes] = {}
    early_bytes = 0

    def feed(cid: Cid, block: bytes) -> None:
        nonlocal early_bytes
        walk.feed(cid, block)
        if cid.codec == RAW and early_bytes + len(block) <= MAX_EARLY_BYTES:
            early[cid] = block
            early_bytes += len(block)

    while not walk.done:
        while walk.busy:
            await trio.lowlevel.checkpoint()
            walk.step()
        needed = walk.wanted(WALK_BATCH)
        absent = []
        for cid in needed:
            held = await _held(store, cid)
            if held is None:
                absent.append((cid, INTERIOR_GUESS_BYTES))
            else:
                feed(cid, held)
        swarm.wanted(absent)
        if not needed and not walk.done:
            for cid, block in await swarm.blocks.receive():
                feed(cid, block)
    if walk.visits < SMALL_VISITS:
        return walk.result(), early
    return await trio.to_thread.run_sync(walk.result), early


async def _held(store: Store, cid: Cid) -> bytes | None:
    try:
        return await store.read_block(cid)
    except ChangedError:
        return None


async def _leaves(
    store: Store, swarm: Swarm, name: str, skeleton: Skeleton, early: dict[Cid, bytes], transfer: Transfer
) -> Content:
    files = [_wanted_file(skeleton, file) for file in skeleton.files]
    incoming = await store.start_incoming(
        skeleton.root, name, skeleton.blocks.items(), files, folders=[path for path in skeleton.folders if path]
    )
    try:
        await _receive(store, incoming, swarm, files, early, transfer)
    except trio.Cancelled:
        with trio.CancelScope(deadline=trio.current_time() + CHECKPOINT_TIMEOUT_S, shield=True):
            await incoming.checkpoint()
        raise
    return await incoming.finish()


async def _receive(
    store: Store,
    incoming: Incoming,
    swarm: Swarm,
    files: Sequence[WantedFile],
    early: dict[Cid, bytes],
    transfer: Transfer,
) -> None:
    lengths = {cid: length for file in files for cid, _, length in file.leaves}
    missing = dict.fromkeys(incoming.missing)
    total = sum(lengths.values())
    transfer.begin(total - sum(lengths[cid] for cid in missing), total)

    async def put(cid: Cid, block: bytes) -> None:
        if len(block) != lengths[cid]:
            raise DecodeError(
                f"leaf {cid} has {len(block)} bytes where its tree says {lengths[cid]}: the work is damaged"
            )
        await incoming.put_leaf(cid, block)
        del missing[cid]
        transfer.arrived(len(block))

    elsewhere = await store.read(lambda tx: tx.has(missing))  # other works hold these already
    for cid in [cid for cid in missing if cid in early or cid in elsewhere]:
        block = early.get(cid) or await _held(store, cid)
        if block is not None:
            await put(cid, block)
    swarm.wanted((cid, lengths[cid]) for cid in missing)
    while missing:
        for cid, block in await swarm.blocks.receive():
            if cid in missing:
                await put(cid, block)


def _wanted_file(skeleton: Skeleton, file: SkeletonFile) -> WantedFile:
    """As the store wants it: what interior nodes and identity CIDs carry goes inline, the rest are leaves to be fetched."""
    inline = [(offset, inline_bytes(skeleton, cid)) for cid, offset, _ in file.inline]
    leaves = []
    for cid, offset, length in file.leaves:
        carried = inline_block(cid)
        if carried is None:
            leaves.append((cid, offset, length))
        elif len(carried) == length:
            inline.append((offset, carried))
        else:
            raise DecodeError(f"leaf {cid} has {len(carried)} bytes where its tree says {length}: the work is damaged")
    return WantedFile(file.path, file.size, tuple(leaves), tuple(sorted(inline)))
