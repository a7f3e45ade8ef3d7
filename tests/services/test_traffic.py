"""The limits of a node on a meter that the test moves, at times of the test's choice."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from p2pnode.config import Settings
from p2pnode.core.traffic_rules import LEAST_BYTES_S
from p2pnode.errors import TimedOutError, UsageError
from p2pnode.ports import Store
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.traffic import IDLE_TICK_S, KEEP_EVERY_S, META_KEY, TrafficLimits
from p2pnode.sim.network import SimMeter
from p2pnode.store.memory import MemoryStore
from tests.services.test_transfers import two

pytestmark = pytest.mark.trio
GB = 10**9
NOON = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
"""Local time, as schedules and budgets are."""


class Bench:
    """One node's limits, with what is around them."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.began = trio.current_time()
        self.start = NOON
        self.meter = SimMeter()
        self.events: list[tuple[str, Any]] = []
        self.limits = TrafficLimits(settings, store, self.meter, self.clock, lambda *event: self.events.append(event))

    def clock(self) -> float:
        return self.start + trio.current_time() - self.began

    async def moved(self, up: int, down: int = 0) -> None:
        """So many bytes went, and the node has looked."""
        self.meter.count = (self.meter.count[0] + up, self.meter.count[1] + down)
        await trio.sleep(IDLE_TICK_S + 1)


@asynccontextmanager
async def bench(store: Store, **settings: Any) -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        made = Bench(store, Settings(**settings))
        await made.limits.start(nursery)
        yield made
        nursery.cancel_scope.cancel()


@pytest.fixture
def store() -> Store:
    return MemoryStore(time.time)


async def test_rates_and_windows_are_set_on_the_meter(store: Store, autojump_clock: MockClock) -> None:
    async with bench(
        store, rate_up_bytes_s=50_000, rate_down_bytes_s=70_000, rate_schedule=("13:00-14:00 unlimited",)
    ) as one:
        assert one.meter.limits == (50_000, 70_000)
        assert one.limits.limited() == "at most 70 kB/s by your limits"
        await trio.sleep(3601)
        assert one.meter.limits == (0, 0) and one.limits.limited() == ""
        await trio.sleep(3600)
        assert one.meter.limits == (50_000, 70_000)


async def test_a_budget_that_is_used_up_is_said_waited_for_and_begins_anew(
    store: Store, autojump_clock: MockClock
) -> None:
    stopped: list[None] = []
    async with bench(store, budget_hour_bytes=GB) as one:
        one.limits.on_used_up.append(lambda: stopped.append(None))
        await one.moved(GB // 2, GB // 4)
        assert one.limits.waiting_reason() is None
        await one.limits.allowed()
        await one.moved(GB // 4)
        assert one.limits.waiting_reason() == "the hour's budget of 1 GB is used up; it begins anew at 13:00"
        assert one.meter.limits == (LEAST_BYTES_S, LEAST_BYTES_S) and stopped == [None]
        await one.limits.allowed()
        assert NOON + 3600 <= one.clock() < NOON + 3602
        assert one.limits.waiting_reason() is None and one.meter.limits == (0, 0)
    assert [name for name, _ in one.events] == ["limits.changed", "limits.changed"]
    assert one.events[0][1]["waiting"] and one.events[1][1] == {"waiting": None}


async def test_what_was_used_is_known_after_a_stop_and_nearly_all_after_a_kill(
    store: Store, autojump_clock: MockClock
) -> None:
    async with bench(store, budget_month_bytes=10 * GB) as one:
        await one.moved(GB)
        await trio.sleep(KEEP_EVERY_S + 2)
        kept = await store.read(lambda tx: tx.get_meta(META_KEY))
        assert kept is not None and b"1000000000" in kept
        one.meter.count = (GB + 17, 0)  # in the last second
    async with bench(store, budget_month_bytes=10 * GB) as again:
        assert again.limits.usage.month_bytes == GB + 17
        await again.moved(8 * GB)
        assert "month's budget of 10 GB" in (again.limits.waiting_reason() or "")


@pytest.mark.parametrize("kept", [b"", b"rubbish", b"[]", b'{"hour": 5}', b'{"month_bytes": -1}', b'{"other": 1}'])
async def test_what_cannot_be_read_counts_as_nothing_used(store: Store, autojump_clock: MockClock, kept: bytes) -> None:
    await store.write(lambda tx: tx.set_meta(META_KEY, kept))
    async with bench(store) as one:
        assert one.limits.usage.month_bytes == 0


async def test_limits_that_are_set_hold_at_once_or_not_at_all(store: Store, autojump_clock: MockClock) -> None:
    async with bench(store) as one:
        one.limits.set(up=5000, schedule=("00:00-12:00 unlimited",), month_bytes=GB)
        assert one.meter.limits == (5000, 0)
        for wrong in ({"up": 5}, {"down": -1}, {"schedule": ("never",)}, {"hour_bytes": -1}):
            with pytest.raises(UsageError):
                one.limits.set(**{"up": 9999, **wrong})  # type: ignore[arg-type]
            assert one.meter.limits == (5000, 0) and one.limits.schedule == ("00:00-12:00 unlimited",)
        one.limits.set(up=0, schedule=(), month_bytes=0)
        assert one.meter.limits == (0, 0) and one.limits.schedule == ()


class Held:
    """ports.Traffic that a test turns."""

    def __init__(self) -> None:
        self.reason: str | None = "the budget is used up"
        self.free = trio.Event()

    def waiting_reason(self) -> str | None:
        return self.reason

    async def allowed(self) -> None:
        await self.free.wait()

    def release(self) -> None:
        self.reason = None
        self.free.set()


async def test_askers_are_told_busy_while_works_wait_and_served_afterwards(tmp_path: Path) -> None:
    held = Held()
    async with two() as (anna, ben, nursery):
        (tmp_path / "bees").write_bytes(b"bees" * 1000)
        cid = (await anna.share(tmp_path / "bees"))["cid"]
        ServeBlocks(anna.network, anna.store, held).start()
        with pytest.raises(TimedOutError):
            await ben.get(cid, timeout_s=0.5)
        held.release()
        with trio.fail_after(30):
            assert (await ben.get(cid))["bytes"] == 4000
        nursery.cancel_scope.cancel()
