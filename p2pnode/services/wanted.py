"""What this node wants and has not got yet, in the store: transfers go on after a restart, and what has come is kept for good.

Called by services.transfers and services.transfer_course; take_content forgets a want in its own transaction.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.ids import WORK_PREFIX, WorkId, id_text, parse_id
from p2pnode.errors import DecodeError, P2pnodeError
from p2pnode.ports import Store, Tx, Work
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.outbox import PROVIDE, enqueue_work, root_key
from p2pnode.services.running import Running
from p2pnode.services.selection import Selection

log = logging.getLogger("p2pnode.transfers")

WANTED = "wanted/"
"""Prefix of the meta keys under which unfinished transfers are remembered."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What of an unfinished transfer outlives the node: one small JSON value a root."""

    works: tuple[WorkId, ...]
    by_cid: bool
    only: Selection
    paused: bool
    last_seen: float | None

    @classmethod
    def of(cls, running: Running) -> Remembered:
        """As it is now."""
        return cls(tuple(running.works), running.by_cid, running.only, running.paused, running.transfer.last_seen)

    def to_bytes(self) -> bytes:
        """JSON."""
        shown = {
            "works": [id_text(WORK_PREFIX, work) for work in self.works],
            "by_cid": self.by_cid,
            "only": None if self.only is None else list(self.only),
            "paused": self.paused,
            "last_seen": self.last_seen,
        }
        return json.dumps(shown).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Remembered:
        """DecodeError if it is not what `to_bytes` wrote. An older form named one work."""
        try:
            shown = json.loads(data)
            works = shown["works"] if "works" in shown else [shown["work"]]
            only, seen = shown.get("only"), shown.get("last_seen")
            return cls(
                tuple(WorkId(parse_id(WORK_PREFIX, work)) for work in works if work is not None),
                bool(shown.get("by_cid", works == [None])),
                None if only is None else tuple(str(path) for path in only),
                bool(shown.get("paused", False)),
                None if seen is None else float(seen),
            )
        except (ValueError, KeyError, TypeError, AttributeError, P2pnodeError) as error:
            raise DecodeError(f"an unfinished transfer cannot be read: {error}") from error


async def remembered(store: Store) -> list[tuple[Cid, Remembered]]:
    """Every transfer that a stop interrupted; one that cannot be read is told in the log and left."""
    found = []
    for key, value in await store.read(lambda tx: tx.meta_with_prefix(WANTED)):
        try:
            found.append((Cid.parse(key.removeprefix(WANTED)), Remembered.from_bytes(value)))
        except P2pnodeError as error:
            log.warning("an unfinished transfer cannot go on: %s", error)
    return found


async def remember(store: Store, running: Running) -> None:
    """As it is now, unless it is only read or is complete."""
    if running.wanted and not running.complete.is_set():
        root, value = running.transfer.root, Remembered.of(running).to_bytes()
        await store.write(lambda tx: tx.set_meta(WANTED + str(root), value))


def forget(tx: Tx, root: Cid) -> None:
    """Nobody wants it any more, or it is here."""
    tx.set_meta(WANTED + str(root), None)


def keep(tx: Tx, root: Cid, works: Sequence[Work], now: float) -> None:
    """It has come: kept, pinned, and what is to be told of it. ONE transaction with whatever else the caller writes."""
    tx.pin(root)
    tx.set_public(root, True)
    forget(tx, root)
    if not works:
        tx.enqueue(PROVIDE, root_key(root), now)
    for work in works:
        if tx.work(work.id) is None:  # the catalogue keeps what was only heard for a while
            put_manifest(tx, work.manifest, state="heard", private=False, added=now)
        if work.state == "heard":
            tx.set_work_state(work.id, "kept")
        enqueue_work(tx, work, now)
