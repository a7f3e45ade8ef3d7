"""The adapter on a wire in memory, under a clock that jumps: nothing here waits in real time."""

from __future__ import annotations

import os
from typing import Any

import pytest
import trio
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamClosed, MuxedStreamError, MuxedStreamReset
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from p2pnode.net.yamux.connection import Yamux
from p2pnode.net.yamux.engine import MAX_OUTBOUND_STREAMS
from p2pnode.net.yamux.frames import GO_AWAY, RST, SYN, WINDOW_UPDATE
from p2pnode.net.yamux.window import INITIAL_BYTES
from tests.net.yamux.fake_link import frame
from tests.net.yamux.plain_pair import PlainConn, muxers, read_to_end

pytestmark = pytest.mark.trio
PAIRS = [("ours", "ours"), ("ours", "stock"), ("stock", "ours")]


async def echo(stream: Any) -> None:
    await stream.write(await read_to_end(stream))
    await stream.close()


@pytest.mark.parametrize(("dialler", "listener"), PAIRS)
async def test_half_close_and_echo(dialler: str, listener: str) -> None:
    data = os.urandom(3 << 20)
    async with muxers(dialler, listener) as sides:
        for opener, other in (sides, sides[::-1]):
            with trio.fail_after(20):
                stream = await opener.open_stream()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(echo, await other.accept_stream())
                    await stream.write(data)
                    await stream.close()
                    assert await read_to_end(stream) == data


@pytest.mark.parametrize(("dialler", "listener"), PAIRS)
async def test_many_streams_at_once(dialler: str, listener: str) -> None:
    async with muxers(dialler, listener) as (a, b), trio.open_nursery() as nursery:

        async def serve() -> None:
            while True:
                nursery.start_soon(echo, await b.accept_stream())

        async def ask(number: int) -> None:
            for turn in range(20):
                stream = await a.open_stream()
                await stream.write(b"%d %d" % (number, turn))
                await stream.close()
                assert await read_to_end(stream) == b"%d %d" % (number, turn)

        nursery.start_soon(serve)
        with trio.fail_after(30):
            async with trio.open_nursery() as asking:
                for number in range(30):
                    asking.start_soon(ask, number)
        for side in (a, b):
            if isinstance(side, Yamux):
                await wait_all_tasks_blocked()
                assert side.streams == {} and side.engine.inbound == side.engine.outbound == 0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("dialler", "listener"), PAIRS[:2])
async def test_a_reset_is_told_from_an_end(dialler: str, listener: str, autojump_clock: MockClock) -> None:
    async with muxers(dialler, listener) as (a, b):
        stream = await a.open_stream()
        there = await b.accept_stream()
        await there.write(b"half of it")
        await there.reset()
        await trio.sleep(0.1)
        assert await stream.read(100) == b"half of it"
        with pytest.raises(MuxedStreamReset):
            await stream.read(100)
        with pytest.raises(MuxedStreamReset):
            await stream.write(b"more")


async def test_a_lost_connection_is_told_from_an_end(autojump_clock: MockClock) -> None:
    async with muxers() as (a, b):
        reading, writing = await a.open_stream(), await a.open_stream()
        there = await b.accept_stream()
        await there.write(b"half of it")
        await trio.sleep(0.1)
        async with trio.open_nursery() as nursery:

            async def write_on() -> None:
                with pytest.raises(MuxedStreamReset):
                    await writing.write(b"x" * (INITIAL_BYTES + 1))

            nursery.start_soon(write_on)
            await trio.sleep(0.1)
            await b.secured_conn.stream.aclose()
        assert await reading.read(100) == b"half of it"
        with pytest.raises(MuxedStreamReset):
            await reading.read(100)
        with pytest.raises(MuxedStreamError):
            await a.open_stream()
        with pytest.raises(MuxedConnUnavailable):
            await a.accept_stream()
        await a.event_closed.wait()


async def test_closing_says_goodbye_and_is_quick(autojump_clock: MockClock) -> None:
    told: list[str] = []

    async def on_close() -> None:
        told.append("closed")
        await a.close()  # as the swarm does

    async with muxers() as (a, b):
        a.on_close = b.on_close = on_close
        stream = await b.open_stream()
        began = trio.current_time()
        await a.close()
        await a.close()
        await b.event_closed.wait()
        assert trio.current_time() - began < 0.5
        assert "went away (0)" in stream._broken
        assert told == ["closed", "closed"]


