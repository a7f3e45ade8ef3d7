"""Our session and our socket on real TCP: ends are told from losses, and one message out of order ends the connection."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.stream_muxer.exceptions import MuxedStreamReset

from p2pnode.net.noise.messages import MAX_MESSAGES, ExhaustedError, Opener, Sealer, TamperedError
from p2pnode.net.noise.session import NoiseSession
from p2pnode.net.socket import Socket
from p2pnode.net.yamux.connection import Yamux

pytestmark = pytest.mark.trio
KEYS = bytes(32), bytes(range(32))
DEADLINE_S = 20


@asynccontextmanager
async def sockets() -> AsyncIterator[tuple[Socket, Socket]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        near = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        ours, theirs = Socket(near), Socket(await listener.accept())
        try:
            with trio.fail_after(DEADLINE_S):
                yield ours, theirs
        finally:
            await ours.close()
            await theirs.close()


def session(wire: Any, *, initiator: bool, number: int = 0) -> NoiseSession:
    out, back = KEYS if initiator else KEYS[::-1]
    return NoiseSession(
        RawConnection(wire, initiator),
        Sealer(out, number),
        Opener(back, number),
        local_peer=None,
        local_private_key=None,
        remote_peer=None,
        remote_permanent_pubkey=None,
        is_initiator=initiator,
    )


async def read_exactly(source: Any, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await source.read(count - len(data))
    return data


async def test_both_directions_at_once_in_any_sizes() -> None:
    async with sockets() as (near, far):
        ends = session(near, initiator=True), session(far, initiator=False)
        said = [os.urandom(size) for size in (1, 65_519, 65_520, 1 << 20, 7)]
        whole = b"".join(said)

        async def talk(end: NoiseSession) -> None:
            for part in said:
                await end.write(part)

        async def hear(end: NoiseSession) -> None:
            assert await read_exactly(end, len(whole)) == whole

        async with trio.open_nursery() as nursery:
            for end in ends:
                nursery.start_soon(talk, end)
                nursery.start_soon(hear, end)


async def test_pieces_follow_what_was_read_byte_by_byte() -> None:
    """The multistream exchange before the muxer reads single bytes; what came with them is not lost."""
    async with sockets() as (near, far):
        one, two = session(near, initiator=True), session(far, initiator=False)
        await one.write(b"head and body")
        assert await two.read(5) == b"head "
        assert b"".join(await two.read_pieces()) == b"and body"


async def test_a_connection_that_is_not_one_of_our_sockets_will_do() -> None:
    """A relayed one, say."""

    class Relayed:
        def __init__(self, stream: Any) -> None:
            self.read, self.write, self.close = stream.receive_some, stream.send_all, stream.aclose

    near, far = trio.testing.memory_stream_pair()
    one, two = session(Relayed(near), initiator=True), session(Relayed(far), initiator=False)
    await one.write(b"x" * 100_000)
    assert await read_exactly(two, 100_000) == b"x" * 100_000


@pytest.mark.parametrize("cut", [0, 1, 10])
async def test_an_end_is_an_error_wherever_it_comes(cut: int) -> None:
    async with sockets() as (near, far):
        await near.write(bytes(Sealer(KEYS[0]).seal(b"a message"))[:cut])
        await near.close()
        with pytest.raises(ConnectionClosedError, match="in the middle" if cut else "ended"):
            await session(far, initiator=False).read()


async def test_after_a_message_that_does_not_open_nothing_is_read_any_more() -> None:
    async with sockets() as (near, far):
        sealer, reader = Sealer(KEYS[0]), session(far, initiator=False)
        changed = sealer.seal(b"changed on the way")
        changed[5] ^= 1
        await near.write(changed + sealer.seal(b"a good one"))
        for _ in range(2):
            with pytest.raises(TamperedError):
                await reader.read()


async def test_the_last_number_ends_the_session() -> None:
    async with sockets() as (near, far):
        one, two = (session(w, initiator=w is near, number=MAX_MESSAGES - 1) for w in (near, far))
        await one.write(b"the last")
        assert await two.read() == b"the last"
        with pytest.raises(ExhaustedError):
            await one.write(b"one more")


async def test_a_muxed_connection_closes_its_socket_when_a_message_does_not_open() -> None:
    async with sockets() as (near, far), trio.open_nursery() as nursery:
        victim = Yamux(session(far, initiator=False), "a")
        nursery.start_soon(victim.start)
        await victim.event_started.wait()
        stream = await victim.open_stream()
        await near.write(b"\x00\x20" + os.urandom(32))
        with pytest.raises(MuxedStreamReset):
            await stream.read(1)
        await victim.event_closed.wait()
        assert far._socket.fileno() < 0
        while await near.receive():  # our goodbye, then the end
            pass


# ---- the socket


async def test_who_reads_a_socket_that_we_close_sees_its_end() -> None:
    async with sockets() as (near, _), trio.open_nursery() as nursery:

        async def read() -> None:
            assert await near.read(1) == b""
            assert await near.read(1) == b""

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await near.close()
        await near.close()
        with pytest.raises(ConnectionClosedError):
            await near.write(b"too late")


async def test_a_reset_is_an_error_for_reader_and_writer() -> None:
    async with sockets() as (near, far):
        far._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await far.close()
        with pytest.raises(ConnectionClosedError):
            await near.read(1)
        with pytest.raises(ConnectionClosedError):
            while True:
                await near.write(b"x" * 100_000)


async def test_a_writer_waits_for_a_reader_that_pauses_and_can_be_cancelled() -> None:
    async with sockets() as (near, far):
        with trio.move_on_after(0.2) as patience:
            while True:
                await near.write(bytes(1 << 20))
        assert patience.cancelled_caught
        await near.close()
        while await far.receive():
            pass


async def test_sockets_share_a_buffer_and_not_their_bytes() -> None:
    async with sockets() as (a, b), sockets() as (c, d):
        await a.write(b"to b")
        await c.write(b"to d")
        assert await b.read(1) == b"t"
        assert await d.read() == b"to d"
        assert await b.read() == b"o b"
        assert b.get_remote_address() == a._socket.getsockname()
