"""The journeys "unpublish", "pin", "unpin" and "remove": what a person decides about what this node keeps.

Each is ONE transaction. What goes is no longer provided, served or listed; the manifest, once signed and told, stays known as any
manifest one has heard of. Files of the user's are never touched: only the store's own go. Called by the control socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.ids import NO_CIRCLE, WORK_PREFIX, id_text
from p2pnode.core.manifest import Manifest
from p2pnode.core.words import word_key, work_words
from p2pnode.errors import NotFoundError, RefusedError
from p2pnode.ports import Content, Emit, Json, Network, Store, Tx, Work
from p2pnode.services.outbox import PROVIDE, provide_keys, root_key
from p2pnode.services.transfers import Transfers

HERE = ("own", "kept")
"""States of works whose content is held."""


@dataclass(frozen=True, slots=True)
class Released:
    """What a release came to: bytes that are free now, and bytes that stay because other works need them."""

    freed_bytes: int
    shared_bytes: int
    others: tuple[Work, ...]


class Keeping:
    """What is kept, by a person's decision."""

    def __init__(
        self,
        store: Store,
        network: Network,
        transfers: Transfers,
        emit: Emit,
    ) -> None:
        self._store, self._network, self._transfers, self._emit = store, network, transfers, emit

    async def unpublish(self, text: str) -> Json:
        """Stop providing and serving a work of one's own. RefusedError if it is somebody else's."""
        _, work = await self._transfers.resolve(text)
        if work is None:
            raise NotFoundError(f"no work of yours has the content {text}", hint="your works: p2pnode list")
        if work.state != "own":
            raise RefusedError(_not_own(work), hint=f"to free the space of a fetched work: p2pnode remove {text}")
        await self._stop_fetching(work.root)
        released = await self._release(work.root, [work], keep_copy=True)
        self._emit("work.unpublished", self._named(work) | {"freed_bytes": released.freed_bytes})
        return self._named(work) | _told(released) | {"in_circle": work.circle != NO_CIRCLE}

    async def pin(self, text: str) -> Json:
        """Promise to keep what is here. NotFoundError if it is not."""
        return await self._promise(text, pinned=True)

    async def unpin(self, text: str) -> Json:
        """Release the promise: it may go when space is needed."""
        return await self._promise(text, pinned=False)

    async def remove(self, text: str) -> Json:
        """Free the bytes of a fetched work, or of a bare CID, at once. RefusedError for a work of one's own."""
        root, work = await self._transfers.resolve(text)
        works = await self._store.read(lambda tx: tx.works_with_root(root))
        if work is not None and work.state == "own":
            raise RefusedError(
                "this work is your own; its files are yours, and are not removed by p2pnode",
                hint=f"to stop sharing it: p2pnode unpublish {text}",
            )
        if work is None and any(one.state == "own" for one in works):
            raise RefusedError("a work of your own has this content", hint="to stop sharing it: p2pnode unpublish WORK")
        await self._stop_fetching(root)
        held = await self._store.read(lambda tx: tx.content(root))
        if held is None and (work is None or work.state == "heard"):
            raise NotFoundError(f"{text} is not kept here", hint="what is: p2pnode storage")
        gone = [work] if work is not None else [one for one in works if one.state == "kept"]
        released = await self._release(root, gone)
        named = {"work": None, "title": "", "cid": str(root)} if not gone else self._named(gone[0])
        self._emit("work.removed", named | {"freed_bytes": released.freed_bytes, "reason": "removed by you"})
        return named | _told(released) | {"undo": f"p2pnode get {named['work'] or root}"}

    async def evict(self, root: Cid, reason: str) -> int:
        """Let a content go because space is needed; the bytes that are free now. The caller knows that the rules allow it."""
        works = await self._store.read(lambda tx: tx.works_with_root(root))
        gone = [one for one in works if one.state == "kept"]
        released = await self._release(root, gone, only_unpinned=True)
        named = {"work": None, "title": "", "cid": str(root)} if not gone else self._named(gone[0])
        if released.freed_bytes:
            self._emit("work.removed", named | {"freed_bytes": released.freed_bytes, "reason": reason})
        return released.freed_bytes

    async def _promise(self, text: str, *, pinned: bool) -> Json:
        root, work = await self._transfers.resolve(text)

        def change(tx: Tx) -> Content | None:
            content = tx.content(root)
            if content is not None:
                (tx.pin if pinned else tx.unpin)(root)
            return content

        content = await self._store.write(change)
        if content is None:
            raise NotFoundError(f"{text} is not here", hint=f"fetch it first: p2pnode get {text}")
        named = {"work": None, "title": "", "cid": str(root)} if work is None else self._named(work)
        self._emit("work.pinned", named | {"pinned": pinned})
        return named | {"pinned": pinned, "state": content.state, "owned": content.owned}

    async def _stop_fetching(self, root: Cid) -> None:
        for shown in self._transfers.shown():
            if shown["cid"] == str(root) and self._transfers.is_running(root):
                await self._transfers.cancel(shown["transfer"])
                return

    async def _release(
        self, root: Cid, works: Sequence[Work], *, only_unpinned: bool = False, keep_copy: bool = False
    ) -> Released:
        def change(tx: Tx) -> Released:
            if only_unpinned and tx.pinned(root):
                return Released(0, 0, ())  # pinned in the last moment
            return _let_go(tx, root, works, keep_copy=keep_copy)

        released = await self._store.write(change)
        if not released.others:
            self._network.unprovide(root_key(root))
        for work in works:
            self._network.unprovide(bytes(work.id))
        words = [word for work in works for word in work_words(Manifest.of(work.manifest))]
        still = await self._store.read(lambda tx: tx.words_in_use(words))
        for word in words:
            if word not in still:
                self._network.unprovide(word_key(word))
        return released

    def _named(self, work: Work) -> Json:
        return {"work": id_text(WORK_PREFIX, work.id), "title": work.title, "cid": str(work.root)}


def _let_go(tx: Tx, root: Cid, works: Sequence[Work], *, keep_copy: bool) -> Released:
    """Inside the transaction. The content stays if another work of ours has it; with `keep_copy` what lies in the library, too."""
    gone = {work.id for work in works}
    others = tuple(one for one in tx.works_with_root(root) if one.id not in gone and one.state in HERE)
    before = tx.stored_bytes()
    for work in works:
        tx.set_work_state(work.id, "heard")
        for key in provide_keys(work):
            tx.drop_outbox(PROVIDE, key)
    stock = tx.stock(root)
    if others:
        tx.set_public(root, any(not one.private for one in others))
    elif keep_copy and any(one.owned for one in stock):
        tx.set_public(root, False)
    else:
        tx.unpin(root)
        tx.forget_content(root)
    freed = before - tx.stored_bytes()
    return Released(freed, max(0, sum(one.bytes for one in stock) - freed), others)


def _told(released: Released) -> Json:
    shared = [id_text(WORK_PREFIX, work.id) for work in released.others]
    return {"freed_bytes": released.freed_bytes, "shared_bytes": released.shared_bytes, "shared_with": shared}


def _not_own(work: Work) -> str:
    return "this work is not published here" if work.state == "heard" else "this work is not your own: it was fetched"
