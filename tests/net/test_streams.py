"""Streams of libp2p beyond the contract of the port: large, many, lost in the middle."""

from __future__ import annotations

import hashlib

import pytest
import trio

from p2pnode.errors import NetworkError, UsageError
from p2pnode.ports import Stream
from tests.support.net import DEADLINE_S, ECHO, link, networks, read_all, round_trip, until

pytestmark = [pytest.mark.trio, pytest.mark.network]

MIB = 1 << 20


async def test_a_lost_connection_is_an_error_and_what_arrived_is_read_first() -> None:
    async def talk(stream: Stream) -> None:
        await stream.send_all(b"x" * 1000)
        await trio.sleep_forever()

    async with networks(2) as (a, b):
        await link(a, b)
        b.serve("/test/talk/1", talk)
        stream = await a.open_stream(b.peer_id, "/test/talk/1")
        assert await stream.receive_some(1) == b"x"
        await until(lambda: stream.raw.received.size == 999)  # type: ignore[attr-defined]
        with trio.fail_after(DEADLINE_S):
            await b.disconnect(a.peer_id)
            assert await stream.receive_some(2000) == b"x" * 999
            with pytest.raises(NetworkError):
                await stream.receive_some(1)


async def test_large_transfers_arrive_whole_beside_each_other() -> None:
    async def digest(stream: Stream) -> None:
        hashed = hashlib.sha256()
        while data := await stream.receive_some(1 << 18):
            hashed.update(data)
        await stream.send_all(hashed.digest())

    async with networks(2) as (a, b):
        await link(a, b)
        b.serve("/test/digest/1", digest)
        pieces = [bytes([number]) * MIB for number in range(32)]

        async def send(order: int) -> None:
            stream = await a.open_stream(b.peer_id, "/test/digest/1")
            wanted = hashlib.sha256()
            for piece in pieces[::order]:
                await stream.send_all(piece)
                wanted.update(piece)
            await stream.send_eof()
            assert await read_all(stream) == wanted.digest()
            await stream.aclose()

        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send, 1)
                nursery.start_soon(send, -1)


async def test_a_peer_that_cannot_be_found() -> None:
    async with networks(1) as (a,):
        with pytest.raises(NetworkError, match="no address"):
            await a.open_stream("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH6", ECHO)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            await a.open_stream(a.peer_id, ECHO)


async def test_streams_that_are_done_leave_nothing_behind() -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        for _ in range(300):
            assert await round_trip(a, b.peer_id, b"x") == b"x"
        for one in (a, b):
            connections = [c.muxed_conn for c in one._swarm.get_connections()]
            await until(lambda: sum(len(c.streams) for c in connections) < 12)  # noqa: B023
