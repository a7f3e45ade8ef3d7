"""Gossip messages: records survive the wire, limits hold, any other bytes are a DecodeError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.gossip_frame import MAX_FRAME_BYTES, MAX_RECORDS, circle_topic, decode_frame, encode_frames
from p2pnode.core.ids import CircleId
from p2pnode.errors import DecodeError


@given(st.lists(st.integers(1, 24_000), max_size=150))
def test_records_survive_in_order_in_frames_within_the_limits(sizes: list[int]) -> None:
    records = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    frames = list(encode_frames(records))
    assert [record for frame in frames for record in decode_frame(frame)] == records
    assert all(len(frame) <= MAX_FRAME_BYTES for frame in frames)
    if records:
        assert len(frames) <= 1 + sum(sizes) // (MAX_FRAME_BYTES - 24_100) + len(records) // MAX_RECORDS


@given(st.binary(max_size=100))
def test_any_bytes_give_records_or_a_decode_error(data: bytes) -> None:
    for whole in (data, b"\x01" + data):
        with contextlib.suppress(DecodeError):
            assert list(encode_frames(decode_frame(whole))) == [whole]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x02\x00\x01a",
        b"\x01\x00",
        b"\x01\x00\x00",
        b"\x01\x00\x02a",
        b"\x01" + b"\x00\x01a" * (MAX_RECORDS + 1),
        b"\x01" + b"\xff\xff" + bytes(0xFFFF),
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_frame(data)


def test_the_topic_names_the_circle() -> None:
    assert circle_topic(CircleId(bytes(32))) == "/p2pnode/circle/c-" + "a" * 52 + "/1"
