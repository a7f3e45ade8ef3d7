"""Many connections and streams one after the other leave nothing behind."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest
import trio

from tests.support.net import echo, networks, until
from tests.support.visitors import visit

pytestmark = [
    pytest.mark.trio,
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts open files in /proc"),
]

FEW_FIRST, FEW = 40, 120
MANY_FIRST, MANY = 1000, 5000
"""Visitors before the first look, when everything that is loaded or filled once is, and after it."""
GROWTH_MIB = 12
"""Caches with a limit of their own (peer IDs, seen messages, scores) and the allocator's moods."""


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


async def come_and_go(first: int, count: int) -> None:
    async with networks(1) as (hub,):
        hub.serve("/test/echo/1", echo)

        async def receive(visitors: int, seed: int) -> tuple[int, int, float]:
            """(open files, tasks, MiB) when they are gone."""
            address = hub.addresses()[0]
            await trio.to_thread.run_sync(lambda: visit(visitors, address, seed=seed))
            await until(lambda: not hub.peers() and not len(hub._swarm._places), deadline_s=60)
            gc.collect()
            tasks = trio.lowlevel.current_statistics().tasks_living
            return len(os.listdir("/proc/self/fd")), tasks, resident_mib()

        before = await receive(first, 1)
        after = await receive(count, 2)
        await until(lambda: trio.lowlevel.current_statistics().tasks_living <= before[1] + 3)
        print("files, tasks, MiB:", before, after)
        assert after[0] <= before[0] + 3
        assert after[2] <= before[2] + GROWTH_MIB
        budget = hub._swarm._budget
        assert budget.incoming.held == budget.outgoing.held == 0 and not budget.incoming.accounts
        assert not hub.gossip._neighbours and not len(hub.worths) and not hub.gossip.mesh._subscribed


async def test_visitors_come_and_go() -> None:
    """Mend 1 and the rest: stock libp2p leaks a task for each connection, and refuses everybody after 250."""
    await come_and_go(FEW_FIRST, FEW)


@pytest.mark.long
async def test_five_thousand_visitors_come_and_go() -> None:
    await come_and_go(MANY_FIRST, MANY)
