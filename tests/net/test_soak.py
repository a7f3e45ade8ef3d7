"""Many connections and streams one after the other leave nothing behind."""

from __future__ import annotations

import gc
import os
import sys

import pytest
import trio

from p2pnode.net.network import Libp2pNetwork
from tests.support.net import NodeNet, echo, link, networks, round_trip, until

pytestmark = [pytest.mark.trio, pytest.mark.network, pytest.mark.long]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts open files in /proc")
async def test_three_hundred_guests_come_and_go() -> None:
    """Mend 1 and the rest: stock libp2p refuses everybody after 250 and leaks a task for each."""

    async def visit(hub: Libp2pNetwork) -> None:
        async with NodeNet(99).open() as guest:
            await link(guest, hub)
            assert await round_trip(guest, hub.peer_id) == b"hello"

    async with networks(1) as (hub,):
        hub.serve("/test/echo/1", echo)
        for _ in range(10):
            await visit(hub)
        await until(lambda: not hub.peers())
        before = (open_files(), tasks())
        for _ in range(300):
            await visit(hub)
        await until(lambda: not hub.peers())
        gc.collect()
        await until(lambda: tasks() <= before[1] + 3)
        assert open_files() <= before[0] + 3
