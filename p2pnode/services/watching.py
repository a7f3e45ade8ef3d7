"""The journey "watch": a published folder is looked at now and then, and when it has changed a new revision is offered.

Looking, not listening: the kernel's notices miss what happened while the node was stopped, on network mounts and past their limit of
folders, so a look at everything is needed anyway; it is kept so rare that it costs a three-hundredth of a core. Nothing is published
by itself, unless the person said so for this work. What is offered survives a restart.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

import trio

from p2pnode.core.ids import WORK_PREFIX, WorkId, id_text
from p2pnode.core.layout import Piece
from p2pnode.core.manifest import Manifest
from p2pnode.core.stamp import KnownFile
from p2pnode.errors import ChangedError, NotFoundError, P2pnodeError, RefusedError
from p2pnode.local.glance import Differences, compare, glance
from p2pnode.local.tree import root_cid
from p2pnode.ports import Content, Emit, Json, Store, Tx, WallClock, Work
from p2pnode.services.background import for_ever
from p2pnode.services.publish import Description, Order
from p2pnode.services.publishing import Publishings

PREFIX = "watch/"
"""Of the meta keys of watched works: then the work's id in hexadecimal."""
MAX_WATCHED = 1000
"""Works that are watched: each is looked at."""
LEAST_S, MOST_S = 10.0, 600.0
"""Seconds between two looks at one work: what a person waits for, and what is rare enough for a million files."""
REST = 300.0
"""Looking may take one part in this many of the time."""
SETTLE_S = 5.0
"""A change is offered when everything looked the same for so long: not while somebody still saves."""
UNREST_S = 600.0
"""What changes all the time is offered after this long all the same."""
MAX_COUNTED_BYTES = 256 << 20
"""A work up to this size is read as a whole to see whether its links and folders are as they were."""
MAX_LEAVES = 1 << 20
"""Leaves of one file (1 TiB) that are compared."""

State = Literal["watching", "settling", "offered", "away"]
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Watched:
    """One work that is watched. `clean` is what the folder looked like when nothing differed; `root` the content that was then."""

    work: WorkId
    auto: bool = False
    clean: bytes = b""
    root: str = ""
    offer: Json | None = None
    state: State = "watching"
    reason: str = ""
    path: str = ""
    title: str = ""
    seen: bytes = b""
    seen_at: float = 0.0
    unrest_since: float | None = None
    due: float = 0.0

    def shown(self) -> Json:
        """The WATCHED of the control socket."""
        return {
            "work": id_text(WORK_PREFIX, self.work),
            "title": self.title,
            "path": self.path,
            "state": self.state,
            "reason": self.reason,
            "auto": self.auto,
            "offer": self.offer,
        }

    def remembered(self) -> bytes:
        """As the store keeps it."""
        value = {"auto": self.auto, "clean": self.clean.hex(), "root": self.root, "offer": self.offer}
        return json.dumps(value).encode()


