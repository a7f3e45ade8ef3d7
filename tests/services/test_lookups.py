"""Works that were proposed and are not known: asked for once, one after the other, within bounds."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
import trio

from p2pnode.core.ids import WorkId
from p2pnode.core.proposals import propose
from p2pnode.core.record import Record
from p2pnode.core.records import seq_of
from p2pnode.services.lookups import WAITING_WORKS, Lookups
from p2pnode.store.memory import MemoryStore
from tests.support.circles import NOON, Circle, key

pytestmark = pytest.mark.trio
CIRCLE = Circle()


class Asked:
    """Stands where the network is asked, and answers nothing."""

    def __init__(self) -> None:
        self.works: list[WorkId] = []

    async def find_work(self, work: WorkId, *, timeout_s: float) -> None:
        self.works.append(work)
        await trio.sleep(timeout_s)


def proposal(number: int) -> Record:
    work = WorkId(hashlib.sha256(b"%d" % number).digest())
    return propose(
        key("steward"), circle=CIRCLE.id, class_="list", subject=work, base=bytes(32), patch={}, reason="",
        seq=seq_of(NOON, number), created=NOON,
    )  # fmt: skip


async def test_each_work_is_asked_for_once_and_a_flood_is_cut(autojump_clock: Any) -> None:
    asked = Asked()
    lookups = Lookups(MemoryStore(time.time), asked)  # type: ignore[arg-type]
    flood = [proposal(number) for number in range(3 * WAITING_WORKS)]
    async with trio.open_nursery() as nursery:
        for record in flood:
            lookups.noticed(record)
        nursery.start_soon(lookups.run)
        await trio.sleep(WAITING_WORKS * 10)
        for record in flood[:5]:
            lookups.noticed(record)
        lookups.noticed(CIRCLE.charter)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert asked.works == [record.fields["subject"] for record in flood[:WAITING_WORKS]]
