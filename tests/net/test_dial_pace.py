"""Dials to the internet begin at a bounded pace, whoever asks for them; in the local network at once."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from p2pnode.net import dial
from p2pnode.net.dial import DIALS_A_WINDOW, WINDOW_S


@pytest.mark.trio
async def test_a_burst_of_dials_is_spread_so_that_a_small_router_bears_it(autojump_clock: MockClock) -> None:
    begun: list[float] = []

    async def one() -> None:
        await dial._turn("/ip4/8.8.8.8/tcp/4001")
        begun.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(5 * DIALS_A_WINDOW):
            nursery.start_soon(one)
    begun.sort()
    for first, last in zip(begun, begun[DIALS_A_WINDOW:], strict=False):
        assert last - first >= WINDOW_S
    assert begun[-1] - begun[0] == pytest.approx(4 * WINDOW_S)


@pytest.mark.trio
async def test_the_local_network_waits_for_nobody(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    for _ in range(3 * DIALS_A_WINDOW):
        await dial._turn("/ip4/192.168.1.2/tcp/4001")
    assert trio.current_time() == began
