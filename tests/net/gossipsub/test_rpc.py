"""Gossip's bytes: frames cut anywhere, RPCs over every limit, and signatures that are not what they seem."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.rsa import create_new_key_pair as create_rsa
from libp2p.peer.id import ID
from libp2p.pubsub.pb.rpc_pb2 import RPC, Message
from libp2p.pubsub.validators import signature_validator

from p2pnode.errors import DecodeError, PeerError
from p2pnode.net.gossipsub import rpc
from p2pnode.net.gossipsub.frames import MAX_FRAME_BYTES, FrameReader
from p2pnode.net.gossipsub.signing import is_signed, sign

KEYS = create_new_key_pair(b"k" * 32)
SENDER = ID.from_pubkey(KEYS.public_key).to_bytes()


def bodies(data: bytes) -> list[bytes]:
    return list(FrameReader().feed(data))


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(0, 1000), max_size=10))
def test_frames_come_out_whole_however_they_arrive(parts: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(rpc.encode_varint_prefixed(part) for part in parts)
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    reader = FrameReader()
    found = [frame for a, b in itertools.pairwise(edges) for frame in reader.feed(wire[a:b])]
    assert found == parts and reader.size == 0


@pytest.mark.parametrize("data", [b"\xff" * 5, b"\x80\x80\x80\x80\x08" + bytes(9), rpc.encode_varint_prefixed(b"")[:0]])
def test_lengths_that_cannot_be(data: bytes) -> None:
    if not data:
        assert bodies(data) == []
        return
    with pytest.raises(PeerError):
        bodies(data)


def test_the_largest_frame() -> None:
    whole = bytes(MAX_FRAME_BYTES)
    assert bodies(rpc.encode_varint_prefixed(whole)) == [whole]
    with pytest.raises(PeerError, match="over the limit"):
        bodies(rpc.encode_varint_prefixed(whole + b"x")[:10])


@given(st.binary(max_size=400))
def test_any_bytes_are_an_rpc_or_a_decode_error(data: bytes) -> None:
    try:
        said = rpc.decode(data)
    except DecodeError:
        return
    assert len(said.have) <= rpc.MAX_IDS


def test_everything_is_cut_to_its_limit() -> None:
    everything = RPC()
    for number in range(3000):
        everything.subscriptions.add(subscribe=True, topicid=f"topic {number}")
        everything.control.graft.add(topicID="t")
        everything.control.prune.add(topicID="t", backoff=2**64 - 1)
        everything.control.ihave.add(topicID="t", messageIDs=[bytes(32), b"short"])
        everything.control.iwant.add(messageIDs=[bytes(32)])
    everything.subscriptions[0].topicid = "x" * (rpc.MAX_TOPIC_CHARACTERS + 1)
    said = rpc.decode(everything.SerializeToString())
    assert len(said.subscriptions) == rpc.MAX_SUBSCRIPTIONS - 1
    assert len(said.graft) == len(said.prune) == rpc.MAX_CONTROLS
    assert len(said.want) == rpc.MAX_IDS and len(said.have) == rpc.MAX_IDS // 2


def test_signatures_are_those_of_libp2p() -> None:
    for keys in (KEYS, create_rsa(2048)):
        message = rpc.new_message(ID.from_pubkey(keys.public_key).to_bytes(), b"12345678", "t", b"data")
        sign(message, keys.private_key)
        assert signature_validator(message) and is_signed(message)


@pytest.mark.parametrize(
    "change",
    [
        {"data": b"other"},
        {"seqno": b"87654321"},
        {"topicIDs": ["other"]},
        {"from_id": ID.from_pubkey(create_new_key_pair(b"x" * 32).public_key).to_bytes()},
        {"from_id": b""},
        {"from_id": b"\xff" * 100},
        {"from_id": b"\x12\x20" + bytes(32)},
        {"from_id": b"\x12\x20" + bytes(32), "key": b"\xff" * 40},
        {"signature": b""},
        {"signature": b"s"},
        {"signature": bytes(64)},
    ],
)
def test_what_is_not_signed_by_its_sender(change: dict[str, object]) -> None:
    message = rpc.new_message(SENDER, b"12345678", "t", b"data")
    sign(message, KEYS.private_key)
    fields = {name: getattr(message, name) for name in ("from_id", "seqno", "topicIDs", "data", "signature", "key")}
    assert is_signed(Message(**fields))
    assert not is_signed(Message(**(fields | change)))
