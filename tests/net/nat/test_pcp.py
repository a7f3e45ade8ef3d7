"""PCP: the bytes of RFC 6887, and the client against routers on loopback that are honest, silent, old or liars."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.errors import DecodeError, NetworkError
from p2pnode.net.nat import pcp_gateway
from p2pnode.net.nat.gateways import Mapping, parse_routes6
from p2pnode.net.nat.pcp import Mapped, Refused, decode, encode_map
from p2pnode.net.nat.pcp_gateway import LEAST_LIFE_S, LONGEST_LIFE_S, Pcp
from tests.support.waiting import DEADLINE_S

OUTSIDE = bytes(10) + b"\xff\xff" + bytes((203, 0, 113, 9))
NONCE = bytes(range(12))


def answer_to(request: bytes, *, outside: int | None = None, life_s: int | None = None, result: int = 0) -> bytes:
    """Of an honest router: what was asked for, at its own address."""
    (wanted_s,) = struct.unpack("!I", request[4:8])
    inside, wish = struct.unpack("!HH", request[40:44])
    head = struct.pack("!BBBBII", 2, 0x81, 0, result, wanted_s if life_s is None else life_s, 100) + bytes(12)
    return head + request[24:40] + struct.pack("!HH", inside, wish if outside is None else outside) + OUTSIDE


def test_a_request_is_that_of_the_rfc() -> None:
    data = encode_map(ipaddress.IPv4Address("192.168.1.2"), NONCE, 4001, 4002, 3600)
    assert data[:24].hex() == "0201000000000e10" + "00000000000000000000ffffc0a80102"
    assert data[24:].hex() == NONCE.hex() + "060000000fa10fa2" + "00000000000000000000ffff00000000"
    six = encode_map(ipaddress.IPv6Address("2600::7"), NONCE, 4001, 0, 0)
    assert six[8:24] == ipaddress.IPv6Address("2600::7").packed and six[44:] == bytes(16) and len(six) == 60


def test_answers_are_read() -> None:
    request = encode_map(ipaddress.IPv4Address("192.168.1.2"), NONCE, 4001, 4002, 3600)
    assert decode(answer_to(request)) == Mapped(NONCE, 4001, 4002, ipaddress.IPv4Address("203.0.113.9"), 3600)
    assert decode(answer_to(request, result=2)) == Refused("it does not allow that")
    assert decode(answer_to(request, result=99)) == Refused("it refuses (99)")
    assert decode(bytes.fromhex("0081000100000000")) == Refused("it speaks another version"), "NAT-PMP's answer"


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda data: b"\x02\x81\x00\x00" + data))
def test_any_bytes_are_an_answer_or_a_decode_error(data: bytes) -> None:
    with suppress(DecodeError):
        decode(data)


def test_default_routes_of_ipv6_are_found_the_nearest_first() -> None:
    none, link, home = "0" * 32, "fe80" + "0" * 27 + "1", "fd00" + "0" * 27 + "1"
    table = f"""{none} 00 {none} 00 {home} 00000400 00000001 00000000 00000003 wlan0
{none} 00 {none} 00 {link} 00000064 00000001 00000000 00450003 eth0
{home} 40 {none} 00 {none} 00000100 00000001 00000000 00000001 eth0
{none} 00 {none} 00 {none} ffffffff 00000001 00000000 00200200 lo
nonsense
"""
    assert parse_routes6(table) == ["fe80::1%eth0", "fd00::1"]


@asynccontextmanager
async def router(answers: Callable[[bytes], list[bytes]]) -> AsyncIterator[Pcp]:
    """A client, and a router on loopback that answers each request by some datagrams."""
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        await udp.bind(("127.0.0.1", 0))

        async def serve() -> None:
            while True:
                data, sender = await udp.recvfrom(1100)
                for answer in answers(data):
                    await udp.sendto(answer, sender)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield Pcp("127.0.0.1", "", udp.getsockname()[1])
            nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_port_is_mapped_renewed_and_given_back_by_one_nonce() -> None:
    asked: list[bytes] = []

    def answers(data: bytes) -> list[bytes]:
        asked.append(data)
        return [answer_to(data)]

    with trio.fail_after(DEADLINE_S):
        async with router(answers) as gateway:
            mapping = await gateway.map(4001, 4002)
            assert mapping == Mapping("203.0.113.9", 4002, 4001, 3600)
            assert await gateway.holds(mapping)
            await gateway.unmap(mapping)
    assert len({data[24:36] for data in asked}) == 1
    assert asked[0][40:44] == asked[1][40:44] == struct.pack("!HH", 4001, 4002)
    assert asked[2][4:8] == bytes(4)


@pytest.mark.trio
@pytest.mark.parametrize(("told", "believed"), [(1, LEAST_LIFE_S), (1 << 31, LONGEST_LIFE_S)])
async def test_a_life_is_believed_within_bounds(told: int, believed: int) -> None:
    async with router(lambda data: [answer_to(data, life_s=told)]) as gateway:
        assert (await gateway.map(4001, 4001)).life_s == believed


@pytest.mark.trio
async def test_another_port_than_before_is_not_what_was_mapped() -> None:
    ports = iter([4001, 5000])
    async with router(lambda data: [answer_to(data, outside=next(ports))]) as gateway:
        assert not await gateway.holds(await gateway.map(4001, 4001))


@pytest.mark.trio
async def test_answers_to_others_are_passed_over() -> None:
    def answers(data: bytes) -> list[bytes]:
        other = bytearray(answer_to(data, outside=9))
        other[24] ^= 1
        return [b"rubbish", b"", bytes(other), answer_to(data)[:30], answer_to(data)]

    async with router(answers) as gateway:
        assert (await gateway.map(4001, 4001)).outside == 4001


@pytest.mark.trio
@pytest.mark.parametrize("old", [bytes.fromhex("0080000100000000"), bytes.fromhex("0081000100000000")])
async def test_a_router_of_natpmp_says_so_at_once(old: bytes) -> None:
    async with router(lambda data: [old]) as gateway:
        with pytest.raises(NetworkError, match="another version"):
            await gateway.map(4001, 4001)


@pytest.mark.trio
async def test_a_silent_router_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcp_gateway, "FIRST_WAIT_S", 0.01)
    with trio.fail_after(DEADLINE_S):
        async with router(lambda data: []) as gateway:
            with pytest.raises(NetworkError, match="does not answer"):
                await gateway.map(4001, 4001)
