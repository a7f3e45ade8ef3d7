"""Taking a content in from a file that somebody handed over: the skeleton first, then the leaves, everything hashed before it counts.

The same rules and limits as for a fetch from peers, the same place in the library, and the same resuming: what was verified is kept, so
taking it again, or fetching it, goes on from there. What the file lacks is taken from the store if it lies there.
Called by services.car_import and services.bundle_import.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.layout import Skeleton
from p2pnode.core.leaf import leaf_data
from p2pnode.core.skeleton import SkeletonWalk
from p2pnode.errors import DecodeError, NotFoundError, P2pnodeError
from p2pnode.limits import MIB
from p2pnode.ports import Content, Incoming, Store, Tx
from p2pnode.services import wanted
from p2pnode.services.outbox import PROVIDE, enqueue_work, root_key
from p2pnode.services.wanted_files import wanted_file

BATCH_BYTES = 8 * MIB
"""Leaves read and hashed in one visit to a worker thread, and held in memory until they are written."""
BATCH_LEAVES = 256
SMALL_VISITS = 10_000
"""Links of a skeleton that is laid out at once; a larger one in a worker thread."""

Read = Callable[[Cid], bytes | None]
"""The bytes that the file has under a CID, unverified; blocking."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A content that is here in full now. `fresh`: it was not before."""

    content: Content
    skeleton: Skeleton
    fresh: bool


async def take_content(
    store: Store, read: Read, root: Cid, name: str, *, max_bytes: int, on_bytes: Callable[[int, int], None]
) -> Taken:
    """Bring `root` into the library under `name`; `on_bytes` gets (verified bytes, bytes altogether) again and again.

    NotFoundError: a block is neither in the file nor in the store; DecodeError: a block is not what its CID says, or the tree is
    malformed; RefusedError: over a limit, `max_bytes` or the quota; StoreError: the disk.
    """
    source = _Source(store, read)
    walk = await _walk(source, SkeletonWalk(root, max_bytes=max_bytes))
    skeleton = walk.result() if walk.visits < SMALL_VISITS else await trio.to_thread.run_sync(walk.result)
    held = await store.read(lambda tx: tx.content(root))
    if held is not None and held.state == "complete":
        on_bytes(held.size, held.size)
        return Taken(held, skeleton, False)
    files = [wanted_file(skeleton, file) for file in skeleton.files]
    folders = [path for path in skeleton.folders if path]
    incoming = await store.start_incoming(root, name, skeleton.blocks.items(), files, folders=folders)
    lengths = {cid: length for file in files for cid, _, length in file.leaves}
    try:
        await _receive(source, incoming, lengths, skeleton.size, on_bytes)
    except BaseException:
        with trio.CancelScope(shield=True):
            await _save(incoming)
        raise
    return Taken(await incoming.finish(), skeleton, True)


async def _walk(source: _Source, walk: SkeletonWalk) -> SkeletonWalk:
    needed: list[Cid] = []
    while not walk.done:
        while walk.busy:
            await trio.lowlevel.checkpoint()
            walk.step()
        needed += walk.wanted(BATCH_LEAVES)
        blocks = await source.blocks(needed[:BATCH_LEAVES])
        del needed[: len(blocks)]
        for cid, block in blocks:
            walk.feed(cid, block)
    return walk


async def _receive(
    source: _Source,
    incoming: Incoming,
    lengths: dict[Cid, int],
    total: int,
    on_bytes: Callable[[int, int], None],
) -> None:
    missing = list(incoming.missing)
    done = total - sum(lengths[cid] for cid in missing)
    on_bytes(done, total)
    at = 0
    while at < len(missing):
        blocks = await source.blocks(missing[at : at + BATCH_LEAVES])
        for cid, block in blocks:
            length = len(leaf_data(cid, block))
            if length != lengths[cid]:
                raise DecodeError(f"leaf {cid} has {length} bytes where its tree says {lengths[cid]}")
            await incoming.put_leaf(cid, block)
            done += length
        at += len(blocks)
        on_bytes(min(done, total), total)


async def _save(incoming: Incoming) -> None:
    with suppress(P2pnodeError):  # the disk itself failed: the first error tells it
        await incoming.checkpoint()


class _Source:
    """The file, and the store for what the file lacks."""

    def __init__(self, store: Store, read: Read) -> None:
        self._store, self._read = store, read

    async def blocks(self, cids: list[Cid]) -> list[tuple[Cid, bytes]]:
        """The first of these blocks, verified; all of them unless they are many bytes."""
        found = await trio.to_thread.run_sync(self._from_file, cids)
        if found and found[-1][1] is None:
            cid = found.pop()[0]
            block = await self._store.read_block(cid)
            if block is None:
                raise NotFoundError(
                    f"the file lacks block {cid}, and it is not here either",
                    hint="what was verified is kept: p2pnode get fetches the rest from others",
                )
            found.append((cid, block))
        return [(cid, block) for cid, block in found if block is not None]

    def _from_file(self, cids: list[Cid]) -> list[tuple[Cid, bytes | None]]:
        """Until BATCH_BYTES are together, or one is not in the file: that one stands last, as None."""
        found: list[tuple[Cid, bytes | None]] = []
        size = 0
        for cid in cids:
            block = self._read(cid)
            if block is not None and not verify_block(cid, block):
                if found:
                    break  # what stands before it is kept
                raise DecodeError(
                    f"what the file has under {cid} are other bytes: it is damaged, or somebody changed it"
                )
            found.append((cid, block))
            if block is None:
                break
            size += len(block)
            if size >= BATCH_BYTES:
                break
        return found


def keep_content(tx: Tx, root: Cid, now: float, *, public: bool = True) -> None:
    """Part of a transaction: the content is pinned, and works that name it are kept now; what is public is to be told."""
    tx.pin(root)
    tx.set_public(root, public)
    wanted.forget(tx, root)
    if not public:
        return
    tx.enqueue(PROVIDE, root_key(root), now)
    for work in tx.works_with_root(root):
        if work.state == "heard" and not work.private:
            tx.set_work_state(work.id, "kept")
            enqueue_work(tx, work, now)
