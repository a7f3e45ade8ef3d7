"""Hole punching's pure parts: the wire, whom we let ourselves be told to call, and where others see us."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.relay.circuit_v2.pb.dcutr_pb2 import HolePunch as Wire

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError
from p2pnode.net.nat.seen import MAX_OBSERVERS, Seen
from p2pnode.net.punch.messages import HolePunch, Kind, decode, encode
from p2pnode.net.punch.rules import MAX_ADDRESSES, punchable

HOME = "/ip4/11.0.0.7/tcp/4001"


@pytest.mark.parametrize("kind", ["CONNECT", "SYNC"])
def test_messages_there_and_back(kind: Kind) -> None:
    data = encode(kind, [HOME, "/ip6/2600::7/tcp/4001"])
    assert data[0] == len(data) - 1
    assert decode(data[1:]) == HolePunch(kind, (HOME, "/ip6/2600::7/tcp/4001"))


def test_the_bytes_are_those_of_the_specification() -> None:
    assert encode("SYNC") == bytes.fromhex("0308ac02")
    assert encode("CONNECT", [HOME]) == bytes.fromhex("0c08641208040b000007060fa1")
    assert decode(bytes.fromhex("0864")) == HolePunch("CONNECT")


@pytest.mark.parametrize("data", [b"", b"\x08\x01", b"\xff" * 9, Wire(ObsAddrs=[b"x"]).SerializePartialToString()])
def test_what_has_no_known_type_is_no_message(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    try:
        assert len(decode(data).addresses) <= 8
    except DecodeError:
        return


@pytest.mark.parametrize(
    "address",
    [
        "/ip4/127.0.0.1/tcp/4001",
        "/ip4/192.168.1.1/tcp/4001",
        "/ip4/10.0.0.1/tcp/4001",
        "/ip4/100.64.0.2/tcp/4001",
        "/ip4/169.254.3.4/tcp/4001",
        "/ip4/0.0.0.0/tcp/4001",
        "/ip4/224.0.0.251/tcp/5353",
        "/ip4/255.255.255.255/tcp/4001",
        "/ip4/192.0.2.7/tcp/4001",
        "/ip4/11.0.0.7/tcp/22",
        "/ip6/::1/tcp/4001",
        "/ip6/fe80::1/tcp/4001",
        "/ip6/fd00::1/tcp/4001",
        "/ip6/::ffff:192.168.1.1/tcp/4001",
        "/ip6/2002:c0a8:101::1/tcp/4001",
        "/dns4/router.example/tcp/4001",
        f"{HOME}/p2p/12D3KooWPA6ax6t3jqTyGq73Zm1RmwppYqxaXzrtarfcTWGp5Wzx/p2p-circuit",
    ],
)
def test_nobody_has_us_call_anything_local_or_a_server(address: str) -> None:
    assert punchable([address]) == []


def test_one_home_and_few_ports_are_called() -> None:
    told = ["/ip4/11.0.0.9/tcp/1", HOME, "/ip4/11.0.0.8/tcp/4001", "/ip6/2600::7/tcp/4001", "/ip6/2600::8/tcp/4001"]
    assert punchable(told) == [HOME, "/ip6/2600::7/tcp/4001"]
    many = [f"/ip4/11.0.0.7/tcp/{port}" for port in range(4000, 4100)]
    assert punchable([*many[:2], many[0], *many[2:]]) == many[:MAX_ADDRESSES]


def test_most_voices_say_where_we_are_seen() -> None:
    seen = Seen()
    seen.told(PeerId("liar"), "/ip4/11.0.0.66/tcp/4001")
    seen.told(PeerId("near"), "/ip4/192.168.1.2/tcp/4001")
    assert seen.addresses() == ["/ip4/11.0.0.66/tcp/4001"]
    for name in ("a", "b"):
        seen.told(PeerId(name), HOME)
    assert seen.addresses() == [HOME, "/ip4/11.0.0.66/tcp/4001"]
    seen.told(PeerId("a"), "/ip4/11.0.0.8/tcp/4001")
    seen.forget(PeerId("b"))
    seen.forget(PeerId("liar"))
    assert seen.addresses() == ["/ip4/11.0.0.8/tcp/4001"]


def test_only_the_newest_voices_are_kept() -> None:
    seen = Seen()
    for number in range(MAX_OBSERVERS + 9):
        seen.told(PeerId(f"p{number}"), f"/ip4/11.0.0.7/tcp/{2000 + number}")
    assert len(seen.addresses()) == MAX_OBSERVERS and seen.addresses()[0].endswith(str(2000 + MAX_OBSERVERS + 8))
