"""What a node's bytes were for: the parts are told apart where they are known, and add up to all that the sockets counted."""

from __future__ import annotations

import pytest
import trio

from p2pnode.net import beside
from p2pnode.net.ledger import FRAMES, MAX_KINDS, PACKETS, PINGS, SEALING, UNNAMED, Ledger
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.traffic import Traffic
from tests.support.net import ECHO, link, networks, round_trip, until

BIG = 300_000


def kinds(network: Libp2pNetwork) -> dict[str, tuple[int, int]]:
    return {one.kind: (one.up, one.down) for one in network.meter.kinds()}


@pytest.mark.trio
@pytest.mark.network
async def test_every_byte_is_for_something() -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        before = kinds(a).get(ECHO, (0, 0))
        await round_trip(a, b.peer_id, bytes(BIG))
        for network in (a, b):
            found, total = kinds(network), (network.meter.up.bytes, network.meter.down.bytes)
            assert tuple(sum(one[way] for one in found.values()) for way in (0, 1)) == total
            assert all(up >= 0 and down >= 0 for up, down in found.values())
            assert {"/ipfs/id/1.0.0", PINGS, FRAMES, SEALING, PACKETS} <= set(found)
            assert UNNAMED not in found, "who asked for a protocol is counted under it from the first byte"
        up, down = (now - then for now, then in zip(kinds(a)[ECHO], before, strict=True))
        agreeing = len(b"\x13/multistream/1.0.0\n") + 1 + len(ECHO) + 1
        assert BIG + agreeing <= up <= BIG + agreeing + 16 and BIG + agreeing <= down <= BIG + agreeing + 16
        theirs = kinds(b)[ECHO]
        assert theirs[1] >= up and theirs[0] >= down, "what one sends the other hears, under the same name"


@pytest.mark.trio
@pytest.mark.network
async def test_pings_are_counted_by_the_muxer() -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        [connection] = a.peers_table.connections(b.peer_id)
        before = kinds(a)[PINGS]
        connection.muxed_conn.engine.tick(trio.current_time() + 1000)  # as if it had been quiet for long
        connection.muxed_conn._wake_writer()
        await until(lambda: kinds(a)[PINGS] == (before[0] + 12, before[1] + 12))


def test_kinds_are_bounded() -> None:
    ledger = Ledger()
    for number in range(2 * MAX_KINDS):
        ledger.of(f"/{number}").up += 1
    assert len(ledger.streams) == MAX_KINDS and sum(one.up for one in ledger.streams.values()) == 2 * MAX_KINDS


@pytest.mark.trio
async def test_what_no_connection_carries_is_counted_for_the_node_of_the_task() -> None:
    traffic, other = Traffic(), Traffic()
    beside.datagram(sent=5)  # nobody's
    beside.counted_by(traffic)

    async def elsewhere() -> None:
        beside.counted_by(other)
        beside.datagram(came=7)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(elsewhere)
        nursery.start_soon(trio.to_thread.run_sync, beside.meter_of_task)
    beside.datagram(sent=10)
    beside.unanswered(traffic, 8.0)
    assert (traffic.counted(), other.counted()) == ((10 + 42 + 4 * 74, 0), (0, 7 + 42))
    assert [(one.kind, one.up) for one in traffic.kinds()] == [(beside.DIALS, 4 * 74), (beside.ROUTER, 52)]


@pytest.mark.trio
@pytest.mark.network
async def test_a_dial_that_nobody_answers_was_on_the_wire() -> None:
    async with networks(1) as (a,):
        with trio.socket.socket() as unused:
            await unused.bind(("127.0.0.1", 0))
            nobody = (
                f"/ip4/127.0.0.1/tcp/{unused.getsockname()[1]}/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
            )
            with pytest.raises(Exception, match="refused"):
                await a.connect(nobody)
        assert kinds(a)[beside.DIALS] == (74, 0)
