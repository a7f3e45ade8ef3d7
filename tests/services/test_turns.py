"""Fair serving: bytes are shared between peers, not between streams; the slow and the greedy take nothing from others."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from p2pnode.core.fetch_messages import HEAD_BYTES, PROTOCOL, Status, decode_head, encode_request
from p2pnode.core.ids import PeerId
from p2pnode.ports import Stream
from p2pnode.services import serve_blocks
from p2pnode.services import turns as turns_module
from p2pnode.services.framing import receive_exactly, send_frame
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.turns import Turns
from p2pnode.store.memory import MemoryStore
from tests.support.contents import hold
from tests.support.dags import Dag, build
from tests.support.loopback import Hub, LoopbackNetwork, a_hub

ROUNDS = 60


@pytest.mark.trio
@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(2, 6), st.integers(500, 4000)), min_size=2))
async def test_bytes_are_shared_whatever_the_streams_and_the_sizes_of_batches(
    askers: dict[str, tuple[int, int]],
) -> None:
    """Each asker: (streams, bytes of a batch); with two streams there is always one that waits."""
    turns = Turns(1, 2)
    served: Counter[str] = Counter()

    async def ask(name: str, batch: int) -> None:
        while True:
            await turns.take(PeerId(name))
            try:
                served[name] += batch
                turns.charge(PeerId(name), batch)
                await trio.lowlevel.checkpoint()
            finally:
                turns.give_back(PeerId(name))
            if sum(served.values()) > ROUNDS * 4000:
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for name, (streams, batch) in askers.items():
            for _ in range(streams):
                nursery.start_soon(ask, name, batch)
    assert min(served[name] for name in askers) >= 0.8 * max(served.values()) - 4000, served
    assert turns.free == 1 and not turns._held and not turns._waiting


@pytest.mark.trio
async def test_who_gave_up_waiting_leaves_nothing_behind() -> None:
    turns = Turns(1, 1)
    await turns.take(PeerId("a"))
    for _ in range(3):
        with trio.move_on_after(0):
            await turns.take(PeerId("b"))
    assert set(turns._waiting) == set()
    turns.give_back(PeerId("a"))
    assert turns.free == 1
    for number in range(3 * turns_module.REMEMBERED_PEERS):
        await turns.take(PeerId(f"p{number}"))
        turns.charge(PeerId(f"p{number}"), number)
        turns.give_back(PeerId(f"p{number}"))
    assert len(turns._got) <= turns_module.REMEMBERED_PEERS


class _Askers:
    """A provider of one large folder, and peers that ask it by hand."""

    def __init__(self, hub: Hub, dag: Dag) -> None:
        self.hub, self.dag = hub, dag
        self.network, store = hub.node("provider"), MemoryStore(lambda: 0.0)
        self.store = store
        self.serving = ServeBlocks(self.network, store)
        self.got: Counter[str] = Counter()

    async def start(self) -> None:
        await hold(self.store, self.dag)
        self.serving.start()

    async def ask(self, peer: LoopbackNetwork, *, pause_s: float = 0.0) -> None:
        stream = await peer.open_stream(PeerId("provider"), PROTOCOL)
        asked = list(self.dag.leaves)[:64]
        while True:
            await send_frame(stream, encode_request(self.dag.root, asked))
            for _ in asked:
                await self._one(stream, str(peer.peer_id))
                await trio.sleep(pause_s)

    async def _one(self, stream: Stream, name: str) -> None:
        status, length = decode_head(await receive_exactly(stream, HEAD_BYTES))
        if status is Status.HAVE:
            await receive_exactly(stream, length)
            self.got[name] += length


@pytest.mark.trio
async def test_a_greedy_peer_takes_no_more_than_a_modest_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_blocks, "MAX_BUFFERED_BATCHES", 2)
    monkeypatch.setattr(serve_blocks, "BATCH_BYTES", 50_000)
    async with a_hub() as hub:
        askers = _Askers(hub, build({"big": bytes(range(256)) * 25_000}, leaf_bytes=50_000 - 3))
        original = askers.store.read_blocks

        async def slowly(*arguments: object, **options: object) -> object:  # the disk is what they compete for
            await trio.sleep(0.1)
            return await original(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(askers.store, "read_blocks", slowly)
        await askers.start()
        greedy, modest = hub.node("greedy"), hub.node("modest")
        with trio.move_on_after(60):
            async with trio.open_nursery() as nursery:
                for _ in range(serve_blocks.STREAMS_PER_PEER):
                    nursery.start_soon(askers.ask, greedy)
                nursery.start_soon(askers.ask, modest)
        assert askers.got["modest"] > 0.8 * askers.got["greedy"], askers.got


@pytest.mark.trio
async def test_slow_peers_give_up_their_memory_when_others_wait(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_blocks, "MAX_BUFFERED_BATCHES", 4)
    async with a_hub() as hub:
        askers = _Askers(hub, build({"big": bytes(range(256)) * 100_000}, leaf_bytes=999_999))
        await askers.start()
        for name in ("slow", "slower"):  # they ask for much and read nothing
            stream = await hub.node(name).open_stream(PeerId("provider"), PROTOCOL)
            await send_frame(stream, encode_request(askers.dag.root, list(askers.dag.leaves)))
        await wait_all_tasks_blocked()
        assert askers.serving._turns.free == 0
        quick = hub.node("quick")
        with trio.move_on_after(25):
            await askers.ask(quick, pause_s=0.01)
        assert askers.got["quick"] > 50_000_000
