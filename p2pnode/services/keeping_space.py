"""Space: what the store holds against its quota, in which order contents would go, and letting them go when a fetch needs room.

The order is a rule that everybody can see beforehand (`p2pnode storage`), not a guess: unfinished fetches that nobody waits for first, then
works that are not pinned, by the day of their last use; of one day those first that most others hold, then the largest. A pinned
work, a work of one's own and the last known copy never go. Called by the store when it is full, and by the control socket.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import WORK_PREFIX, id_text
from p2pnode.ports import Json, Stock, Store, WallClock, Work
from p2pnode.services.keeping import HERE, Keeping
from p2pnode.services.keeping_copies import Copies, known_copies

log = logging.getLogger("p2pnode.keeping")

DAY_S = 86_400.0
ROOM_TIMEOUT_S = 60.0
"""Seconds that a fetch waits for room at most: asking others who holds what takes most of it."""
MAX_LOOKED_AT = 64
"""Contents for which others are asked in one go."""

ENDED = ("done", "failed", "cancelled")
"""States of transfers in which nobody needs the content any more."""

PINNED, OWN, BUSY, LAST_COPY = (
    "pinned: kept by promise",
    "your own: it lies in your files",
    "being fetched or read",
    "no other copy is known",
)
UNFINISHED = "unfinished, and nobody waits for it"
NOT_PINNED = "not pinned"


@dataclass(frozen=True, slots=True)
class Judged:
    """One content, and what the rule says of it. `order` counts from 1 among those that may go; None: it stays."""

    stock: Stock
    order: int | None
    reason: str


def judge(stocks: Sequence[Stock], now: float, busy: Callable[[Cid], bool], *, copies: bool = True) -> list[Judged]:
    """What may go, in the order in which it would, then what stays. Without `copies` the last known copy may go as well."""
    may: list[tuple[tuple[object, ...], Stock, str]] = []
    stays: list[Judged] = []
    for stock in stocks:
        why = _why_it_stays(stock, busy)
        known = known_copies(stock, now)
        if why is None and copies and stock.state == "complete" and not known:
            why = LAST_COPY
        if why is not None:
            stays.append(Judged(stock, None, why))
            continue
        done = stock.state == "complete"
        key = (done, int(stock.used // DAY_S) if done else 0, -known, -stock.bytes, str(stock.root))
        may.append((key, stock, NOT_PINNED if done else UNFINISHED))
    may.sort(key=lambda item: item[0])
    return [Judged(stock, order, reason) for order, (_, stock, reason) in enumerate(may, 1)] + stays


def _why_it_stays(stock: Stock, busy: Callable[[Cid], bool]) -> str | None:
    if stock.in_place:
        return OWN
    if stock.pinned:
        return PINNED
    return BUSY if busy(stock.root) else None


class Space:
    """Quota, floor, and who goes first."""

    def __init__(
        self,
        store: Store,
        keeping: Keeping,
        copies: Copies,
        clock: WallClock,
        transfers: Callable[[], Sequence[Json]],
        *,
        quota_bytes: int,
        floor_bytes: int,
    ) -> None:
        self._store, self._keeping, self._copies = store, keeping, copies
        self._clock, self._transfers = clock, transfers
        self._quota_bytes, self._floor_bytes = quota_bytes, floor_bytes
        self._making_room = trio.Lock()

    def _busy(self) -> Callable[[Cid], bool]:
        """Whether a transfer of that content is unfinished now."""
        cids = {shown["cid"] for shown in self._transfers() if shown["state"] not in ENDED}
        return lambda root: str(root) in cids

    async def show(self) -> Json:
        """The answer of `p2pnode storage`."""
        stocks, owned, works = await self._store.read(
            lambda tx: (
                stocks := tx.stock(),
                tx.stored_bytes(),
                {one.root: [work for work in tx.works_with_root(one.root) if work.state in HERE] for one in stocks},
            )
        )
        judged = judge(stocks, self._clock(), self._busy())
        free = await trio.to_thread.run_sync(self._store.free_bytes)
        now = self._clock()
        return {
            "owned_bytes": owned,
            "quota_bytes": self._quota_bytes,
            "free_bytes": free,
            "floor_bytes": self._floor_bytes,
            "room_bytes": max(0, min(self._quota_bytes - owned, free - self._floor_bytes)),
            "evictable_bytes": sum(one.stock.bytes for one in judged if one.order is not None),
            "items": [_shown(one, works[one.stock.root], now) for one in judged],
        }

    async def make_room(self, needed_bytes: int, root: Cid) -> bool:
        """Let contents go by the rule until so many bytes are free. False if the rule does not allow enough: then nothing went."""
        async with self._making_room:
            with trio.move_on_after(ROOM_TIMEOUT_S):
                return await self._make_room(needed_bytes, root)
        return False

    async def _make_room(self, needed_bytes: int, root: Cid) -> bool:
        stocks = await self._store.read(lambda tx: tx.stock())
        chosen: list[Judged] = []
        expected = looked_at = 0
        for one in judge([s for s in stocks if s.root != root], self._clock(), self._busy(), copies=False):
            if one.order is None or expected >= needed_bytes or looked_at >= MAX_LOOKED_AT:
                break
            if one.stock.state == "complete":
                looked_at += 1
                if not await self._copies.look(one.stock):
                    continue
            chosen.append(one)
            expected += one.stock.bytes
        if expected < needed_bytes:
            return False
        freed = 0
        for one in chosen:
            freed += await self._keeping.evict(one.stock.root, f"space was needed; it was {one.reason}")
            log.info("let %s go: space was needed; it was %s", one.stock.root, one.reason)
        return freed >= needed_bytes


def _shown(one: Judged, works: Sequence[Work], now: float) -> Json:
    stock = one.stock
    return {
        "cid": str(stock.root),
        "works": [{"work": id_text(WORK_PREFIX, work.id), "title": work.title, "state": work.state} for work in works],
        "state": stock.state,
        "bytes": stock.bytes,
        "files_bytes": stock.files_bytes,
        "rows_bytes": stock.rows_bytes,
        "in_place": stock.in_place,
        "pinned": stock.pinned,
        "used": stock.used or None,
        "copies": known_copies(stock, now),
        "damaged": stock.damaged,
        "path": stock.path,
        "evictable": one.order is not None,
        "order": one.order,
        "reason": one.reason,
    }
