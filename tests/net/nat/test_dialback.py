"""Dialling back: what may be dialled, how often, and that nobody can have another dialled."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.abc import ConnectionType
from trio.testing import MockClock

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.net.nat.dialback import A_MINUTE, A_MINUTE_OF_ONE, MAX_ADDRESSES, MAX_DIALLING, DialBacks, dialable
from p2pnode.net.nat.dialback_messages import (
    DialBack,
    Dialled,
    Status,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from p2pnode.net.stream import Libp2pStream

ASKER = PeerId("12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp")
OTHER = PeerId("12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD")
HOST = "9.9.9.9"
HERE = f"/ip4/{HOST}/tcp/4001"


def test_requests_and_answers_come_back_as_they_were() -> None:
    assert decode_request(encode_request(ASKER, [HERE])[1:]) == DialBack(ASKER, (HERE,))
    for answer in (Dialled(Status.OK, HERE), Dialled(Status.DIAL_ERROR), Dialled(Status.DIAL_REFUSED)):
        assert decode_answer(encode_answer(answer, "words")[1:]) == answer


def test_the_bytes_are_those_of_the_specification() -> None:
    assert encode_answer(Dialled(Status.DIAL_ERROR), "no").hex() == "0a08011a0608641202" + b"no".hex()
    assert encode_request(ASKER, []).hex().startswith("2e0800122a0a280a26002408011220")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    for decode in (decode_request, decode_answer):
        try:
            decode(data)
        except DecodeError:
            continue


def test_an_unknown_status_is_an_error_of_the_other_side() -> None:
    assert decode_answer(bytes.fromhex("08011a0308b704")).status is Status.INTERNAL_ERROR


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "192.168.1.7", "10.0.0.1", "100.64.0.9", "169.254.1.1", "::1", "fe80::1", "224.0.0.1"]
)
def test_nobody_near_is_dialled(host: str) -> None:
    family = "ip6" if ":" in host else "ip4"
    assert dialable(host, (f"/{family}/{host or HOST}/tcp/4001", HERE)) == []


@pytest.mark.parametrize(
    "address",
    [
        "/ip4/9.9.9.10/tcp/4001",
        "/ip4/192.168.1.1/tcp/4001",
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/2001:db8::1/tcp/4001",
        "/dns/victim.example/tcp/4001",
        f"/ip4/{HOST}/tcp/4001/p2p/{OTHER}/p2p-circuit",
        f"/ip4/{HOST}/tcp/22",
        f"/ip4/{HOST}/tcp/25",
    ],
)
def test_nothing_but_the_asker_is_dialled(address: str) -> None:
    assert dialable(HOST, (address,)) == []


def test_few_ports_of_the_asker_are_dialled() -> None:
    many = tuple(f"/ip4/{HOST}/tcp/{port}" for port in (443, 80, *range(4001, 4020)))
    assert dialable(HOST, many) == list(many[:MAX_ADDRESSES])
    assert dialable("2a01::1", ("/ip6/2a01:0:0:0:0:0:0:1/tcp/4001",)) == ["/ip6/2a01:0:0:0:0:0:0:1/tcp/4001"]


@dataclass
class Asked:
    """A stream of a peer that is seen at `host`, with one request on it."""

    request: bytes
    host: str = HOST
    peer: PeerId = ASKER
    relayed: bool = False
    said: bytearray = field(default_factory=bytearray)

    @property
    def raw(self) -> Any:
        kind = ConnectionType.RELAYED if self.relayed else ConnectionType.DIRECT
        muxed = SimpleNamespace(get_connection_type=lambda: kind, get_remote_address=lambda: (self.host, 5000))
        return SimpleNamespace(muxed_conn=muxed)

    async def receive_some(self, max_bytes: int) -> bytes:
        await trio.lowlevel.checkpoint()
        data, self.request = self.request[:max_bytes], self.request[max_bytes:]
        return data

    async def send_all(self, data: bytes) -> None:
        self.said += data

    @property
    def answer(self) -> Dialled:
        return decode_answer(bytes(self.said[1:]))


def asked(*addresses: str, **how: Any) -> Asked:
    return Asked(encode_request(ASKER, addresses or (HERE,)), **how)


async def serve(server: DialBacks, stream: Asked) -> Dialled:
    await server.serve(cast(Libp2pStream, stream))
    return stream.answer


class Dials:
    """Remembers what was dialled; who answers at `open` addresses is the right one."""

    def __init__(self, *open_: str) -> None:
        self.open = open_
        self.dialled: list[str] = []

    async def __call__(self, peer: PeerId, address: str) -> None:
        self.dialled.append(address)
        await trio.lowlevel.checkpoint()
        if address not in self.open:
            raise OSError("refused")


@pytest.mark.trio
async def test_an_asker_is_told_where_it_was_reached() -> None:
    dials = Dials(HERE)
    assert await serve(DialBacks(dials), asked(f"/ip4/{HOST}/tcp/4000", HERE)) == Dialled(Status.OK, HERE)
    assert await serve(DialBacks(Dials()), asked()) == Dialled(Status.DIAL_ERROR)


@pytest.mark.trio
async def test_a_request_to_dial_somebody_else_breaks_the_rules() -> None:
    dials = Dials(HERE)
    stream = asked(peer=OTHER)
    with pytest.raises(PeerError):
        await serve(DialBacks(dials), stream)
    assert stream.answer.status is Status.BAD_REQUEST
    assert dials.dialled == []


@pytest.mark.trio
@pytest.mark.parametrize("how", [{"relayed": True}, {"host": "192.168.1.3"}, {"host": "9.9.9.8"}])
async def test_who_is_near_relayed_or_elsewhere_is_refused(how: dict[str, Any]) -> None:
    dials = Dials(HERE)
    assert (await serve(DialBacks(dials), asked(**how))).status is Status.DIAL_REFUSED
    assert dials.dialled == []


@pytest.mark.trio
async def test_one_range_has_few_dials_a_minute(autojump_clock: MockClock) -> None:
    server = DialBacks(Dials(HERE))
    answers = [(await serve(server, asked())).status for _ in range(A_MINUTE_OF_ONE + 2)]
    assert answers == [Status.OK] * A_MINUTE_OF_ONE + [Status.DIAL_REFUSED] * 2
    await trio.sleep(61)
    assert (await serve(server, asked())).status is Status.OK


@pytest.mark.trio
async def test_all_together_have_few_dials_a_minute(autojump_clock: MockClock) -> None:
    dials = Dials()
    server = DialBacks(dials)
    for number in range(A_MINUTE + 10):
        host = f"9.9.{number}.9"
        await serve(server, asked(f"/ip4/{host}/tcp/4001", host=host))
    assert len(dials.dialled) == A_MINUTE


@pytest.mark.trio
async def test_few_are_dialled_at_once_and_none_for_long(autojump_clock: MockClock) -> None:
    async def never(peer: PeerId, address: str) -> None:
        await trio.sleep_forever()

    server = DialBacks(never)
    answers: list[Status] = []

    async def one(number: int) -> None:
        host = f"9.9.{number}.9"
        answers.append((await serve(server, asked(f"/ip4/{host}/tcp/4001", host=host))).status)

    async with trio.open_nursery() as nursery:
        for number in range(MAX_DIALLING + 3):
            nursery.start_soon(one, number)
    assert sorted(answers) == [Status.DIAL_ERROR] * MAX_DIALLING + [Status.DIAL_REFUSED] * 3


@pytest.mark.trio
@pytest.mark.parametrize("request_", [b"\x03abc", b"\xff\xff\xff\xff\xff\xff", b"\x05ab"])
async def test_nonsense_is_refused(request_: bytes) -> None:
    dials = Dials(HERE)
    with pytest.raises((PeerError, NetworkError)):
        await DialBacks(dials).serve(cast(Libp2pStream, Asked(request_)))
    assert dials.dialled == []


@pytest.mark.trio
async def test_a_silent_asker_is_left(autojump_clock: MockClock) -> None:
    class Silent(Asked):
        async def receive_some(self, max_bytes: int) -> bytes:
            return await trio.sleep_forever()

    with pytest.raises(NetworkError, match="in time"):
        await DialBacks(Dials()).serve(cast(Libp2pStream, Silent(b"")))
