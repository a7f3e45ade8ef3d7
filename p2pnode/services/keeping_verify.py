"""The journey "verify": what is held is hashed again, when a person asks and a little every day; damage is told, and mended from peers.

A repair is a fetch of what is missing: the store takes what is damaged out of what it holds, so that any `get` brings it again. Files of
the user's are never written: when one of them changed he is told, and publishing it again makes a work of its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import WORK_PREFIX, id_text
from p2pnode.errors import NotFoundError, P2pnodeError
from p2pnode.limits import GIB, MIB
from p2pnode.ports import Damage, Emit, Json, Store, Tx, WallClock
from p2pnode.services.background import for_ever
from p2pnode.services.keeping import HERE
from p2pnode.services.transfers import Transfers

log = logging.getLogger("p2pnode.keeping")

STEP_BYTES = 32 * MIB
"""Bytes between two looks at whether to go on: a fraction of a second of any disk."""
MAX_DAMAGE_TOLD = 200
"""Damaged places listed in an answer; the counts are always whole."""
IDLE_STEP_BYTES = 4 * MIB
"""Bytes of a step when nobody asked for it."""
IDLE_RATE_BYTES_S = 4 * MIB
"""Bytes a second then: under a hundredth of a core, and unheard on a spinning disk."""
DAILY_BYTES = GIB
"""Bytes a day at least; more when it takes more to see everything within ROUND_DAYS."""
ROUND_DAYS = 30
"""Everything that is held is read once within so many days."""
TICK_S = 60.0
"""Seconds between two looks at whether the node is idle."""
LOOK_AGAIN_S = 600.0
"""Seconds between two looks at what is damaged: a disk that was unplugged is back, a file was restored."""
REPAIR_WAIT_S = 120.0
"""Seconds for which a repair is waited for; it goes on in the node after that."""
MAX_LISTED_BLOCKS = 100_000
"""Damaged blocks of one content that are looked at when it is listed."""
MEND_AGAIN_S = 6 * 3600.0
"""Seconds before a repair that nobody asked for is tried again."""
DAY_S = 86_400.0
BEGINNING = (0, -1, 0)
BUSY_STATES = ("finding", "fetching")
"""States of transfers in which the node is not idle."""
POSITION = "verify/position"
"""Meta key: how far the daily check has come, and how much it read on which day."""

WORDS = {
    "gone": "the file is not there",
    "short": "the file is shorter than it was",
    "changed": "its bytes are not those that were published",
    "unreadable": "the disk cannot read it",
    "unchecked": "the database was damaged, and this was not looked at since",
}
ROW_WORDS = "a block in the database is damaged"

OnProgress = Callable[[Json], None]


@dataclass(slots=True)
class _Report:
    """What one verification has come to."""

    bytes: int = 0
    blocks: int = 0
    mended: int = 0


def in_words(path: str, reason: str, *, owned: bool) -> str:
    """What is wrong, and what will be done about it or can be."""
    if not path:
        return ROW_WORDS
    what = WORDS.get(reason, reason)
    return what if owned else f"{what}; your own file is left as it is: publish it again, as a new revision"


class Checking:
    """Verifying and mending of one node."""

    def __init__(
        self,
        store: Store,
        transfers: Transfers,
        clock: WallClock,
        emit: Emit,
        repairs: Callable[[], bool] = lambda: True,
    ) -> None:
        """While `repairs` says no, nothing is mended from others unless somebody asks for it."""
        self._repairs = repairs
        self._store, self._transfers, self._clock, self._emit = store, transfers, clock, emit
        self._asked = trio.CapacityLimiter(1)
        self._tried: dict[Cid, float] = {}
        self._news: list[Damage] = []
        self._heard = trio.Event()

    def start(self) -> None:
        """Hear of damage from now on, however it is found."""
        self._store.watch_damage(self._notice)

    def _notice(self, damage: Sequence[Damage]) -> None:
        self._news += damage[: MAX_DAMAGE_TOLD - len(self._news)]
        self._heard.set()

    # ------------------------------------------------------------ asked for

    async def verify(self, text: str | None, *, repair: bool, on_progress: OnProgress) -> Json:
        """Check one work, one content or everything. With `repair`, fetch what is damaged of what the store owns. One at a time."""
        root = None if text is None else (await self._transfers.resolve(text))[0]
        if root is not None and await self._store.read(lambda tx: tx.content(root)) is None:
            raise NotFoundError(f"{text} is not here", hint="what is: p2pnode storage")
        report = _Report()
        async with self._asked:
            report.mended = await self._store.look_again(root)
            total = await self._store.read(lambda tx: tx.checkable_bytes(root))
            position: tuple[int, int, int] | None = BEGINNING
            while position is not None:
                step = await self._store.verify_some(position, root=root, max_bytes=STEP_BYTES)
                report.bytes, report.blocks = report.bytes + step.bytes, report.blocks + step.blocks
                on_progress({"bytes": report.bytes, "total": max(total, report.bytes), "blocks": report.blocks})
                position = step.next
        return await self._answer(root, report, repair, on_progress)

    async def _answer(self, root: Cid | None, report: _Report, repair: bool, on_progress: OnProgress) -> Json:
        roots = [one for one in await self._store.read(lambda tx: tx.damaged_roots()) if root in (None, one)]
        repairs = [await self._repair(one, on_progress) for one in roots] if repair else []
        left = [one for one in await self._store.read(lambda tx: tx.damaged_roots()) if root in (None, one)]
        items = [item for one in left for item in await self._listed(one)]
        return {
            "bytes": report.bytes,
            "blocks": report.blocks,
            "mended": report.mended,
            "items": items[:MAX_DAMAGE_TOLD],
            "damaged_files": len(items),
            "damaged_blocks": sum(item["blocks"] for item in items),
            "repairs": repairs,
        }

    async def _listed(self, root: Cid) -> list[Json]:
        """What is damaged of one content, a file each."""
        damage, works = await self._store.read(lambda tx: (tx.damage(root, MAX_LISTED_BLOCKS), _names(tx, root)))
        return [_item(root, works, group) for group in _by_file(damage)]

    async def _repair(self, root: Cid, on_progress: OnProgress) -> Json:
        """Fetch what is damaged of what the store owns. It goes on by itself when nobody has it now."""
        damage, pinned, content = await self._store.read(
            lambda tx: (tx.damage(root, MAX_LISTED_BLOCKS), tx.pinned(root), tx.content(root))
        )
        told: Json = {"cid": str(root), "state": "left", "reason": "it lies in your own files, which are never written"}
        if content is None or not any(one.owned for one in damage):
            return told
        if not content.public:
            return told | {"reason": "it is private: nobody else has it"}
        try:
            await self._transfers.get(str(root), None, on_progress=on_progress, timeout_s=REPAIR_WAIT_S)
        except P2pnodeError as error:
            state = "waiting" if self._transfers.is_running(root) else "failed"
            return told | {"state": state, "reason": error.message}
        finally:
            if not pinned:
                await self._store.write(lambda tx: tx.unpin(root))
        self._emit("content.mended", {"cid": str(root), "blocks": len(damage)})
        return told | {"state": "repaired", "reason": "every damaged block was fetched again"}

    # ------------------------------------------------------------ by itself

    async def run(self) -> None:
        """Tell of damage, read a little every day, and mend; until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(for_ever, self._tell)
            nursery.start_soon(for_ever, self._look_again)
            nursery.start_soon(for_ever, self._read_daily)

    async def _tell(self) -> None:
        while True:
            await self._heard.wait()
            self._heard = trio.Event()
            news, self._news = self._news, []
            for root in dict.fromkeys(one.root for one in news):
                works = await self._store.read(lambda tx, root=root: _names(tx, root))  # type: ignore[misc]
                for group in _by_file([one for one in news if one.root == root]):
                    item = _item(root, works, group)
                    log.warning("%s: %s", item["path"] or item["cid"], item["words"])
                    self._emit("content.damaged", item)

    async def _look_again(self) -> None:
        """What was damaged and is right again; then what can be mended from others."""
        while True:
            if await self._store.read(lambda tx: tx.damaged_roots()):
                mended = await self._store.look_again(None)
                if mended:
                    self._emit("content.mended", {"cid": None, "blocks": mended})
                await self._mend_some()
            await trio.sleep(LOOK_AGAIN_S)

    async def _mend_some(self) -> None:
        if not self._repairs():
            return
        now = self._clock()
        for root in await self._store.read(lambda tx: tx.damaged_roots()):
            if now - self._tried.get(root, -MEND_AGAIN_S) >= MEND_AGAIN_S and not self._transfers.is_running(root):
                self._tried = {one: at for one, at in self._tried.items() if now - at < MEND_AGAIN_S} | {root: now}
                await self._repair(root, lambda progress: None)

    async def _read_daily(self) -> None:
        while True:
            await trio.sleep(TICK_S)
            await self._store.note_used()
            if self._is_idle():
                await self._read_a_little()

    def _is_idle(self) -> bool:
        return not any(shown["state"] in BUSY_STATES for shown in self._transfers.shown())

    async def _read_a_little(self) -> None:
        """Up to a tick's worth, within the day's; how far it came is on the disk afterwards."""
        total, kept = await self._store.read(lambda tx: (tx.checkable_bytes(None), tx.get_meta(POSITION)))
        today = int(self._clock() // DAY_S)
        position, day, read = _position(kept)
        read = read if day == today else 0
        budget = min(max(DAILY_BYTES, total // ROUND_DAYS) - read, int(IDLE_RATE_BYTES_S * TICK_S))
        while budget > 0:
            step = await self._store.verify_some(position, root=None, max_bytes=IDLE_STEP_BYTES)
            budget, read, position = budget - step.bytes, read + step.bytes, step.next or BEGINNING
            if step.next is None:
                read = max(read, DAILY_BYTES, total // ROUND_DAYS)  # all of it is seen: the next round begins tomorrow
                break
            await trio.sleep(step.bytes / IDLE_RATE_BYTES_S)
        value = json.dumps([*position, today, read]).encode()
        await self._store.write(lambda tx: tx.set_meta(POSITION, value), durable=False)


def _position(kept: bytes | None) -> tuple[tuple[int, int, int], int, int]:
    """(where the daily check is, day, bytes read on it) from what was kept; the beginning if that cannot be read."""
    try:
        file, offset, row, day, read = json.loads(kept or b"[]")
        return (int(file), int(offset), int(row)), int(day), int(read)
    except (ValueError, TypeError):
        return BEGINNING, 0, 0


def _names(tx: Tx, root: Cid) -> list[Json]:
    works = [work for work in tx.works_with_root(root) if work.state in HERE]
    return [{"work": id_text(WORK_PREFIX, work.id), "title": work.title} for work in works]


def _by_file(damage: Sequence[Damage]) -> list[list[Damage]]:
    groups: dict[tuple[str, str], list[Damage]] = {}
    for one in damage:
        groups.setdefault((one.path, one.reason), []).append(one)
    return list(groups.values())


def _item(root: Cid, works: list[Json], group: list[Damage]) -> Json:
    first = group[0]
    return {
        "cid": str(root),
        "works": works,
        "path": first.path,
        "reason": first.reason if first.path else "row",
        "words": in_words(first.path, first.reason, owned=first.owned),
        "owned": first.owned,
        "blocks": len(group),
        "bytes": sum(one.length for one in group),
        "offset": first.offset,
        "found": first.found,
    }
