"""When a relayed connection is closed that a direct one has replaced; in virtual time, on a connection that is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from p2pnode.net.punch.retiring import GRACE_S, LOOK_S, QUIET_LOOKS, retire

pytestmark = pytest.mark.trio


class Relayed:
    """A connection of libp2p with so many streams, over which `traffic` bytes go in each look."""

    def __init__(self, *, streams: int, traffic: int) -> None:
        self.circuit = SimpleNamespace(moved_bytes=0)
        connection = SimpleNamespace(conn=SimpleNamespace(stream=self.circuit))
        self.muxed_conn: Any = SimpleNamespace(
            streams=dict.fromkeys(range(streams)), is_closed=False, peer_id="somebody", secured_conn=connection
        )
        self.traffic = traffic
        self.closed_after_s = 0.0

    async def close(self) -> None:
        self.closed_after_s = trio.current_time()

    async def retire(self, *, direct: bool = True) -> float:
        """Seconds after which it is closed."""
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._flow)
            await retire(self, lambda: direct)
            nursery.cancel_scope.cancel()
        return self.closed_after_s - begun if self.closed_after_s else 0.0

    async def _flow(self) -> None:
        while True:
            self.circuit.moved_bytes += self.traffic
            await trio.sleep(LOOK_S)


async def test_it_goes_soon_when_nothing_runs_on_it(autojump_clock: MockClock) -> None:
    assert await Relayed(streams=0, traffic=1000).retire() == pytest.approx(LOOK_S * QUIET_LOOKS)
    assert await Relayed(streams=3, traffic=100).retire() == pytest.approx(LOOK_S * QUIET_LOOKS)


async def test_a_transfer_has_its_grace(autojump_clock: MockClock) -> None:
    assert await Relayed(streams=1, traffic=1000).retire() == pytest.approx(GRACE_S)


async def test_it_stays_when_the_direct_one_went_first(autojump_clock: MockClock) -> None:
    assert await Relayed(streams=0, traffic=0).retire(direct=False) == 0.0
