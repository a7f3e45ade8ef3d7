"""Fetching by Bitswap from nodes that speak nothing better: honest, half-empty, silent, lying and flooding ones, and our own server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from unittest import mock

import pytest
import trio
from pytest_trio import trio_fixture
from trio.testing import MockClock

from p2pnode.core.bitswap_messages import PROTOCOL_120, Entry, Message, Want, encode_answer
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.fetch_messages import PROTOCOL as FETCH
from p2pnode.core.ids import PeerId
from p2pnode.services import bitswap_ask
from p2pnode.services.bitswap import UNASKED_POINTS, Bitswap
from p2pnode.services.bitswap_ask import MAX_OUTSTANDING, MAX_TRIES, RETRY_S
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.swarm import LIE_POINTS, Swarm
from p2pnode.services.transfer import Transfer
from p2pnode.store.memory import MemoryStore
from tests.support.bitswap_peer import Foreigner
from tests.support.contents import hold, many_files
from tests.support.dags import Dag, build
from tests.support.loopback import Hub, LoopbackNetwork, a_hub

pytestmark = pytest.mark.trio
DAG = build({"big": b"".join(b"%d " % number for number in range(9000)), "small": b"s"}, leaf_bytes=3000)
ALL = DAG.interior | DAG.leaves
GIVE_UP_S = 3600.0
"""Virtual seconds: a fetch that cannot end fails instead of hanging."""


class World:
    """A node that fetches by Bitswap, and others to fetch from."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.network: LoopbackNetwork = hub.node("fetcher")
        self.id = self.network.peer_id
        self.bitswap = Bitswap(self.network, MemoryStore(self.clock))
        self.told: list[str] = []
        self.transfer = Transfer("t-1", DAG.root, clock=self.clock, listener=lambda t: self.told.append(t.reason()))

    def clock(self) -> float:
        return 1_800_000_000.0 + trio.current_time()

    async def ours(self, name: str, dag: Dag, *, public: bool = True) -> LoopbackNetwork:
        """A node of ours that serves by Bitswap alone."""
        network, store = self.hub.node(name), MemoryStore(self.clock)
        await hold(store, dag, public=public)
        await Bitswap(network, store).start(self.hub.nursery)
        await self.meet(name)
        return network

    async def foreigner(self, name: str) -> Foreigner:
        foreigner = Foreigner(self.hub.node(name))
        await self.meet(name)
        return foreigner

    async def meet(self, name: str) -> None:
        await self.network.connect(f"/memory/p2p/{name}")
        await trio.testing.wait_all_tasks_blocked()

    async def fetch(self, *providers: str, blocks: Mapping[Cid, bytes] = ALL) -> dict[Cid, bytes]:
        """All these blocks, from these providers."""
        swarm = Swarm(self.network, DAG.root, self.transfer, None, self.bitswap)
        swarm.wanted((cid, len(block)) for cid, block in blocks.items())
        came: dict[Cid, bytes] = {}
        with trio.fail_after(GIVE_UP_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(swarm.run, [PeerId(name) for name in providers])
                while len(came) < len(blocks):
                    for cid, block in await swarm.blocks.receive():
                        assert cid not in came
                        came[cid] = block
                nursery.cancel_scope.cancel()
        assert came == blocks
        return came

    async def transferring(self) -> None:
        """Until the first block came."""
        while not self.transfer.used_providers:  # noqa: ASYNC110 - a transfer tells its owner, and that is the fetch
            await trio.sleep(0.01)

    def points(self, name: str) -> int:
        return sum(points for peer, points, _ in self.network.penalties if peer == name)


@trio_fixture
async def world() -> AsyncIterator[World]:
    async with a_hub() as hub:
        made = World(hub)
        await made.bitswap.start(hub.nursery)
        yield made


async def test_everything_comes_from_a_node_that_speaks_nothing_else(autojump_clock: MockClock, world: World) -> None:
    await world.ours("helia", DAG)
    await world.fetch("helia")
    assert world.bitswap.neighbours() == ["helia"]
    assert {protocol for _, protocol in world.network.opened} == {PROTOCOL_120}
    assert world.transfer.used_providers == {"helia"} and world.network.penalties == []


async def test_many_tiny_blocks_come_in_few_messages(autojump_clock: MockClock, world: World) -> None:
    blocks = build(many_files(3000, 20)).leaves
    helia = await world.foreigner("helia")
    helia.provides(blocks | {DAG.root: ALL[DAG.root]})
    await world.fetch("helia", blocks=blocks)
    assert len(helia.heard) < 40
    assert max(len(message.entries) for message in helia.heard) <= MAX_OUTSTANDING


async def test_those_who_speak_our_own_protocol_are_asked_by_it(autojump_clock: MockClock, world: World) -> None:
    network, store = world.hub.node("friend"), MemoryStore(world.clock)
    await hold(store, DAG)
    ServeBlocks(network, store).start()
    await Bitswap(network, store).start(world.hub.nursery)
    await world.meet("friend")
    await world.fetch("friend")
    assert world.network.opened == [("friend", FETCH)] and world.bitswap.neighbours() == []


async def test_first_it_asks_whether_the_root_is_there_then_in_the_order_of_need(
    autojump_clock: MockClock, world: World
) -> None:
    helia = await world.foreigner("helia")
    helia.provides(ALL)
    await world.fetch("helia")
    first, *wants = helia.entries
    assert (first.cid, first.want, first.send_dont_have) == (DAG.root, Want.HAVE, True)
    blocks = [entry for entry in wants if not entry.cancel]
    assert [entry.cid for entry in blocks] == list(ALL) and all(entry.send_dont_have for entry in blocks)
    assert [entry.priority for entry in blocks] == sorted((entry.priority for entry in blocks), reverse=True)


async def test_a_neighbour_without_it_gives_its_place_to_one_that_has_it(
    autojump_clock: MockClock, world: World
) -> None:
    empty = [await world.foreigner(f"empty{number}") for number in range(14)]
    for one in empty:
        one.provides({})
    await world.ours("helia", DAG)
    await world.fetch(*[one.peer_id for one in empty], "helia")
    assert all(entry.want is Want.HAVE for one in empty for entry in one.entries)
    assert world.network.penalties == []


async def test_what_one_has_not_is_asked_of_another(autojump_clock: MockClock, world: World) -> None:
    leaves = list(DAG.leaves)
    halves = {"front": leaves[::2], "back": leaves[1::2]}
    for name, held in halves.items():
        foreigner = await world.foreigner(name)
        foreigner.provides(DAG.interior | {cid: DAG.leaves[cid] for cid in held})
    await world.fetch("front", "back")
    assert world.transfer.used_providers == {"front", "back"}


async def test_wants_passed_over_in_silence_are_sent_again_soon_and_by_themselves(
    autojump_clock: MockClock, world: World
) -> None:
    helia = await world.foreigner("helia")
    ignored: set[Cid] = set()
    forgetful = set(list(DAG.leaves)[3:20])

    def passes_over(entry: Entry) -> bool:
        if entry.want is Want.HAVE or entry.cid not in forgetful or entry.cid in ignored:
            return False
        ignored.add(entry.cid)
        return True

    helia.provides(ALL, passes_over=passes_over)
    began = trio.current_time()
    await world.fetch("helia")
    assert ignored == forgetful and trio.current_time() - began < 6 * RETRY_S
    again = [message.entries for message in helia.heard if message.entries[0].cid in ignored][-2:]
    assert [len(entries) for entries in again] == [1, 1]
    assert again[0][0].cancel and not again[1][0].cancel  # else it would be taken for answered


async def test_what_is_never_answered_is_given_to_another(autojump_clock: MockClock, world: World) -> None:
    lost = list(DAG.leaves)[5]
    helia = await world.foreigner("helia")
    helia.provides(ALL, passes_over=lambda entry: entry.cid == lost)
    kubo, began = await world.foreigner("kubo"), trio.current_time()
    kubo.provides(
        {DAG.root: ALL[DAG.root], lost: ALL[lost]}, passes_over=lambda entry: trio.current_time() - began < 14
    )
    await world.fetch("helia", "kubo")
    asked = [entry for entry in helia.entries if entry.cid == lost and not entry.cancel]
    assert len(asked) == MAX_TRIES


async def test_a_silent_one_loses_its_wants_and_is_told_so(autojump_clock: MockClock, world: World) -> None:
    silent = await world.foreigner("silent")
    silent.provides(ALL, passes_over=lambda entry: entry.want is Want.BLOCK)
    world.hub.nursery.start_soon(_later, 30.0, world, "helia")
    with mock.patch("p2pnode.services.swarm.FIRST_FIND_PAUSE_S", 1.0):
        await world.fetch("silent", "helia")
    assert any(entry.cancel for entry in silent.entries)


async def _later(seconds: float, world: World, name: str) -> None:
    network = world.hub.node(name)
    network.online = False
    await trio.sleep(seconds)
    network.online = True
    store = MemoryStore(world.clock)
    await hold(store, DAG)
    await Bitswap(network, store).start(world.hub.nursery)
    await world.meet(name)


async def test_one_that_never_says_whether_it_has_it_is_a_failure_in_words(
    autojump_clock: MockClock, world: World
) -> None:
    await world.foreigner("mute")
    with trio.move_on_after(60):
        await world.fetch("mute")
    assert any("does not say whether it has the content" in words for words in world.told)


async def test_wrong_bytes_end_their_sender_and_the_fetch_goes_on(autojump_clock: MockClock, world: World) -> None:
    liar = await world.foreigner("liar")

    async def lie(peer: PeerId, message: Message) -> None:
        blocks = [(entry.cid, b"a lie") for entry in message.entries if entry.want is Want.BLOCK and not entry.cancel]
        await honest_have(peer, message)
        if blocks:
            await liar.say(peer, encode_answer(blocks))

    liar.provides({DAG.root: ALL[DAG.root]}, passes_over=lambda entry: entry.want is Want.BLOCK)
    assert liar.on_message is not None
    honest_have = liar.on_message
    liar.on_message = lie
    await world.ours("helia", DAG)
    await world.fetch("liar", "helia")
    assert LIE_POINTS in [points for peer, points, _ in world.network.penalties if peer == "liar"]
    assert world.points("helia") == 0
    assert world.bitswap.unasked_blocks > 0


async def test_blocks_that_nobody_asked_for_are_counted_and_charged_and_kept_nowhere(
    autojump_clock: MockClock, world: World
) -> None:
    flooder = await world.foreigner("flooder")
    other = Cid.of(RAW, b"unasked")
    for number in range(1, 11):
        await flooder.say(world.id, encode_answer([(other, b"unasked")] * 3))
        await trio.testing.wait_all_tasks_blocked()
        assert world.bitswap.unasked_blocks == 3 * number
    assert world.points("flooder") == 10 * UNASKED_POINTS >= 100  # it is banned by now
    assert world.network.peers() == []


async def test_late_blocks_are_nobodys_fault(autojump_clock: MockClock, world: World) -> None:
    """The endgame asks twice: what comes second comes late, also after the fetch has ended."""
    slow = await world.foreigner("slow")
    held: list[tuple[PeerId, Message]] = []

    async def hold_back(peer: PeerId, message: Message) -> None:
        if any(entry.want is Want.HAVE for entry in message.entries):
            await honest(peer, message)
        else:
            held.append((peer, message))

    slow.provides(ALL)
    assert slow.on_message is not None
    honest, slow.on_message = slow.on_message, hold_back
    quick = await world.foreigner("quick")
    quick.provides(ALL)
    with mock.patch.object(bitswap_ask, "RETRY_S", 1e6):
        await world.fetch("slow", "quick")
    for peer, message in held:
        await honest(peer, message)
    await trio.testing.wait_all_tasks_blocked()
    assert world.bitswap.late_blocks > 0
    assert world.network.penalties == [] and world.bitswap.unasked_blocks == 0


async def test_a_provider_that_is_lost_in_the_middle_is_gone_back_to(autojump_clock: MockClock, world: World) -> None:
    network = await world.ours("helia", DAG)

    async def blink() -> None:
        await world.transferring()
        network.online = False
        await trio.sleep(3)
        network.online = True
        await world.meet("helia")

    world.hub.nursery.start_soon(blink)
    await world.fetch("helia")


async def test_a_slow_writer_of_ours_slows_the_sender_instead_of_filling_memory(world: World) -> None:
    """On a real clock: large messages are read in threads."""
    blocks = build(b"".join(b"%7d" % number for number in range(250_000)), leaf_bytes=60_000).leaves
    helia = await world.foreigner("helia")
    helia.provides(blocks | {DAG.root: ALL[DAG.root]})
    most = 0
    with mock.patch.multiple(bitswap_ask, INBOX_BYTES=100_000, HAND_OVER_BYTES=60_000):
        swarm = Swarm(world.network, DAG.root, world.transfer, None, world.bitswap)
        swarm.wanted((cid, len(block)) for cid, block in blocks.items())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(swarm.run, [PeerId("helia")])
            for _ in range(20):
                await trio.sleep(0.02)  # nothing is taken for a while
                for asking in world.bitswap._partners[PeerId("helia")].askings:
                    most = max(most, asking._inbox_bytes)
            came = 0
            while came < len(blocks):
                came += len(await swarm.blocks.receive())
            nursery.cancel_scope.cancel()
    assert 100_000 < most <= 100_000 + 60_000