class Watching:
    """Every watched work of this node."""

    def __init__(self, store: Store, publishings: Publishings, clock: WallClock, emit: Emit) -> None:
        self._store, self._publishings, self._clock, self._emit = store, publishings, clock, emit
        self._all: dict[WorkId, Watched] = {}
        self._wake = trio.Event()

    async def start(self, nursery: trio.Nursery) -> None:
        """Go on with what was watched before."""
        for key, data in await self._store.read(lambda tx: tx.meta_with_prefix(PREFIX)):
            value = json.loads(data)
            work = WorkId(bytes.fromhex(key[len(PREFIX) :]))
            one = Watched(work, value["auto"], bytes.fromhex(value["clean"]), value["root"], value["offer"])
            one.state = "offered" if one.offer else "watching"
            self._all[work] = one
        nursery.start_soon(for_ever, self._run)

    async def turn_on(self, work: Work, *, auto: bool) -> Watched:
        """Watch a work of ours that lies in files of ours. RefusedError otherwise."""
        if work.state != "own":
            raise RefusedError("only works that you published are watched")
        await self._lies_in(work)
        if work.id not in self._all and len(self._all) >= MAX_WATCHED:
            raise RefusedError(f"{MAX_WATCHED} works are watched already", hint="let one go: p2pnode watch off WORK")
        one = self._all.setdefault(work.id, Watched(work.id))
        one.auto, one.due = auto, 0.0
        await self._remember(one)
        await self._look(one)
        self._wake.set()
        return one

    async def turn_off(self, work: WorkId) -> None:
        """Watch it no more. NotFoundError if nobody does."""
        if self._all.pop(work, None) is None:
            raise NotFoundError("this work is not watched", hint="see what is: p2pnode watch")
        await self._store.write(lambda tx: tx.set_meta(PREFIX + work.hex(), None))

    def of(self, work: WorkId) -> Json | None:
        """How a work is watched, if it is."""
        one = self._all.get(work)
        return None if one is None else one.shown()

    def shown(self) -> list[Json]:
        """Every watched work, those with an offer first."""
        return [one.shown() for one in sorted(self._all.values(), key=lambda one: (one.offer is None, one.title))]

    def count(self) -> int:
        """Watched works."""
        return len(self._all)

    def offers(self) -> int:
        """Works of which a new revision is offered."""
        return sum(one.offer is not None for one in self._all.values())

    async def look(self, work: WorkId) -> None:
        """Look now: a screen asks, or a new revision was published."""
        if (one := self._all.get(work)) is not None:
            await self._look(one)

    # ------------------------------------------------------------ looking

    async def _run(self) -> None:
        while True:
            self._wake = trio.Event()
            for one in sorted(self._all.values(), key=lambda one: one.due):
                if one.due <= trio.current_time() and one.work in self._all:
                    await self._look(one)
            next_due = min((one.due for one in self._all.values()), default=trio.current_time() + MOST_S)
            with trio.move_on_after(max(next_due - trio.current_time(), 0.1)):
                await self._wake.wait()

    async def _look(self, one: Watched) -> None:
        began = trio.current_time()
        try:
            await self._see(one)
        except P2pnodeError as error:
            self._say(one, "offered" if one.offer else "away", error.message)
        took = trio.current_time() - began
        soon = one.state == "settling"
        one.due = trio.current_time() + (SETTLE_S if soon else min(max(took * REST, LEAST_S), MOST_S))

    async def _see(self, one: Watched) -> None:
        work = await self._store.read(lambda tx: tx.work(one.work))
        if work is None or work.state != "own":  # it was unpublished meanwhile
            await self.turn_off(one.work)
            return
        content = await self._lies_in(work)
        one.path, one.title = content.base, work.title
        if one.root != str(work.root):  # a new revision: what was offered is done
            one.clean, one.root, one.offer = b"", str(work.root), None
            await self._remember(one)
        seen = await _in_thread(partial(glance, content.base))
        now = trio.current_time()
        if seen == one.clean:
            if one.offer is not None:
                await self._offer(one, None)
            one.unrest_since = None
            self._say(one, "watching", "")
            return
        if seen != one.seen:
            one.seen, one.seen_at = seen, now
            one.unrest_since = now if one.unrest_since is None else one.unrest_since
        at_rest = now - one.seen_at >= SETTLE_S or not one.clean
        if not at_rest and one.offer is None and now - (one.unrest_since or now) < UNREST_S:
            self._say(one, "settling", "it is changing")
            return
        await self._compare(one, work, content, seen)

    async def _compare(self, one: Watched, work: Work, content: Content, seen: bytes) -> None:
        bases = await self._store.read(lambda tx: tx.in_place(content.base)[:1])
        count = await self._store.read(lambda tx: sum(tx.count_files(base) for base in bases))

        def known(paths: Sequence[str]) -> list[KnownFile | None]:
            return trio.from_thread.run(self._store.read, lambda tx: tx.known_files(bases, paths))

        def leaves(file: int) -> list[Piece]:
            return trio.from_thread.run(self._store.read, lambda tx: tx.known_leaves(file, 0, MAX_LEAVES))

        found = await _in_thread(partial(compare, content.base, known, leaves, count, time.time_ns()))
        if count and found.removed == count and not found.added:
            raise ChangedError(f"{content.base}: everything in it is gone; its disk may not be mounted")
        await self._store.write(partial(_settle, found), durable=False)
        others = not found.any and await self._others_differ(work, content, count)
        if found.any or others:
            await self._offer(one, _offer(found, others=others, since=self._since(one)))
        else:
            one.clean, one.unrest_since = seen, None
            await self._offer(one, None)

    async def _others_differ(self, work: Work, content: Content, count: int) -> bool:
        """No file differs, but something looks different: a link, a folder, what is left out. All small trees are simply counted."""
        if work.bytes > MAX_COUNTED_BYTES:
            return False
        return str(await _in_thread(partial(root_cid, content.base))) != str(work.root)

    def _since(self, one: Watched) -> float:
        return float(one.offer["since"]) if one.offer else self._clock()

    async def _offer(self, one: Watched, offer: Json | None) -> None:
        if offer == one.offer and (offer is None) == (one.state != "offered"):
            if offer is None:
                await self._remember(one)
            return
        one.offer = offer
        await self._remember(one)
        if offer is None:
            self._say(one, "watching", "")
            return
        self._say(one, "offered", "")
        self._emit("work.changed", one.shown())
        if one.auto:
            await self._publish(one)

    async def _publish(self, one: Watched) -> None:
        work = await self._store.read(lambda tx: tx.work(one.work))
        if work is not None:
            said = Description.of(Manifest.of(work.manifest))
            await self._publishings.begin(Order(one.path, said, revises=one.work), detach=True)

    async def _lies_in(self, work: Work) -> Content:
        content = await self._store.read(lambda tx: tx.content(work.root))
        if content is None or content.owned:
            raise RefusedError("this work does not lie in files of yours, so there is nothing to watch")
        return content

    async def _remember(self, one: Watched) -> None:
        await self._store.write(lambda tx: tx.set_meta(PREFIX + one.work.hex(), one.remembered()), durable=False)

    def _say(self, one: Watched, state: State, reason: str) -> None:
        one.state, one.reason = state, reason


def _offer(found: Differences, *, others: bool, since: float) -> Json:
    return {
        "added": found.added,
        "changed": found.changed,
        "removed": found.removed,
        "others": others,
        "bytes": found.bytes,
        "names": found.names,
        "since": since,
    }


def _settle(found: Differences, tx: Tx) -> None:
    for file, stamp in found.settled:
        tx.settle_file(file, stamp)


async def _in_thread(work: Callable[[], T]) -> T:
    """A disk that hangs is left behind, as far as the node's end is concerned."""
    # libp2p brings stubs of an older trio, in which this argument had another name
    return await trio.to_thread.run_sync(work, abandon_on_cancel=True)  # type: ignore[call-arg]
