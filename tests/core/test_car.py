"""The CAR format: headers and sections round trip, what is none is a DecodeError, and the index finds what was noted."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.car import (
    MAX_ROOTS,
    MAX_SECTION_BYTES,
    decode_header,
    decode_header_v2,
    decode_section,
    encode_header,
    encode_section,
)
from p2pnode.core.car_index import CarIndex
from p2pnode.core.cid import DAG_PB, RAW, Cid, encode_varint, read_cid
from p2pnode.errors import DecodeError

cids = st.builds(Cid.of, st.sampled_from([RAW, DAG_PB]), st.binary(max_size=20))
V0 = Cid.parse("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")
ONE_ROOT = bytes.fromhex("3aa265726f6f747381d82a58250001551220") + bytes(32) + bytes.fromhex("6776657273696f6e01")


def test_a_header_is_the_bytes_that_the_specification_gives() -> None:
    root = Cid.v1(RAW, bytes(32))
    assert encode_header([root]) == ONE_ROOT
    assert decode_header(ONE_ROOT + b"more")[0].roots == (root,)


@given(st.lists(cids, max_size=40))
def test_headers_round_trip(roots: list[Cid]) -> None:
    data = encode_header(roots)
    header, length = decode_header(data + b"\1")
    assert header.roots == tuple(roots)
    assert length == len(data)


@given(cids | st.just(V0), st.binary(max_size=300), st.binary(max_size=20))
def test_sections_round_trip(cid: Cid, block: bytes, after: bytes) -> None:
    data = encode_section(cid, block)
    section = decode_section(data + after)
    assert (section.cid, data[section.start : section.end], section.end) == (cid, block, len(data))
    assert decode_section(data[: section.start]).length == len(block), "the head alone is enough"


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (decode_header, decode_section, decode_header_v2, lambda data: read_cid(data, 0)):
        with contextlib.suppress(DecodeError):
            decode(data)


@given(st.integers(0, len(ONE_ROOT) - 1), st.integers(0, 255))
def test_any_changed_header_is_read_or_refused(at: int, byte: int) -> None:
    with contextlib.suppress(DecodeError):
        decode_header(ONE_ROOT[:at] + bytes([byte]) + ONE_ROOT[at + 1 :])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        ONE_ROOT[:-1],
        encode_varint(1 << 40),
        bytes.fromhex("0aa16776657273696f6e02"),  # version 2 where version 1 should be
        bytes.fromhex("0aa16776657273696f6e01"),  # no roots
        encode_header([V0] * (MAX_ROOTS + 1)),
        b"\x02\xa0\xa0",  # something behind the map
    ],
)
def test_what_is_no_header(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_header(data)


@pytest.mark.parametrize("data", [b"\0", encode_varint(MAX_SECTION_BYTES + 1) + V0.to_bytes(), b"\x05" + V0.to_bytes()])
def test_what_is_no_section(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_section(data)


@given(st.lists(cids | st.just(V0), max_size=60))
def test_the_index_finds_every_section(noted: list[Cid]) -> None:
    index = CarIndex()
    for at, cid in enumerate(noted):
        index.add(cid, at)
    assert len(index) == len(noted)
    for cid in noted:
        assert list(index.offsets(cid)) == [at for at, other in enumerate(noted) if other == cid]
    assert list(index.offsets(Cid.of(RAW, b"never noted, and longer than any other"))) == []
