"""What peers say of themselves is hostile text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.identity.identify.pb.identify_pb2 import Identify

from p2pnode import __version__
from p2pnode.errors import DecodeError
from p2pnode.net.identify import MAX_AGENT_CHARACTERS, MAX_PROTOCOLS, decode, encode


def test_there_and_back() -> None:
    data = encode(b"key", ["/ip4/192.0.2.7/tcp/4001"], ["/b/1", "/a/1"], "/ip4/192.0.2.8/tcp/9")
    found = decode(data[1:] if data[0] < 0x80 else data[2:])
    assert found.agent == f"p2pnode/{__version__}"
    assert found.protocols == ("/a/1", "/b/1")
    assert found.addresses == ("/ip4/192.0.2.7/tcp/4001",)


@given(st.binary(max_size=1000))
def test_any_bytes_are_an_introduction_or_a_decode_error(data: bytes) -> None:
    try:
        decode(data)
    except DecodeError:
        return


def test_long_and_unprintable_claims_are_cut() -> None:
    message = Identify(agent_version="\x1b[31mred\n" + "x" * 10_000)
    message.protocols.extend(f"/p/{n}" for n in range(5000))
    message.protocols.insert(0, "/bad\x00")
    message.listen_addrs.extend([b"\xff"] * 1000)
    found = decode(message.SerializeToString())
    assert found.agent.startswith("[31mred") and len(found.agent) <= MAX_AGENT_CHARACTERS
    assert len(found.protocols) == MAX_PROTOCOLS - 1 and "/bad\x00" not in found.protocols
    assert found.addresses == ()


def test_garbage() -> None:
    with pytest.raises(DecodeError):
        decode(b"\xff" * 60)
