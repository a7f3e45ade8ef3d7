"""NAT-PMP: the bytes of RFC 6886, and the client against routers on loopback that are honest, silent, restarted or liars."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.errors import DecodeError, NetworkError
from p2pnode.net import beside
from p2pnode.net.nat import natpmp_gateway
from p2pnode.net.nat.gateways import Mapping, parse_routes
from p2pnode.net.nat.natpmp import (
    Mapped,
    Outside,
    Refused,
    decode,
    encode_address_request,
    encode_map_request,
    has_restarted,
)
from p2pnode.net.nat.natpmp_gateway import LEAST_LIFE_S, LONGEST_LIFE_S, NatPmp
from p2pnode.net.traffic import Traffic
from tests.support.waiting import DEADLINE_S

OUTSIDE = bytes((203, 0, 113, 9))


def address_answer(epoch: int = 100, address: bytes = OUTSIDE, result: int = 0) -> bytes:
    return struct.pack("!BBHI", 0, 128, result, epoch) + address


def map_answer(inside: int, outside: int, life_s: int, *, epoch: int = 100, result: int = 0) -> bytes:
    return struct.pack("!BBHIHHI", 0, 130, result, epoch, inside, outside, life_s)


def test_requests_are_those_of_the_rfc() -> None:
    assert encode_address_request().hex() == "0000"
    assert encode_map_request(4001, 4002, 3600).hex() == "000200000fa10fa200000e10"
    assert encode_map_request(4001, 0, 0).hex() == "000200000fa1000000000000"


def test_answers_are_read() -> None:
    assert decode(address_answer()) == Outside(100, "203.0.113.9")
    assert decode(map_answer(4001, 4005, 1800)) == Mapped(100, 4001, 4005, 1800)
    assert decode(map_answer(4001, 0, 0, result=2)) == Refused(100, "it does not allow that")
    assert decode(address_answer(result=99)).why == "it refuses (99)"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(12),
        address_answer()[:-1],
        address_answer() + b"\0",
        map_answer(1, 1, 1)[:-1],
        b"\x02" + address_answer()[1:],
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_answer_or_a_decode_error(data: bytes) -> None:
    with suppress(DecodeError):
        decode(data)


@pytest.mark.parametrize(
    ("before", "now", "elapsed", "restarted"),
    [(1000, 1060, 60, False), (1000, 1052, 60, False), (1000, 5, 60, True), (1000, 1000, 60, True), (10, 12, 2, False)],
)
def test_a_restart_is_seen_by_the_epoch(before: int, now: int, elapsed: float, restarted: bool) -> None:
    assert has_restarted(before, now, elapsed) is restarted


def test_default_routes_are_found_the_nearest_first() -> None:
    table = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
wlan0 00000000 0102A8C0 0003 0 0 600 00000000 0 0 0
eth0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0
eth0 0001A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0
tun0 00000000 00000000 0001 0 0 50 00000000 0 0 0
nonsense
"""
    assert parse_routes(table) == ["192.168.1.1", "192.168.2.1"]


@asynccontextmanager
async def router(answers: Callable[[bytes], list[bytes]]) -> AsyncIterator[NatPmp]:
    """A client, and a router on loopback that answers each request by some datagrams."""
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        await udp.bind(("127.0.0.1", 0))

        async def serve() -> None:
            while True:
                data, sender = await udp.recvfrom(64)
                for answer in answers(data):
                    await udp.sendto(answer, sender)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield NatPmp("127.0.0.1", udp.getsockname()[1])
            nursery.cancel_scope.cancel()


def honest(life_s: int = 3600, epoch: Callable[[], int] = lambda: 100) -> Callable[[bytes], list[bytes]]:
    def answers(data: bytes) -> list[bytes]:
        if len(data) == 2:
            return [address_answer(epoch())]
        inside, outside, wanted = struct.unpack("!HHI", data[4:12])
        return [map_answer(inside, outside and outside + 1, wanted and life_s, epoch=epoch())]

    return answers


@pytest.mark.trio
async def test_a_port_is_mapped_and_given_back() -> None:
    asked: list[bytes] = []
    answered: list[bytes] = []
    answer, traffic = honest(), Traffic()

    def answers(data: bytes) -> list[bytes]:
        asked.append(data)
        answered.extend(answer(data))
        return answer(data)

    beside.counted_by(traffic)
    with trio.fail_after(DEADLINE_S):
        async with router(answers) as gateway:
            mapping = await gateway.map(4001, 4001)
            assert mapping == Mapping("203.0.113.9", 4002, 4001, 3600)
            assert await gateway.holds(mapping)
            await gateway.unmap(mapping)
    assert asked[-1] == encode_map_request(4001, 0, 0)
    sizes = (sum(42 + len(one) for one in datagrams) for datagrams in (asked, answered))
    assert traffic.counted() == tuple(sizes), "what the router is asked counts like all traffic, with its headers"


@pytest.mark.trio
@pytest.mark.parametrize(("told", "believed"), [(1, LEAST_LIFE_S), (1 << 31, LONGEST_LIFE_S)])
async def test_a_life_is_believed_within_bounds(told: int, believed: int) -> None:
    async with router(honest(told)) as gateway:
        assert (await gateway.map(4001, 4001)).life_s == believed


@pytest.mark.trio
async def test_rubbish_and_answers_to_other_questions_are_passed_over() -> None:
    def answers(data: bytes) -> list[bytes]:
        forged = [b"rubbish", b"", bytes(64), map_answer(9, 9, 9), address_answer()[:9]]
        return forged + honest()(data)

    async with router(answers) as gateway:
        assert (await gateway.map(4001, 4001)).inside == 4001


@pytest.mark.trio
async def test_a_router_that_lost_its_mappings_holds_none() -> None:
    epochs = iter([100_000, 100_000, 3])
    async with router(honest(epoch=lambda: next(epochs))) as gateway:
        mapping = await gateway.map(4001, 4001)
        assert not await gateway.holds(mapping)


@pytest.mark.trio
async def test_another_address_outside_holds_nothing() -> None:
    async with router(honest()) as gateway:
        mapping = await gateway.map(4001, 4001)
        assert not await gateway.holds(Mapping("203.0.113.10", mapping.outside, mapping.inside, mapping.life_s))


@pytest.mark.trio
async def test_a_refusal_says_why() -> None:
    async with router(lambda data: [address_answer(result=3)]) as gateway:
        with pytest.raises(NetworkError, match="no address outside"):
            await gateway.map(4001, 4001)


@pytest.mark.trio
@pytest.mark.parametrize("answer", [b"", b"rubbish"])
async def test_a_silent_router_is_given_up(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natpmp_gateway, "FIRST_WAIT_S", 0.01)
    with trio.fail_after(DEADLINE_S):
        async with router(lambda data: [answer] if answer else []) as gateway:
            with pytest.raises(NetworkError, match="does not answer"):
                await gateway.map(4001, 4001)


@pytest.mark.trio
async def test_where_nobody_listens_is_no_router() -> None:
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        await udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]
    with trio.fail_after(DEADLINE_S), pytest.raises(NetworkError):
        await NatPmp.find("127.0.0.1", port)
