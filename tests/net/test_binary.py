"""Binary addresses read as the general parser reads them, where this node could dial them; and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiaddr import Multiaddr

from p2pnode.net.addresses import usable, usable_binary
from p2pnode.net.binary import binary_of, text_of

PEER = "12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu"
OTHER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


@pytest.mark.parametrize("end", ["", f"/p2p/{PEER}", f"/p2p/{OTHER}", f"/p2p/{PEER}/p2p-circuit"])
@pytest.mark.parametrize("host", ["ip4/192.0.2.7", "ip6/2001:db8::1", "dns/node.example", "dns4/a-b.example", "dns6/x"])
def test_what_could_be_dialled(host: str, end: str) -> None:
    address = f"/{host}/tcp/4001{end}"
    assert [text_of(binary_of(address))] == usable([address])
    assert text_of(binary_of(f"/{host}/tcp/4001/p2p/{PEER}/p2p-circuit/p2p/{OTHER}")) == (
        f"/{host}/tcp/4001/p2p/{PEER}/p2p-circuit"
    )


@pytest.mark.parametrize(
    "address",
    [
        "/ip4/0.0.0.0/tcp/4001",
        "/ip6/::/tcp/4001",
        "/ip4/192.0.2.7/tcp/0",
        "/ip4/192.0.2.7/udp/4001",
        "/ip4/192.0.2.7/udp/4001/quic-v1",
        "/ip4/192.0.2.7/tcp/4001/ws",
        "/ip4/192.0.2.7",
        f"/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}/p2p-circuit/p2p/{OTHER}/p2p-circuit",
    ],
)
def test_what_could_not(address: str) -> None:
    assert text_of(Multiaddr(address).to_bytes()) is None


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    text = text_of(data)
    if text is not None:
        assert usable([text]) == [text]


@given(st.sampled_from(["/ip4/192.0.2.7/tcp/4001", f"/dns/a.b/tcp/1/p2p/{PEER}/p2p-circuit"]), st.data())
def test_cut_and_changed_addresses(address: str, data: st.DataObject) -> None:
    raw = bytearray(binary_of(address))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    text = text_of(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    if text is not None:
        assert usable([text]) == [text]


def test_a_hostile_list_costs_little() -> None:
    assert usable_binary([b"\x37\xff" + b"x" * 300] * 10_000 + [binary_of("/ip4/192.0.2.7/tcp/1")]) == []
    many = [binary_of(f"/ip4/192.0.2.7/tcp/{port}") for port in range(1, 100)]
    assert len(usable_binary(many)) == 8