async def test_a_silent_peer_is_dropped_within_thirty_seconds(autojump_clock: MockClock) -> None:
    near, _far = memory_stream_pair()
    connection = Yamux(PlainConn(near, initiator=True), "b")
    with trio.fail_after(30):
        await connection.start()
    assert connection.is_closed


async def test_a_peer_that_takes_nothing_is_dropped(autojump_clock: MockClock) -> None:
    near, far = lockstep_stream_pair()
    connection = Yamux(PlainConn(near, initiator=True), "b")

    async def talk() -> None:
        while True:
            await far.send_all(frame(WINDOW_UPDATE, 0, 1, 1))
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        with trio.fail_after(40):
            await connection.start()
        nursery.cancel_scope.cancel()


async def test_an_idle_connection_stays_for_a_day(autojump_clock: MockClock) -> None:
    async with muxers() as (a, b):
        await trio.sleep(3600)
        assert a.is_established and b.is_established


async def test_a_paused_reader_stops_only_its_own_stream(autojump_clock: MockClock) -> None:
    async with muxers() as (a, b), trio.open_nursery() as nursery:
        paused = await a.open_stream()
        there = await b.accept_stream()
        nursery.start_soon(paused.write, b"p" * (4 * INITIAL_BYTES))
        await trio.sleep(600)
        assert there.received.size == INITIAL_BYTES
        lively = await a.open_stream()
        nursery.start_soon(echo, await b.accept_stream())
        await lively.write(b"hello")
        await lively.close_write()
        assert await read_to_end(lively) == b"hello"
        got = 0
        while got < 4 * INITIAL_BYTES:
            got += len(await there.read(1 << 16))


async def test_a_cancelled_read_loses_nothing_and_a_cancelled_write_only_its_rest(autojump_clock: MockClock) -> None:
    async with muxers() as (a, b):
        stream = await a.open_stream()
        there = await b.accept_stream()
        for _ in range(50):
            with trio.move_on_after(0.01):
                await there.read(1)
        with trio.move_on_after(1):
            await stream.write(b"x" * (INITIAL_BYTES + 5))
        received = b""
        while len(received) < INITIAL_BYTES:
            received += await there.read(1000)
        await stream.write(b"y" * 7)
        assert await there.read(100) == b"y" * 7
        assert received == b"x" * INITIAL_BYTES


async def test_writing_after_our_end_is_refused(autojump_clock: MockClock) -> None:
    async with muxers() as (a, _):
        stream = await a.open_stream()
        await stream.close_write()
        with pytest.raises(MuxedStreamClosed):
            await stream.write(b"late")


async def test_a_stream_too_many_waits_for_another_to_go(autojump_clock: MockClock) -> None:
    async with muxers() as (a, b):
        held = [await a.open_stream() for _ in range(MAX_OUTBOUND_STREAMS)]
        with trio.move_on_after(60) as patience:
            await a.open_stream()
        assert patience.cancelled_caught
        await held[7].reset()
        with trio.fail_after(1):
            await a.open_stream()
        assert b.engine.ended is None


async def test_a_handler_of_a_stream_that_is_gone_cannot_touch_its_namesake(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    connection = Yamux(PlainConn(near, initiator=True), "b")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.start)
        await far.send_all(frame(WINDOW_UPDATE, SYN, 2, 0))
        old = await connection.accept_stream()
        await far.send_all(frame(WINDOW_UPDATE, RST, 2, 0) + frame(WINDOW_UPDATE, SYN, 2, 0))
        new = await connection.accept_stream()
        with pytest.raises(MuxedStreamReset):
            await old.write(b"x")
        await old.reset()
        await old.close()
        await new.write(b"still here")
        await connection.close()


async def test_streams_reset_before_they_were_accepted_are_never_seen(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    connection = Yamux(PlainConn(near, initiator=True), "b")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.start)
        for _ in range(2000):
            await far.send_all(frame(WINDOW_UPDATE, SYN, 2, 0) + frame(WINDOW_UPDATE, RST, 2, 0))
        await far.send_all(frame(WINDOW_UPDATE, SYN, 4, 0))
        assert (await connection.accept_stream()).stream_id == 4
        assert not connection._waiting and len(connection.streams) == 1
        await connection.close()


async def test_garbage_ends_the_connection_with_a_word(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    connection = Yamux(PlainConn(near, initiator=True), "b")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.start)
        await far.send_all(b"\xff" * 64)
        await connection.event_closed.wait()
    said = b""
    while data := await far.receive_some():
        said += data
    assert said.endswith(frame(GO_AWAY, 0, 0, 1))
