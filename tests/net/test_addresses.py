"""Addresses: what people type, what peers claim, what we listen on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.errors import UsageError
from p2pnode.net.addresses import (
    MAX_PEER_ADDRESSES,
    is_near,
    public_key_of,
    split_address,
    to_id,
    usable,
    usable_binary,
    without_wildcards,
)

PEER = PeerId("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
RELAY = PeerId("12D3KooWPA6ax6t3jqTyGq73Zm1RmwppYqxaXzrtarfcTWGp5Wzx")


def test_a_whole_address_is_split() -> None:
    assert split_address(f" /ip4/192.0.2.7/tcp/4001/p2p/{PEER}\n") == (PEER, "/ip4/192.0.2.7/tcp/4001")
    assert split_address(f"/dns4/example.org/tcp/4001/p2p/{PEER}/")[1] == "/dns4/example.org/tcp/4001"
    through = f"/ip4/192.0.2.7/tcp/4001/p2p/{RELAY}/p2p-circuit"
    assert split_address(f"{through}/p2p/{PEER}") == (PEER, through)


@pytest.mark.parametrize(
    "address",
    [
        "/p2p-circuit",
        f"/p2p/{RELAY}/p2p-circuit",
        "/ip4/192.0.2.7/tcp/4001/p2p-circuit",
        "/ip4/192.0.2.7/tcp/4001/p2p/nobody/p2p-circuit",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{RELAY}/p2p-circuit/p2p/{RELAY}/p2p-circuit",
        f"/ip4/192.0.2.7/udp/4001/quic-v1/p2p/{RELAY}/p2p-circuit",
    ],
)
def test_not_every_address_through_a_relay_leads_somewhere(address: str) -> None:
    with pytest.raises(UsageError):
        split_address(f"{address}/p2p/{PEER}")
    assert usable([f"{address}/p2p/{PEER}"]) == []


@given(st.text())
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    for candidate in (text, f"/ip4/{text}/tcp/1/p2p/{PEER}", f"/ip4/127.0.0.1/tcp/1/p2p/{text}"):
        try:
            split_address(candidate)
        except UsageError as error:
            assert error.message


@given(st.text())
def test_any_text_is_a_peer_or_a_usage_error(text: str) -> None:
    try:
        to_id(PeerId(text))
    except UsageError:
        return


def test_what_cannot_be_dialled_is_dropped() -> None:
    claimed = [
        "/ip4/192.0.2.7/tcp/4001",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}",
        "/ip4/192.0.2.7/udp/4001/quic-v1",
        f"/ip4/192.0.2.9/tcp/4001/p2p/{RELAY}/p2p-circuit/p2p/{PEER}",
        "/ip4/0.0.0.0/tcp/4001",
        "/ip6/::/tcp/4001",
        "/ip4/192.0.2.7/tcp/0",
        "/ip4/192.0.2.7/tcp/4001/ws",
        "/ip6/2001:db8::1/tcp/4001",
        "nonsense",
        "",
        "/" * 10_000,
    ]
    through = f"/ip4/192.0.2.9/tcp/4001/p2p/{RELAY}/p2p-circuit"
    assert usable(claimed) == ["/ip4/192.0.2.7/tcp/4001", through, "/ip6/2001:db8::1/tcp/4001"]
    assert usable([through]) == [through] and not is_near(f"/ip4/127.0.0.1/tcp/1/p2p/{RELAY}/p2p-circuit")
    assert len(usable(f"/ip4/192.0.2.7/tcp/{port}" for port in range(1, 1000))) == MAX_PEER_ADDRESSES


@given(st.lists(st.binary(max_size=300), max_size=50))
def test_binary_addresses_of_a_peer(blobs: list[bytes]) -> None:
    good = Multiaddr("/ip4/192.0.2.7/tcp/4001").to_bytes()
    assert "/ip4/192.0.2.7/tcp/4001" in usable_binary([good, *blobs])


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("/ip4/127.0.0.1/tcp/1", True),
        ("/ip4/192.168.1.7/tcp/1", True),
        ("/ip4/10.0.0.7/tcp/1", True),
        ("/ip4/169.254.0.7/tcp/1", True),
        ("/ip6/fe80::1/tcp/1", True),
        ("/ip6/fd00::1/tcp/1", True),
        ("/ip4/9.9.9.9/tcp/1", False),
        ("/ip6/2620:fe::fe/tcp/1", False),
        ("/dns4/localhost/tcp/1", False),
    ],
)
def test_which_addresses_are_local(address: str, near: bool) -> None:
    assert is_near(address) is near


def test_wildcards_become_interfaces_with_loopback_last() -> None:
    found = without_wildcards(["/ip4/0.0.0.0/tcp/4001"])
    assert found[-1] == "/ip4/127.0.0.1/tcp/4001"
    assert without_wildcards(["/ip4/127.0.0.1/tcp/5"]) == ["/ip4/127.0.0.1/tcp/5"]


def test_keys_of_other_kinds_have_no_ed25519_key() -> None:
    assert public_key_of(PeerId("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")) is None
    assert len(public_key_of(PEER) or b"") == 32
