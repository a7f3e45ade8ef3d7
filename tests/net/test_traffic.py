"""The two lines of a node: turns under a clock that jumps, and counts and rates on a wire between two network namespaces."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from p2pnode.net.traffic import SMALL_BYTES, Line, Overhead, Traffic
from tests.support.net import link, networks, round_trip

pytestmark = pytest.mark.trio
RATE = 100_000
may_have_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="network namespaces are made by root on Linux"
)


async def test_bulk_goes_at_the_rate_and_in_equal_shares(autojump_clock: MockClock) -> None:
    line, gone = Line(), [0, 0, 0, 0]
    line.set_rate(RATE)

    async def send(number: int) -> None:
        while True:
            went = await line.turn(1 << 20)
            gone[number] += went

    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.run)
        for number in range(4):
            nursery.start_soon(send, number)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert sum(gone) == pytest.approx(60 * RATE, rel=0.02)
    assert min(gone) == pytest.approx(max(gone), rel=0.1)


async def test_small_messages_do_not_wait_behind_bulk_nor_bulk_behind_them(autojump_clock: MockClock) -> None:
    line, slowest, bulk = Line(), 0.0, 0
    line.set_rate(RATE)

    async def send() -> None:
        nonlocal bulk
        while True:
            went = await line.turn(1 << 20)
            bulk += went

    async def chatter() -> None:
        while True:
            await line.turn(SMALL_BYTES)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.run)
        for _ in range(20):
            nursery.start_soon(send)
        for _ in range(100):
            began = trio.current_time()
            assert await line.turn(100) == 100
            slowest = max(slowest, trio.current_time() - began)
            await trio.sleep(0.1)
        assert slowest < 0.3
        for _ in range(20):
            nursery.start_soon(chatter)
        before = bulk
        await trio.sleep(60)
        assert bulk - before > 60 * RATE / 100
        nursery.cancel_scope.cancel()


async def test_what_was_cancelled_or_did_not_go_is_not_charged(autojump_clock: MockClock) -> None:
    line = Line()
    line.set_rate(RATE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.run)
        await line.pay(RATE)
        for _ in range(50):
            with trio.move_on_after(0):
                await line.turn(1 << 20)
        line.give_back(RATE // 2)
        began = trio.current_time()
        await line.pay(1000)
        assert trio.current_time() - began < 1
        nursery.cancel_scope.cancel()


async def test_a_limit_that_goes_lets_everybody_go(autojump_clock: MockClock) -> None:
    line = Line()
    line.set_rate(1024)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.run)
        nursery.start_soon(line.pay, 10**9)
        await trio.sleep(1)
        line.set_rate(0)
        with trio.fail_after(1):
            await line.pay(10**12)
            assert await line.turn(10**6) == 10**6
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        nursery.cancel_scope.cancel()


@pytest.mark.network
class Kept:
    """A socket as the meter knows it, of which the kernel keeps what came."""

    unread = 0

    def overhead(self) -> Overhead:
        return Overhead(unread=self.unread)

    def clamp_window(self, count: int) -> None:
        pass


async def test_what_was_kept_at_the_last_look_and_read_since_counts_once() -> None:
    traffic, one = Traffic(), Kept()
    traffic.joined(one)
    one.unread = 1000
    traffic.used(one)
    assert traffic.counted() == (0, 1000)
    one.unread = 0
    traffic.down.cost(1000)  # its reader took it
    traffic.used(one)
    assert traffic.counted() == (0, 1000)


async def test_every_connection_of_a_node_is_counted_with_its_headers() -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        await round_trip(a, b.peer_id, b"x" * 100_000)
        (a_up, a_down), (b_up, b_down) = a.meter.counted(), b.meter.counted()
        for up, down in ((a_up, b_down), (b_up, a_down)):
            assert up > 100_000
            assert down == pytest.approx(up, rel=0.2)
        traffic: Traffic = a.meter
        known = len(traffic._known)
        assert known >= 1
        await a.disconnect(b.peer_id)
        assert len(traffic._known) < known


@may_have_namespaces
@pytest.mark.network
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_rates_hold_on_the_interface_and_pings_get_through(direction: str) -> None:
    """A few seconds; by hand for an hour: `python -m tests.support.limited_wire up 200000 3600`."""
    command = [sys.executable, "-m", "tests.support.limited_wire", direction, "400000", "5"]
    done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.DEVNULL)
    measured = json.loads(done.stdout)
    assert measured["rate"] == pytest.approx(
        400_000, rel=0.08
    )  # windows that fill or empty once weigh more in 5 s than in an hour
    assert measured["counted"] == pytest.approx(1, rel=0.03)  # headers alone are 4.5 %
    assert measured["ping_s"] < 3
