"""Bitswap's streams: messages come whole however they are cut, memory is bounded whoever sends, and a sent message survives an idle end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from pytest_trio import trio_fixture
from trio.testing import MockClock

from p2pnode.core.bitswap_messages import MAX_MESSAGE_BYTES, PROTOCOL_120, Entry, encode_answer, encode_wants
from p2pnode.core.cid import RAW, Cid, encode_varint
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, PeerError
from p2pnode.limits import KIB
from p2pnode.services.bitswap import Bitswap
from p2pnode.services.bitswap_streams import (
    IDLE_S,
    KEPT_S,
    LARGE_PER_PEER,
    LARGE_UNASKED,
    PATIENCE_S,
    SMALL_BYTES,
    Intake,
    Outgoing,
    Reader,
)
from p2pnode.sim.stream import Link, SimStream, stream_pair
from p2pnode.store.memory import MemoryStore
from tests.support.bitswap_peer import Foreigner
from tests.support.contents import hold
from tests.support.dags import build
from tests.support.loopback import Hub, a_hub

ONE, OTHER = PeerId("one"), PeerId("other")


def pair() -> tuple[SimStream, SimStream]:
    return stream_pair(ONE, OTHER, Link())


@given(st.lists(st.binary(max_size=400), max_size=6), st.lists(st.integers(1, 200), min_size=1, max_size=30))
def test_messages_come_whole_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    async def run() -> None:
        ours, theirs = pair()
        data = b"".join(encode_varint(len(message)) + message for message in messages)

        async def send() -> None:
            at = 0
            for number in range(len(data)):
                if at >= len(data):
                    break
                cut = cuts[number % len(cuts)]
                await theirs.send_all(data[at : at + cut])
                at += cut
                await trio.lowlevel.checkpoint()
            await theirs.send_eof()

        got: list[bytes] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            reader = Reader(ours, lambda: None)
            while (size := await reader.size()) is not None:
                got.append(await reader.body(size))
        assert got == messages

    trio.run(run)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (encode_varint(MAX_MESSAGE_BYTES + 1), PeerError),
        (b"\xff" * 9, PeerError),
        (b"\x80", NetworkError),
        (b"\x05four", NetworkError),
    ],
)
async def test_what_is_no_message_ends_the_stream(sent: bytes, error: type[Exception]) -> None:
    ours, theirs = pair()
    await theirs.send_all(sent)
    await theirs.send_eof()
    reader = Reader(ours, lambda: None)
    with pytest.raises(error):
        size = await reader.size()
        assert size is not None
        await reader.body(size)


@pytest.mark.trio
async def test_a_silent_stream_ends_and_one_that_stalls_in_a_message_is_an_error(autojump_clock: MockClock) -> None:
    ours, _ = pair()
    began = trio.current_time()
    assert await Reader(ours, lambda: None).size() is None
    assert trio.current_time() - began == pytest.approx(IDLE_S)
    ours, theirs = pair()
    await theirs.send_all(b"\x05four")
    reader = Reader(ours, lambda: None)
    assert await reader.size() == 5
    began = trio.current_time()
    with pytest.raises(NetworkError, match="stalled"):
        await reader.body(5)
    assert trio.current_time() - began == pytest.approx(PATIENCE_S)


@pytest.mark.trio
async def test_one_that_drips_is_not_borne_for_ever(autojump_clock: MockClock) -> None:
    ours, theirs = pair()
    reader = Reader(ours, lambda: None)

    async def drip() -> None:
        await theirs.send_all(encode_varint(64 * KIB))
        while True:
            await trio.sleep(PATIENCE_S / 2)
            await theirs.send_all(b"!")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        size = await reader.size()
        assert size is not None
        with trio.fail_after(3 * PATIENCE_S), pytest.raises(NetworkError):
            await reader.body(size)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_large_messages_wait_for_a_place_and_small_ones_do_not(autojump_clock: MockClock) -> None:
    asked = {PeerId("asked")}
    intake = Intake(asked.__contains__)
    inside: list[str] = []

    async def work_on(peer: str, size: int) -> None:
        async with intake.place(PeerId(peer), size):
            inside.append(peer)
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for number in range(2 * LARGE_UNASKED):
            for _ in range(LARGE_PER_PEER + 3):
                nursery.start_soon(work_on, f"stranger {number}", SMALL_BYTES + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert len(inside) == LARGE_UNASKED and max(map(inside.count, inside)) <= LARGE_PER_PEER
        inside.clear()
        for _ in range(LARGE_PER_PEER + 3):
            nursery.start_soon(work_on, "asked", MAX_MESSAGE_BYTES)  # we want it: strangers do not stand in its way
            nursery.start_soon(work_on, "stranger 1", SMALL_BYTES)
        await trio.testing.wait_all_tasks_blocked()
        assert inside.count("asked") == LARGE_PER_PEER and inside.count("stranger 1") == LARGE_PER_PEER + 3
        nursery.cancel_scope.cancel()
    assert intake._of_peer == {}


# ---------------------------------------------------------------- between nodes


@trio_fixture
async def hub() -> AsyncIterator[Hub]:
    async with a_hub() as made:
        yield made


@pytest.mark.trio
async def test_a_burst_shares_a_stream_and_what_lay_idle_is_not_trusted(autojump_clock: MockClock, hub: Hub) -> None:
    network, kubo = hub.node("node"), Foreigner(hub.node("kubo"))
    outgoing = Outgoing(network, kubo.peer_id, PROTOCOL_120)
    for number in range(3):
        await outgoing.send(encode_wants([Entry(Cid.of(RAW, b"%d" % number))]), timeout_s=5)
    await kubo.until(lambda: len(kubo.entries) == 3)
    assert len(network.opened) == 1
    await trio.sleep(KEPT_S)
    await outgoing.tidy()
    await outgoing.send(encode_wants([Entry(Cid.of(RAW, b"later"))]), timeout_s=5)
    await kubo.until(lambda: len(kubo.entries) == 4)
    assert len(network.opened) == 2
    hub.links[-1].lose(arrived=False)  # given up by the other side, which says nothing of a new stream
    await outgoing.send(encode_wants([Entry(Cid.of(RAW, b"again"))]), timeout_s=5)
    await kubo.until(lambda: len(kubo.entries) == 5)
    await outgoing.close()


@pytest.mark.trio
async def test_who_announces_much_and_sends_nothing_keeps_nobody_from_being_served(
    autojump_clock: MockClock, hub: Hub
) -> None:
    network, store = hub.node("server"), MemoryStore(trio.current_time)
    dag = build(b"wanted" * 2000, leaf_bytes=5000)
    await hold(store, dag)
    await Bitswap(network, store).start(hub.nursery)
    for number in range(30):
        liar = hub.node(f"liar{number}")
        for _ in range(20):
            stream = await liar.open_stream(network.peer_id, PROTOCOL_120)
            await stream.send_all(encode_varint(MAX_MESSAGE_BYTES) + bytes(1000))
    kubo = Foreigner(hub.node("kubo"))
    await kubo.want(network.peer_id, *dag.leaves)
    await kubo.until(lambda: len(kubo.blocks) == len(dag.leaves), 5)
    large = encode_answer([(Cid.of(RAW, b"x"), bytes(100 * KIB))])
    await kubo.say(network.peer_id, large)  # a large one has to wait, and its turn comes
    await trio.sleep(30 * PATIENCE_S)
    assert [points for peer, points, _ in network.penalties if peer == "kubo"] != []  # it was read: nobody asked for it
