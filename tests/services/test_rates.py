"""Token buckets on trio's clock."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from p2pnode.core.ids import PeerId
from p2pnode.services import rates
from p2pnode.services.rates import TokenBuckets

ANNA, BEN = PeerId("anna"), PeerId("ben")


@pytest.mark.trio
async def test_a_burst_then_the_rate_and_one_peer_takes_nothing_from_another(
    mock_clock: trio.testing.MockClock,
) -> None:
    buckets = TokenBuckets(2.0, 3)
    assert [buckets.take(ANNA) for _ in range(4)] == [True, True, True, False]
    assert buckets.take(BEN)
    mock_clock.jump(0.5)
    assert [buckets.take(ANNA) for _ in range(2)] == [True, False]
    mock_clock.jump(3600)
    assert [buckets.take(ANNA) for _ in range(4)] == [True, True, True, False]


@pytest.mark.trio
async def test_the_number_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_PEERS", 2)
    buckets = TokenBuckets(0.0, 1)
    for name in ("a", "b", "c"):
        assert buckets.take(PeerId(name))
    assert not buckets.take(PeerId("c"))
    assert buckets.take(PeerId("a")), "the longest unused was forgotten"
