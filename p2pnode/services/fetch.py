"""The journey "fetch": a content from many providers, nothing of it trusted, nothing of it fetched twice.

Skeleton first (interior nodes, within the limits of core.skeleton), then the leaves that somebody wants: of everything, of chosen files
and folders, or just ahead of where somebody reads. What was verified is kept by the store at once, so a fetch that was cancelled or cut
off goes on where it was: what is missing is a set difference. Called by the transfers service; readers come through services.reading.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.have_messages import MAX_LEAVES
from p2pnode.core.ids import PeerId
from p2pnode.core.layout import Skeleton
from p2pnode.core.leaf import leaf_data
from p2pnode.core.skeleton import MAX_CONTENT_BYTES, SkeletonWalk
from p2pnode.errors import DecodeError, NotFoundError, P2pnodeError
from p2pnode.limits import MIB
from p2pnode.ports import Content, Incoming, Network, Store
from p2pnode.services.awaited import Awaited, Bell
from p2pnode.services.bitswap import Bitswap
from p2pnode.services.rarity import OwnMap
from p2pnode.services.selection import Selection, both, chosen_files
from p2pnode.services.swarm import FindMore, Swarm
from p2pnode.services.transfer import Transfer
from p2pnode.services.walk import held_blocks, walk_skeleton
from p2pnode.services.wanted_files import wanted_file

CHECKPOINT_TIMEOUT_S = 20.0
"""Seconds to bring to the disk what was verified when a fetch is cancelled."""
MIN_MAPPED_BYTES = 4 * MIB
"""Bytes of a content from which on incomplete nodes tell each other what they have; a smaller one is here before that."""
COPY_BATCH = 64
"""Leaves that other works hold, copied at a time."""

OnComplete = Callable[[Content], Awaitable[None]]


class Fetching:
    """One content on its way in, for everybody who wants it: some want all of it or chosen files, some read."""

    def __init__(
        self,
        network: Network,
        store: Store,
        root: Cid,
        name: str,
        *,
        find_more: FindMore | None,
        transfer: Transfer,
        on_complete: OnComplete,
        only: Selection = None,
        max_bytes: int = MAX_CONTENT_BYTES,
        bitswap: Bitswap | None = None,
    ) -> None:
        """`on_complete` is called each time when everything that was chosen so far is on the disk. `only`: (), nothing yet."""
        self._store, self._root, self._name, self._transfer = store, root, name, transfer
        self._on_complete = on_complete
        self._only = only
        self._walk = SkeletonWalk(root, max_bytes=max_bytes)
        self._swarm = Swarm(network, root, transfer, find_more, bitswap)
        self._skeleton: Skeleton | None = None
        self._incoming: Incoming | None = None
        self._lengths: dict[Cid, int] = {}
        self._goal: set[int] = set()
        self._goal_left: set[Cid] = set()
        self._unchosen = True
        self._awaited: dict[Cid, list[Awaited]] = {}
        self._readers = 0
        self._changed = Bell()
        self._error: P2pnodeError | None = None
        self._map: OwnMap | None = None
        self._unmapped: list[Cid] = []
        self.ended = trio.Event()

    async def run(self, providers: Sequence[PeerId]) -> None:
        """Until what was chosen is complete and on the disk, and nobody reads any more.

        It waits for providers as long as it must (the transfer says so); cancel its scope to stop, and begin again to go on.
        DecodeError: the content is malformed; RefusedError: over a limit, over `max_bytes` or over quota; StoreError: the disk.
        """
        error: P2pnodeError | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._swarm.run, providers)
                try:
                    await self._journey()
                except P2pnodeError as failure:  # out of a nursery it would come as a group
                    error = failure
                nursery.cancel_scope.cancel()
        finally:
            self._end(error)
        if error is not None:
            raise error

    def allow(self, max_bytes: int) -> None:
        """Somebody joined who takes a larger content."""
        self._walk.max_bytes = max(self._walk.max_bytes, max_bytes)

    @property
    def size(self) -> int | None:
        """Bytes of the whole content, once they are known."""
        return None if self._skeleton is None else self._skeleton.size

    def choose(self, only: Selection) -> None:
        """Somebody joined who wants these too."""
        self._only = both(self._only, only)
        self._unchosen = True
        self._changed.ring()

    # ------------------------------------------------------------ for others who fetch the same

    def heard_of(self, peers: Sequence[PeerId]) -> None:
        """These peers may have something of it."""
        self._swarm.heard_of(peers)

    async def maps(self) -> tuple[bytes, bytes] | None:
        """What can be served, and what will be soon, as maps of the leaves; None where there are none (yet)."""
        if self._incoming is None or self._skeleton is None or self.ended.is_set():
            return None
        if self._map is None:
            if not is_mapped(self._skeleton):
                return None
            leaves = leaves_of(self._skeleton)
            await self._incoming.checkpoint()
            chosen = {cid for at in self._incoming.chosen for cid, _, _ in self._skeleton.files[at].leaves}
            self._map = OwnMap(leaves, (cid for cid in chosen if not self._incoming.lacks(cid)))
        if self._unmapped:
            fresh, self._unmapped = self._unmapped, []
            await self._incoming.checkpoint()  # what is told can be asked for
            self._map.add(fresh)
        return self._map.maps(self._swarm.asked())

    # ------------------------------------------------------------ for those who read

    @contextmanager
    def reading(self) -> Iterator[None]:
        """As long as somebody reads the fetch goes on, whatever was chosen is complete or not."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            self._changed.ring()

    async def skeleton(self) -> Skeleton:
        """Once it is known. Raises what ended the fetch."""
        while self._incoming is None or self._skeleton is None:
            if self._error is not None:
                raise self._error
            await self._changed.wait()
        return self._skeleton

    async def open(self, index: int) -> None:
        """Somebody is about to read this file: it gets room. RefusedError over quota."""
        skeleton = await self.skeleton()
        assert self._incoming is not None
        await self._incoming.choose([index])
        self._transfer.expect(0)
        await self._take_what_is_here({cid: length for cid, _, length in skeleton.files[index].leaves})

    def expect(self, cid: Cid, length: int) -> Awaited | None:
        """A leaf that a reader comes to soon, asked for before all others; None if it is held already."""
        if self._incoming is None or not self._incoming.lacks(cid):
            return None
        awaited = Awaited()
        if self._error is not None:
            awaited.fail(self._error)
            return awaited
        self._awaited.setdefault(cid, []).append(awaited)
        if cid not in self._lengths:
            self._lengths[cid] = length
            self._transfer.expect(length)
        self._swarm.wanted([(cid, length)], first=True)
        return awaited

    def unexpect(self, cid: Cid, awaited: Awaited) -> None:
        """The reader went away before this leaf came."""
        waiting = self._awaited.get(cid, [])
        if awaited in waiting:
            waiting.remove(awaited)
        if waiting or self._awaited.pop(cid, None) is None or cid in self._goal_left:
            return
        if self._swarm.unwanted(cid):
            self._transfer.expect(-self._lengths.pop(cid, 0))

    async def block(self, cid: Cid) -> bytes | None:
        """The bytes of file of a leaf that is held. None if it is not, after all."""
        block = await self._store.read_block(cid)
        if block is None and self._incoming is not None:
            await self._incoming.checkpoint()  # it came, and the index does not say so yet
            block = await self._store.read_block(cid)
        return None if block is None else leaf_data(cid, block)

    # ------------------------------------------------------------ the journey

    async def _journey(self) -> None:
        skeleton, early = await walk_skeleton(self._store, self._swarm, self._walk)
        self._goal = chosen_files(skeleton, self._only)
        files = [wanted_file(skeleton, file) for file in skeleton.files]
        folders = [path for path in skeleton.folders if path]
        self._incoming = await self._store.start_incoming(
            self._root, self._name, skeleton.blocks.items(), files, folders=folders, chosen=sorted(self._goal)
        )
        self._skeleton = skeleton
        if is_mapped(skeleton):
            self._swarm.lay_out(lambda: leaves_of(skeleton))
        self._changed.ring()
        try:
            await self._fill(self._incoming, skeleton, early)
        except P2pnodeError:
            raise
        except BaseException:  # cancelled: out of a nursery it comes in a group
            with trio.CancelScope(deadline=trio.current_time() + CHECKPOINT_TIMEOUT_S, shield=True):
                await self._incoming.checkpoint()
            raise
        await self._incoming.checkpoint()

    async def _fill(self, incoming: Incoming, skeleton: Skeleton, early: dict[Cid, bytes]) -> None:
        failure: list[P2pnodeError] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take_blocks, failure)
            try:
                await self._until_complete(incoming, skeleton, early, failure)
            except P2pnodeError as error:
                failure.append(error)
            nursery.cancel_scope.cancel()
        if failure:
            raise failure[0]

    async def _until_complete(
        self, incoming: Incoming, skeleton: Skeleton, early: dict[Cid, bytes], failure: list[P2pnodeError]
    ) -> None:
        told = False
        while not failure:
            if self._unchosen:
                self._unchosen, told = False, self._only == ()
                await self._choose(incoming, skeleton, early)
                continue
            if not told and not self._goal_left:
                told = True
                await self._on_complete(await self._finish(incoming, skeleton))
                continue
            is_whole = told and len(self._goal) == len(skeleton.files)
            if not self._goal_left and (not self._readers or is_whole):
                return
            await self._changed.wait()

    async def _choose(self, incoming: Incoming, skeleton: Skeleton, early: dict[Cid, bytes]) -> None:
        """What is missing of what was chosen: come already, or copied from other works, else asked for; and counted as progress."""
        self._goal = chosen_files(skeleton, self._only)
        await incoming.choose(sorted(self._goal))
        lengths = {cid: length for index in self._goal for cid, _, length in skeleton.files[index].leaves}
        missing = {cid: lengths[cid] for cid in incoming.missing if cid in lengths}
        total = sum(lengths.values())
        self._transfer.begin(total - sum(missing.values()), total)
        del lengths
        self._goal_left = set(missing)
        self._lengths.update(missing)
        for cid in [cid for cid in early if cid in missing]:
            await self._put(cid, early.pop(cid))
        await self._take_what_is_here(missing)
        wanted = [(cid, length) for cid, length in missing.items() if cid in self._lengths]
        if wanted and is_mapped(
            skeleton
        ):  # who begins at one moment begins at another place, and soon has what others lack
            start = random.randrange(len(wanted))
            wanted = wanted[start:] + wanted[:start]
        self._swarm.wanted(wanted)

    async def _finish(self, incoming: Incoming, skeleton: Skeleton) -> Content:
        everything = len(skeleton.files)
        if len(self._goal) == everything or (len(incoming.chosen) == everything and not incoming.missing):
            self._goal = set(range(everything))
            return await incoming.finish()
        return await incoming.finish(sorted(self._goal))

    async def _take_blocks(self, failure: list[P2pnodeError]) -> None:
        try:
            while True:
                for cid, block in await self._swarm.blocks.receive():
                    await self._put(cid, block)
        except P2pnodeError as error:
            failure.append(error)
            self._changed.ring()

    async def _take_what_is_here(self, leaves: dict[Cid, int]) -> None:
        held = await self._store.read(lambda tx: tx.has(leaves))
        assert self._incoming is not None
        here = [cid for cid in leaves if cid in held and self._incoming.lacks(cid)]
        for at in range(0, len(here), COPY_BATCH):
            for cid, block in (await held_blocks(self._store, here[at : at + COPY_BATCH])).items():
                self._lengths.setdefault(cid, leaves[cid])
                await self._put(cid, block)

    async def _put(self, cid: Cid, block: bytes) -> None:
        length = self._lengths.get(cid)
        if length is None or self._incoming is None:
            return  # it came twice, or is an interior node that came late
        data = leaf_data(cid, block)
        if len(data) != length:
            raise DecodeError(f"leaf {cid} has {len(data)} bytes where its tree says {length}: the work is damaged")
        await self._incoming.put_leaf(cid, block)
        if self._lengths.pop(cid, None) is None:
            return
        self._goal_left.discard(cid)
        if self._map is not None:
            self._unmapped.append(cid)
        self._transfer.arrived(length)
        for awaited in self._awaited.pop(cid, ()):
            awaited.arrive(data)
        if not self._goal_left:
            self._changed.ring()

    def _end(self, error: P2pnodeError | None) -> None:
        """Whoever still reads hears why nothing comes any more."""
        self._error = error or NotFoundError("the fetch was stopped while this was read", hint="read it again to go on")
        for waiting in self._awaited.values():
            for awaited in waiting:
                awaited.fail(self._error)
        self._awaited.clear()
        self.ended.set()
        self._changed.ring()


