"""Our muxer under real hosts on loopback: it is the one that carries, it measures, and it ends quickly."""

from __future__ import annotations

import pytest
import trio

from p2pnode.net.yamux.connection import Yamux
from p2pnode.ports import Stream
from tests.support.net import DEADLINE_S, NodeNet, link, networks, until, wait_connected

pytestmark = [pytest.mark.trio, pytest.mark.network]
MIB = 1 << 20


async def test_connections_are_carried_by_our_engine_and_measured() -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        for one, other in ((a, b), (b, a)):
            (connection,) = one.peers_table.connections(other.peer_id)
            assert isinstance(connection.muxed_conn, Yamux)
            await until(lambda muxed=connection.muxed_conn: muxed.rtt() > 0)  # type: ignore[misc]


async def test_a_window_grows_under_a_fast_reader_and_not_under_a_slow_one() -> None:
    async def read_all(stream: Stream) -> None:
        while await stream.receive_some(1 << 18):
            pass

    async def read_nothing(stream: Stream) -> None:
        await stream.send_all(b"!")
        await trio.sleep_forever()

    async with networks(2) as (a, b):
        b.serve("/test/fast/1", read_all)
        b.serve("/test/slow/1", read_nothing)
        await link(a, b)
        (connection,) = b.peers_table.connections(a.peer_id)
        await until(lambda: connection.muxed_conn.rtt() > 0)
        slow = await a.open_stream(b.peer_id, "/test/slow/1")
        await slow.receive_some(1)
        with trio.move_on_after(1) as patience:
            await slow.send_all(bytes(64 * MIB))
        assert patience.cancelled_caught
        kept = sum(stream.received.size for stream in connection.muxed_conn.streams.values())
        assert kept <= 256 << 10
        fast = await a.open_stream(b.peer_id, "/test/fast/1")
        with trio.fail_after(DEADLINE_S):
            await fast.send_all(bytes(64 * MIB))  # beside the one that is stuck


async def test_a_peer_that_leaves_is_missed_at_once() -> None:
    async with networks(1) as (a,):
        async with NodeNet(9).open() as b:
            await link(a, b)
            (connection,) = a.peers_table.connections(b.peer_id)
        with trio.fail_after(DEADLINE_S):
            await connection.muxed_conn.event_closed.wait()
        await wait_connected(a, b.peer_id, connected=False)
