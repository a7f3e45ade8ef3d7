"""Who lacks much gets it once, not from everybody at once; and whoever is slow, stalls or is nobody keeps nobody waiting."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from p2pnode.core.ids import CircleId, PeerId
from p2pnode.core.records import encode_signed
from p2pnode.services.catching_up import HEAD_START_S, MANY_RECORDS, SERVED_WAIT_S, STALL_S, TURN_S, CatchingUp, Turn
from p2pnode.sim.faults import Faults
from tests.support.circle_nodes import CircleNode, pseudonym_of, until_same
from tests.support.circles import Circle
from tests.support.loopback import Hub, a_hub

EVE, BOB, CAT = PeerId("eve"), PeerId("bob"), PeerId("cat")
CIRCLE, OTHER = CircleId(bytes(32)), CircleId(bytes([1]) * 32)
MEMBERS = ("ann", "bob", "cat", "dan")
RECORDS = 400


async def members(hub: Hub, circle: Circle) -> list[CircleNode]:
    """Four that hold the same, connected to nobody."""
    vouches = [circle.vouch(circle.steward, pseudonym_of(name)) for name in (*MEMBERS[1:], "eve")]
    ballots = [circle.ballot(circle.steward, b"question %d" % number) for number in range(RECORDS)]
    nodes = []
    for name in MEMBERS:
        node = CircleNode(hub, name, circle)
        await node.join()
        await node.admit(*vouches, *ballots)
        nodes.append(await node.start(hub.nursery))
    return nodes


@pytest.mark.trio
@pytest.mark.parametrize("calls", ["eve", "the others"])
@pytest.mark.parametrize("knows", ["nothing", "the members"])
async def test_four_peers_send_what_is_missing_once(
    calls: str, knows: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with a_hub() as hub:
        circle = Circle("ann", key_of=pseudonym_of)
        others = await members(hub, circle)
        hub.faults = Faults(latency_s=(0.02, 0.2))
        eve = CircleNode(hub, "eve", circle)
        await eve.join(charter=knows != "nothing")
        if knows == "the members":
            await eve.admit(*(circle.vouch(circle.steward, pseudonym_of(name)) for name in (*MEMBERS[1:], "eve")))
        await eve.start(hub.nursery)
        for other in others:
            one, called = (eve, other) if calls == "eve" else (other, eve)
            hub.nursery.start_soon(one.network.connect, called.network.addresses()[0])
        held = await until_same(*others, eve, deadline_s=60)
        await trio.sleep(30)
        assert set(eve.sync.peers_of(circle.id)) == {other.peer for other in others}, "all were compared with"
        missing = sum(len(encode_signed(record)) for record in held)
        assert sum(link.bytes for link in hub.links) < 1.25 * missing


@pytest.mark.trio
async def test_of_two_sessions_that_both_sides_begin_at_once_one_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_hub() as hub:
        circle = Circle("ann", key_of=pseudonym_of)
        vouch = circle.vouch(circle.steward, pseudonym_of("bob"))
        nodes = [CircleNode(hub, name, circle) for name in ("ann", "bob")]
        for node in nodes:
            await node.join()
            await node.admit(vouch)
            await node.start(hub.nursery)
        ann, bob = nodes
        await ann.network.connect(bob.network.addresses()[0])
        await trio.sleep(5)
        for node in nodes:
            await node.admit(*(circle.ballot(node.key, b"question %d" % number) for number in range(RECORDS)))
        held = {record.id: len(encode_signed(record)) for node in nodes for record in await node.held()}
        hub.faults, began, before = Faults(latency_s=(0.02, 0.02)), trio.current_time(), len(hub.links)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ann.sync.sync_with, bob.peer, circle.id)
            nursery.start_soon(bob.sync.sync_with, ann.peer, circle.id)
        await until_same(ann, bob, deadline_s=30)
        assert len(await ann.held()) == len(held)
        assert trio.current_time() - began < HEAD_START_S, "nobody waited for the other"
        assert sum(link.bytes for link in hub.links[before:]) < 1.25 * sum(held.values())


async def is_refused(catching_up: CatchingUp, circle: CircleId) -> bool:
    """A session that a peer begins, within the time that it may be kept waiting."""
    began = trio.current_time()
    async with catching_up.served(circle, CAT) as turn:
        assert trio.current_time() - began <= SERVED_WAIT_S
        return turn is None


@pytest.mark.trio
@pytest.mark.parametrize("many", [False, True])
async def test_a_session_waits_while_another_brings_something(
    many: bool, autojump_clock: trio.testing.MockClock
) -> None:
    catching_up, began = CatchingUp(EVE), []

    async def begin() -> None:
        async with catching_up.begun(CIRCLE, BOB):
            began.append(trio.current_time())

    async def bring(turn: Turn) -> None:
        while True:
            turn.brought(MANY_RECORDS if many else 1)
            await trio.sleep(STALL_S / 2)

    async with trio.open_nursery() as nursery, catching_up.begun(CIRCLE, BOB) as turn:
        turn.is_trusted = lambda: True
        nursery.start_soon(begin)
        nursery.start_soon(bring, turn)
        await trio.sleep(10 * STALL_S)
        assert await is_refused(catching_up, CIRCLE) is many, "few records are news, not catching up"
        assert not await is_refused(catching_up, OTHER)
        assert not began
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize(
    ("trusted", "brings", "waits_s"),
    [(True, False, HEAD_START_S), (False, True, HEAD_START_S), (True, True, TURN_S)],
    ids=["silent", "a stranger", "a member that drips"],
)
async def test_nobody_keeps_others_waiting_for_long(
    trusted: bool, brings: bool, waits_s: float, autojump_clock: trio.testing.MockClock
) -> None:
    catching_up, start = CatchingUp(EVE), trio.current_time()

    async def hold() -> None:
        async with catching_up.begun(CIRCLE, BOB) as turn:
            turn.is_trusted = lambda: trusted
            while True:
                turn.brought(int(brings))
                await trio.sleep(0.5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold)
        await trio.testing.wait_all_tasks_blocked()
        async with catching_up.begun(OTHER, BOB):
            assert trio.current_time() == start, "another circle waits for nobody"
        async with catching_up.begun(CIRCLE, BOB):
            assert trio.current_time() - start == pytest.approx(waits_s)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_who_waits_goes_one_after_the_other(autojump_clock: trio.testing.MockClock) -> None:
    catching_up, running = CatchingUp(EVE), []

    async def begin() -> None:
        async with catching_up.begun(CIRCLE, BOB):
            running.append(1)
            assert len(running) == 1
            await trio.sleep(HEAD_START_S / 2)
            running.pop()

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(begin)
    assert trio.current_time() <= 5 * HEAD_START_S
