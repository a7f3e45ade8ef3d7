"""An hour of a limited node in virtual time: limits with a schedule above, the two lines below, and an interface that counts for itself.

The interface knows packets: every 1,448 bytes carry headers, every two packets an acknowledgement, one in a hundred is sent twice. What the
node counts and allows is held against that. The hour on a real wire is `python -m tests.support.limited_wire up 200000 3600`.
"""

from __future__ import annotations

import time

import pytest
import trio
from trio.testing import MockClock

from p2pnode.config import Settings
from p2pnode.net.traffic import HEADER_BYTES, SEGMENT_BYTES, Line, Overhead, Traffic
from p2pnode.services.traffic import TrafficLimits
from p2pnode.store.memory import MemoryStore

pytestmark = pytest.mark.trio
NOON = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
DAY_RATE, EVENING_RATE = 200_000, 50_000
HOUR_S, HALF_S = 3600.0, 1800.0
LOST_EVERY = 100
"""Packets between two that are sent again."""


class Wire:
    """One connection's packets, as its interface counts them; `net.traffic` asks it what they cost beside the payload."""

    def __init__(self) -> None:
        self.payload = self.packets = self.acknowledgements = self.repeats = 0

    def carry(self, count: int) -> None:
        packets = -(-count // SEGMENT_BYTES)
        self.payload += count
        self.packets += packets
        self.acknowledgements += -(-packets // 2)
        self.repeats = self.packets // LOST_EVERY

    @property
    def sent(self) -> int:
        """On the interface, one way."""
        return self.payload + self.packets * HEADER_BYTES + self.repeats * (SEGMENT_BYTES + HEADER_BYTES)

    def overhead(self) -> Overhead:
        return Overhead(
            up=(self.packets + self.repeats) * HEADER_BYTES,
            down=self.acknowledgements * HEADER_BYTES,
            again=self.repeats * SEGMENT_BYTES,
        )

    def clamp_window(self, count: int) -> None: ...


async def pour(traffic: Traffic, wire: Wire) -> None:
    line: Line = traffic.up
    traffic.joined(wire)
    while True:
        count = await line.turn(64 << 10)
        line.bytes += count
        wire.carry(count)
        traffic.used(wire)


async def test_an_hour_with_a_schedule_stays_within_five_percent(autojump_clock: MockClock) -> None:
    traffic, wires = Traffic(), [Wire() for _ in range(3)]
    began = trio.current_time()
    settings = Settings(
        rate_up_bytes_s=DAY_RATE, rate_schedule=("12:30-13:30 up=50kB",), budget_month_bytes=10**12, lan=False
    )
    limits = TrafficLimits(
        settings,
        MemoryStore(time.time),
        traffic,
        lambda: NOON + trio.current_time() - began,
        lambda name, data: None,
    )
    async with trio.open_nursery() as nursery:
        await limits.start(nursery)
        nursery.start_soon(traffic.run)
        for wire in wires:
            nursery.start_soon(pour, traffic, wire)
        await trio.sleep(HALF_S)
        first = sum(wire.sent for wire in wires)
        assert traffic.counted()[0] == pytest.approx(first, rel=0.05)
        await trio.sleep(HALF_S)
        limits.apply()
        sent = sum(wire.sent for wire in wires)
        up, down = traffic.counted()
        usage = limits.usage
        nursery.cancel_scope.cancel()
    assert first == pytest.approx(DAY_RATE * HALF_S, rel=0.05)
    assert sent - first == pytest.approx(EVENING_RATE * HALF_S, rel=0.05)
    assert up == pytest.approx(sent, rel=0.05)
    assert down == pytest.approx(sum(wire.acknowledgements for wire in wires) * HEADER_BYTES, rel=0.05)
    assert usage.month_bytes == pytest.approx(up + down, rel=0.01), "what budgets count is what went"