def is_mapped(skeleton: Skeleton) -> bool:
    """Whether maps of this content are told: not where they are not worth it, or would be too long."""
    return skeleton.size >= MIN_MAPPED_BYTES and sum(len(file.leaves) for file in skeleton.files) <= MAX_LEAVES


def leaves_of(skeleton: Skeleton) -> list[Cid]:
    """Distinct leaves in file order, as maps number them."""
    return list(dict.fromkeys(cid for file in skeleton.files for cid, _, _ in file.leaves))


async def fetch(
    network: Network,
    store: Store,
    root: Cid,
    name: str,
    *,
    providers: Collection[PeerId],
    find_more: FindMore | None,
    transfer: Transfer,
    only: Selection = None,
    max_bytes: int = MAX_CONTENT_BYTES,
) -> Content:
    """Fetch `root`, or what is chosen of it, into the library under `name`; returns when that is complete and on the disk.

    For who wants nothing but one fetch; it raises what `Fetching.run` does, and says in the transfer how it ended.
    """
    got: list[Content] = []
    held = await store.read(lambda tx: tx.content(root))
    if held is not None and held.state == "complete":
        transfer.begin(held.size, held.size)
        transfer.say("done", "it was here already")
        return held

    async def complete(content: Content) -> None:
        got.append(content)

    fetching = Fetching(
        network,
        store,
        root,
        name,
        find_more=find_more,
        transfer=transfer,
        on_complete=complete,
        only=only,
        max_bytes=max_bytes,
    )
    try:
        await fetching.run(list(providers))
    except P2pnodeError as error:
        transfer.say("failed", error.message)
        raise
    except BaseException:  # cancelled: out of a nursery it comes in a group
        transfer.say("cancelled", "stopped; what was verified is kept, and the next fetch goes on from there")
        raise
    transfer.say("done", "every byte was verified and is on the disk")
    return got[-1]
