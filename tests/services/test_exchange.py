"""Incomplete nodes serve each other: the seed gives away about one copy, whoever comes later joins, whoever goes is replaced."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from p2pnode.core.cid import Cid
from p2pnode.core.ids import PeerId
from p2pnode.ports import Content
from p2pnode.services.fetch import Fetching
from p2pnode.services.having import Having
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.transfer import Transfer
from p2pnode.store.memory import ROOT, MemoryStore
from tests.support.contents import hold
from tests.support.dags import Dag, build
from tests.support.loopback import Hub, a_hub

pytestmark = pytest.mark.trio
LEAF, LEAVES = 50_000, 800
RATE = 1_000_000
"""Bytes a second that each node uploads, in virtual time."""


class Peer:
    """A node that serves at RATE and may fetch; `gave` counts bytes of leaves by asker."""

    def __init__(self, hub: Hub, name: str, *, rate: int = RATE) -> None:
        self.network, self.store = hub.node(name), MemoryStore(self.clock)
        self.gave = 0
        self.rate = rate
        self.fetching: Fetching | None = None
        self.content: Content | None = None
        self.transfer: Transfer | None = None
        self._line = trio.Lock()
        self._read = self.store.read_blocks
        self.store.read_blocks = self._slowly  # type: ignore[method-assign]
        ServeBlocks(self.network, self.store).start()
        Having(self.network, self.store, lambda root: self.fetching).start()

    def clock(self) -> float:
        return 1_800_000_000.0 + trio.current_time()

    async def _slowly(self, cids: Any, *, public_only: bool = False, max_bytes: int) -> list[bytes | None]:
        blocks = await self._read(cids, public_only=public_only, max_bytes=min(max_bytes, 2 * LEAF))
        if public_only:
            count = sum(len(block or b"") for block in blocks)
            self.gave += sum(len(block) for block in blocks if block is not None and len(block) == LEAF)
            async with self._line:
                await trio.sleep(count / self.rate)
        return blocks

    async def fetch(self, dag: Dag, *providers: str) -> None:
        async def complete(content: Content) -> None:
            self.content = content

        self.transfer = Transfer("t", dag.root, clock=self.clock)
        self.fetching = Fetching(
            self.network, self.store, dag.root, "x", find_more=None, transfer=self.transfer, on_complete=complete
        )
        await self.fetching.run([PeerId(name) for name in providers])
        self.fetching = None


def _content() -> Dag:
    return build({"big": random.Random(1).randbytes(LEAF * LEAVES)}, leaf_bytes=LEAF)


def _whole(peer: Peer) -> bytes:
    assert peer.content is not None and peer.content.state == "complete"
    data = peer.store.area.entries[f"{peer.content.base.removeprefix(ROOT + '/')}/big"]
    assert data is not None
    return bytes(data)


async def test_a_seed_gives_about_one_copy_to_many_who_come_at_once(autojump_clock: MockClock) -> None:
    dag = _content()
    async with a_hub() as hub:
        seed = Peer(hub, "seed")
        await hold(seed.store, dag)
        others = [Peer(hub, f"p{number}") for number in range(4)]
        start = trio.current_time()
        with trio.fail_after(3600):
            async with trio.open_nursery() as nursery:
                for other in others:
                    nursery.start_soon(other.fetch, dag, "seed")
        seconds = trio.current_time() - start
        size = LEAF * LEAVES
        assert {Cid.of(0x55, _whole(other)) for other in others} == {Cid.of(0x55, b"".join(dag.leaves.values()))}
        assert seed.gave < 1.4 * size, f"{seed.gave / size:.2f} copies"
        assert sum(other.gave for other in others) > 2.5 * size
        assert seconds < 2 * size / RATE, f"{seconds * RATE / size:.2f} times one copy: alone the seed would need four"


async def test_who_comes_later_learns_of_the_others_and_who_goes_is_replaced(autojump_clock: MockClock) -> None:
    dag = _content()
    async with a_hub() as hub:
        seed, first, second = Peer(hub, "seed"), Peer(hub, "first"), Peer(hub, "second")
        await hold(seed.store, dag)
        with trio.fail_after(3600):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(first.fetch, dag, "seed")
                await trio.sleep(15)
                nursery.start_soon(second.fetch, dag, "seed")  # it was told of nobody else
                await trio.sleep(15)
                assert second.gave or first.gave
                first.network.online = False
                await trio.sleep(20)
                first.network.online = True
        assert second.transfer is not None and "first" in second.transfer.used_providers
        assert _whole(first) == _whole(second) == b"".join(dag.leaves.values())


async def test_four_slow_providers_are_almost_four_times_as_fast_as_one(autojump_clock: MockClock) -> None:
    dag = _content()
    seconds: Counter[int] = Counter()
    for count in (1, 4):
        async with a_hub() as hub:
            names = [f"seed{number}" for number in range(count)]
            for name in names:
                await hold(Peer(hub, name).store, dag)
            fetcher = Peer(hub, "fetcher")
            start = trio.current_time()
            with trio.fail_after(3600):
                await fetcher.fetch(dag, *names)
            seconds[count] = round(trio.current_time() - start)
            assert _whole(fetcher) == b"".join(dag.leaves.values())
    assert seconds[1] / seconds[4] > 3.6, seconds


async def test_one_slow_provider_among_fast_ones_does_not_hold_up_the_end(autojump_clock: MockClock) -> None:
    dag = _content()
    async with a_hub() as hub:
        for name, rate in (("fast", RATE), ("slow", RATE // 50)):
            await hold(Peer(hub, name, rate=rate).store, dag)
        fetcher = Peer(hub, "fetcher")
        start = trio.current_time()
        with trio.fail_after(3600):
            await fetcher.fetch(dag, "fast", "slow")
        assert trio.current_time() - start < 1.15 * LEAF * LEAVES / RATE
