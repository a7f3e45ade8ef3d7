"""A disk that fails for a while: whatever a node does by itself fails with it, and goes on afterwards. The node stays."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio

from p2pnode.config import Home, Settings
from p2pnode.core.ids import parse_id
from p2pnode.errors import P2pnodeError, StoreError
from p2pnode.ports import Tx
from p2pnode.services.background import contained, for_ever
from p2pnode.services.me import Me
from p2pnode.services.node import Node
from p2pnode.services.outbox import PROVIDE
from p2pnode.store.memory import MemoryStore
from tests.support.loopback import Hub

T = TypeVar("T")
NOON = 1_780_000_000.0
KEY = bytes(31) + b"k"
AN_HOUR_S = 3600.0

pytestmark = pytest.mark.trio


class MoodyStore(MemoryStore):
    """A store whose disk can be broken: for writing only (it is full), or altogether."""

    full = broken = False

    async def write(self, work: Callable[[Tx], T], *, durable: bool = True) -> T:
        if self.full or self.broken:
            raise StoreError("the disk is full")
        return await super().write(work, durable=durable)

    async def read(self, work: Callable[[Tx], T]) -> T:
        if self.broken:
            raise StoreError("the disk is gone")
        return await super().read(work)


def a_node(hub: Hub, name: str, store: MemoryStore, folder: Path) -> Node:
    home = Home(folder / name)
    me = Me(name.encode().ljust(32))
    return Node(home, Settings(lan=False), store, hub.node(name), me, lambda: NOON, lambda *_: None, trio.Event())


async def nothing_waits(store: MemoryStore) -> None:
    with trio.fail_after(AN_HOUR_S):
        while await store.read(lambda tx: tx.due_outbox(1e12, 10)):  # noqa: ASYNC110  (a store has no event)
            await trio.sleep(1)


@pytest.mark.parametrize("fault", ["full", "broken"])
async def test_a_node_outlives_a_disk_that_fails_for_an_hour(autojump_clock: Any, tmp_path: Path, fault: str) -> None:
    async with trio.open_nursery() as nursery:
        hub, store = Hub(nursery), MoodyStore(clock=lambda: NOON)
        node = a_node(hub, "anna", store, tmp_path)
        other = a_node(hub, "ben", MemoryStore(clock=lambda: NOON), tmp_path)
        await other.start(nursery)
        await node.start(nursery)
        circle = parse_id("c", (await node.circles.create("Readers"))["circle"])
        await store.write(lambda tx: tx.enqueue(PROVIDE, KEY, 0.0))
        setattr(store, fault, True)
        node.outbox.wake()
        await other.network.connect(node.network.addresses()[0])
        node.admission.changed(circle)  # type: ignore[arg-type]
        await trio.sleep(AN_HOUR_S)
        setattr(store, fault, False)
        await trio.sleep(AN_HOUR_S)
        await nothing_waits(store)
        nursery.cancel_scope.cancel()


async def test_work_that_failed_begins_again_later_and_later(autojump_clock: Any) -> None:
    began: list[float] = []

    async def work() -> None:
        began.append(trio.current_time())
        if len(began) < 4:
            raise OSError(errno.ENOSPC, "no space") if len(began) == 2 else StoreError("no space")

    await for_ever(work)
    pauses = [round(after - before) for before, after in pairwise(began)]
    assert pauses == [5, 10, 20]


async def test_a_nursery_s_group_is_one_failure_too(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)

    async def fail() -> None:
        raise P2pnodeError("a reason in words")

    assert not await contained(work)
    assert "a reason in words" in caplog.text and "Traceback" not in caplog.text


async def test_cancelling_goes_through(autojump_clock: Any) -> None:
    with trio.move_on_after(1) as scope:
        await for_ever(trio.sleep_forever)
    assert scope.cancelled_caught
