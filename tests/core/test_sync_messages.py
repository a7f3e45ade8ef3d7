"""Frames of reconciliation: what is encoded decodes to the same, and any other bytes are a DecodeError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2pnode.core import sync_messages as wire
from p2pnode.core.ids import RecordId
from p2pnode.core.sync_messages import KeyRange, decode_frame
from p2pnode.errors import DecodeError

prints = st.binary(min_size=16, max_size=16)
ids = st.lists(st.binary(min_size=32, max_size=32).map(RecordId), max_size=32, unique=True).map(tuple)


@st.composite
def ranges(draw: st.DrawFn) -> list[KeyRange]:
    cuts = sorted(draw(st.sets(st.binary(min_size=1, max_size=40), min_size=1, max_size=12)))
    edges: list[bytes | None] = [b"", *cuts, None]
    said = draw(st.lists(st.one_of(st.none(), prints, ids), min_size=len(edges) - 1, max_size=len(edges) - 1))
    found = [
        KeyRange(low or b"", high, what)
        for low, high, what in zip(edges, edges[1:], said, strict=False)
        if what is not None
    ]
    return found or [KeyRange(b"", None, ())]


@given(ranges(), st.sampled_from([wire.CONTROL, wire.REST]))
def test_ranges_survive_the_wire(said: list[KeyRange], kind: int) -> None:
    frame, taken = wire.encode_ranges(kind, said)
    assert taken == len(said)
    assert decode_frame(frame) == wire.Frame(kind, ranges=tuple(said))


@given(ranges(), st.integers(20, 1500))
def test_ranges_that_do_not_fit_are_left_for_the_next_frame(said: list[KeyRange], limit: int) -> None:
    frame, taken = wire.encode_ranges(wire.REST, said, limit)
    assert len(frame) <= limit
    if taken:
        assert decode_frame(frame).ranges == tuple(said[:taken])


@given(ids.filter(len), st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=20))
def test_wants_and_records_survive_the_wire(wanted: tuple[RecordId, ...], records: list[bytes]) -> None:
    assert decode_frame(wire.encode_want(wanted)).ids == wanted
    frame, taken = wire.encode_records(records)
    assert taken == len(records)
    assert decode_frame(wire.with_flags(frame, wire.LAST | wire.MORE)) == wire.Frame(
        wire.RECORDS, wire.LAST | wire.MORE, records=tuple(records)
    )


@given(st.binary(max_size=200))
@example(b"")
@example(bytes([wire.REST]))
@example(bytes([wire.REST, 0x7F, *bytes(16), 0x7F, *bytes(16)]))
def test_any_bytes_give_a_frame_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert decode_frame(data).kind <= wire.BYE


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (bytes(wire.MAX_FRAME_BYTES + 1), "bytes"),
        (bytes([7]), "no sense"),
        (bytes([0x10]), "flags"),
        (bytes([wire.EMPTY | wire.MORE]), "flags"),
        (bytes([wire.BYE | wire.LAST, 2]), "no sense"),
        (bytes([wire.BYE, 0]), "no sense"),
        (bytes([wire.RECORDS]), "none"),
        (bytes([wire.RECORDS, 0, 0]), "record of 0"),
        (bytes([wire.RECORDS, 255, 255]) + bytes(30_000), "record of 65535"),
        (bytes([wire.RECORDS, 0, 9, 1]), "in the middle"),
        (bytes([wire.WANT]) + bytes(33), "not a list"),
        (bytes([wire.WANT]) + bytes(64), "twice"),
        (bytes([wire.REST, 0x00, 1, 5]), "says nothing"),
        (bytes([wire.REST, 0x80, 1, 5, 0, 0x80, 1, 5, 0]), "ascend"),
        (bytes([wire.REST, 0x80, 1, 5, 0, 0x80, 1, 4, 0]), "ascend"),
        (bytes([wire.REST, 0x82, 1, 5, 0]), "too long"),
        (bytes([wire.REST, 0x80, 41, *range(41), 0]), "too long"),
        (bytes([wire.REST, 0xC0, 1, 5]), "unknown"),
        (bytes([wire.REST, 0xBF, 0, 0xBF, 0]), "behind the end"),
        (bytes([wire.REST, 0xBF, 33]) + bytes(33 * 32), "not a list"),
    ],
)
def test_malformed_frames(frame: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_frame(frame)


def test_more_ranges_than_a_frame_may_have() -> None:
    body = b"".join(
        bytes([0x80, 2]) + number.to_bytes(2, "big") + b"\x00" for number in range(1, wire.MAX_FRAME_RANGES + 2)
    )
    with pytest.raises(DecodeError, match="too many"):
        decode_frame(bytes([wire.REST]) + body)
