"""Our side of multistream-select with itself, with libp2p's own, and with whoever does not keep to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.stream_muxer.exceptions import MuxedStreamReset

from p2pnode.errors import NetworkError
from p2pnode.net.multistream import (
    HEADER,
    MAX_LINE_BYTES,
    MAX_PROPOSALS,
    NegotiationError,
    Proposal,
    _line,
    _missing,
    answering,
)
from p2pnode.net.stream import Libp2pStream
from p2pnode.ports import Stream
from tests.net.yamux.plain_pair import muxers, read_to_end
from tests.support.net import DEADLINE_S, link, networks

PROTOCOL = "/test/echo/1"


async def echo(muxed: Any) -> None:
    await muxed.write(await read_to_end(muxed))
    await muxed.close()


async def exchange(side: Callable[[Any], Awaitable[None]], data: bytes) -> bytes | None:
    """What comes back for `data` and an end, when the other side of a stream runs `side`; None if it is reset."""
    with trio.fail_after(DEADLINE_S):
        async with muxers() as (a, b), trio.open_nursery() as nursery:
            stream = await a.open_stream()
            nursery.start_soon(side, await b.accept_stream())
            await stream.write(data)
            await stream.close_write()
            try:
                return await read_to_end(stream)
            except MuxedStreamReset:
                return None


ours = answering({PROTOCOL: echo}, DEADLINE_S)


@pytest.mark.trio
async def test_header_protocol_and_first_bytes_in_one_write() -> None:
    agreed = _line(HEADER) + _line(PROTOCOL)
    assert await exchange(ours, agreed + b"hello") == agreed + b"hello"


@pytest.mark.trio
async def test_after_refusals_another_protocol_may_be_proposed() -> None:
    said = _line(HEADER) + _line("/other/1") * (MAX_PROPOSALS - 1) + _line(PROTOCOL)
    heard = _line(HEADER) + _line("na") * (MAX_PROPOSALS - 1) + _line(PROTOCOL)
    assert await exchange(ours, said) == heard


@pytest.mark.trio
@pytest.mark.parametrize(
    "said",
    [
        _line("/multistream/2.0.0") + _line(PROTOCOL),
        _line(HEADER) + _line("/other/1") * MAX_PROPOSALS + _line(PROTOCOL),
        _line(HEADER) + b"\x03\xff\xff\n",
        _line(HEADER) + b"\x02no",
        b"\x00",
        b"\xff\x7f" + b"x" * MAX_LINE_BYTES,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_who_does_not_keep_to_it_is_reset(said: bytes) -> None:
    assert await exchange(ours, said) is None


@pytest.mark.trio
async def test_who_ends_or_says_nothing_is_not_waited_for() -> None:
    assert await exchange(ours, _line(HEADER)[:5]) is None
    async with muxers() as (a, b), trio.open_nursery() as nursery:
        stream = await a.open_stream()
        nursery.start_soon(answering({PROTOCOL: echo}, 0.05), await b.accept_stream())
        with trio.fail_after(DEADLINE_S), pytest.raises(MuxedStreamReset):
            await stream.read()
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_libp2ps_own_proposes_to_ours() -> None:
    with trio.fail_after(DEADLINE_S):
        async with muxers() as (a, b), trio.open_nursery() as nursery:
            stream = await a.open_stream()
            nursery.start_soon(ours, await b.accept_stream())
            chosen: Any = ["/other/1", PROTOCOL]
            assert await MultiselectClient().select_one_of(chosen, MultiselectCommunicator(stream)) == PROTOCOL
            await stream.write(b"hello")
            await stream.close_write()
            assert await read_to_end(stream) == b"hello"


@pytest.mark.trio
@pytest.mark.parametrize("protocol", [PROTOCOL, "/other/1"])
async def test_ours_proposes_to_libp2ps_own(protocol: str) -> None:
    async def theirs(muxed: Any) -> None:
        handlers: Any = {PROTOCOL: echo}
        await Multiselect(handlers).negotiate(MultiselectCommunicator(muxed))
        await echo(muxed)

    with trio.fail_after(DEADLINE_S):
        async with muxers() as (a, b), trio.open_nursery() as nursery:
            stream = await a.open_stream()
            nursery.start_soon(theirs, await b.accept_stream())
            proposal = Proposal(protocol)
            if protocol == PROTOCOL:
                await proposal.accepted(stream)
                await stream.write(b"hello")
                await stream.close_write()
                assert await read_to_end(stream) == b"hello"
            else:
                with pytest.raises(NegotiationError, match="does not speak it"):
                    await proposal.accepted(stream)
            nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_waiting_for_the_answer_can_be_cancelled_and_begun_again() -> None:
    with trio.fail_after(DEADLINE_S):
        async with muxers() as (a, b):
            stream, proposal = await a.open_stream(), Proposal(PROTOCOL)
            there = await b.accept_stream()
            for byte in _line(HEADER) + _line(PROTOCOL):
                with trio.move_on_after(0.005):
                    await proposal.accepted(stream)
                await there.write(bytes([byte]))
            await there.write(b"data")
            await proposal.accepted(stream)
            assert await stream.read(10) == b"data"
            assert await there.read(100) == _line(HEADER) + _line(PROTOCOL)


@pytest.mark.trio
@pytest.mark.network
async def test_a_protocol_that_a_peer_named_and_does_not_speak_is_an_error_at_the_first_read() -> None:
    async def answer(stream: Stream) -> None:
        await stream.send_all(b"yes")

    async with networks(2) as (a, b):
        b.serve("/test/gone/1", answer)
        await link(a, b)
        assert await (await a.open_stream(b.peer_id, "/test/gone/1")).receive_some(10) == b"yes"
        del b._host.multiselect.handlers["/test/gone/1"]
        with trio.fail_after(DEADLINE_S):
            stream = await a.open_stream(b.peer_id, "/test/gone/1")
            with pytest.raises(NetworkError, match="does not speak"):
                await stream.receive_some(10)


@pytest.mark.trio
async def test_what_is_posted_or_ended_first_goes_behind_the_proposal() -> None:
    async with muxers() as (a, b), trio.open_nursery() as nursery:
        for first in ("post", "end", "send"):
            stream = Libp2pStream(await a.open_stream(), "b", nursery, Proposal(PROTOCOL))  # type: ignore[arg-type]
            there = await b.accept_stream()
            if first == "post":
                assert stream.try_send(b"data")
            elif first == "send":
                await stream.send_all(b"data")
            said = _line(HEADER) + _line(PROTOCOL) + (b"" if first == "end" else b"data")
            nursery.start_soon(stream.send_eof)
            heard = b""
            while len(heard) < len(said):
                heard += await there.read(len(said) - len(heard))
            assert heard == said
            await there.write(_line(HEADER) + _line(PROTOCOL))  # the end waits for the yes
            assert await read_to_end(there) == b""


@given(st.binary(max_size=2 * MAX_LINE_BYTES))
def test_any_bytes_are_a_line_or_the_beginning_of_one_or_refused(data: bytes) -> None:
    held = bytearray()
    try:
        while 0 < (missing := _missing(held)) <= len(data) - len(held):
            held += data[len(held) : len(held) + missing]
    except NegotiationError:
        return
    assert len(held) <= MAX_LINE_BYTES + 2
