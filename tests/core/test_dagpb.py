"""The two protobuf messages: round trips, strictness, and that no bytes do more than raise DecodeError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dagpb import (
    MAX_LINKS,
    Link,
    PBNode,
    UnixFS,
    UnixFSType,
    decode_node,
    decode_unixfs,
    encode_node,
    encode_unixfs,
)
from p2pnode.errors import DecodeError

CID = Cid.of(RAW, b"leaf")
numbers = st.integers(0, (1 << 63) - 1)
cids = st.builds(lambda codec, data: Cid.of(codec, data), st.sampled_from([RAW, DAG_PB]), st.binary(max_size=8))
links = st.builds(Link, cids, st.binary(max_size=40), st.none() | numbers)
messages = st.builds(
    UnixFS,
    st.sampled_from(UnixFSType),
    st.none() | st.binary(max_size=40),
    st.none() | numbers,
    st.lists(numbers, max_size=6).map(tuple),
    st.none() | numbers,
    st.none() | numbers,
)


@given(st.lists(links, max_size=6), st.none() | st.binary(max_size=40))
def test_nodes_round_trip(given_links: list[Link], data: bytes | None) -> None:
    assert decode_node(encode_node(given_links, data)) == PBNode(tuple(given_links), data)


@given(messages)
def test_unixfs_round_trips(message: UnixFS) -> None:
    assert decode_unixfs(encode_unixfs(message)) == message


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_decode_error(data: bytes) -> None:
    for decode in (decode_node, decode_unixfs):
        with contextlib.suppress(DecodeError):
            decode(data)


@given(st.lists(links, min_size=1, max_size=4), st.binary(max_size=20), st.data())
def test_a_damaged_node_decodes_or_raises_decode_error(good: list[Link], content: bytes, data: st.DataObject) -> None:
    block = bytearray(encode_node(good, content))
    for _ in range(data.draw(st.integers(1, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        decode_node(bytes(block))


def test_the_data_may_stand_before_the_links() -> None:
    link = encode_node([Link(CID, b"a", 4)], None)
    assert decode_node(b"\x0a\x01d" + link) == PBNode((Link(CID, b"a", 4),), b"d")


def test_block_sizes_may_be_packed() -> None:
    assert decode_unixfs(b"\x08\x02\x22\x03\x01\xac\x02").block_sizes == (1, 300)


LINK = encode_node([Link(CID, b"", 4)], None)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (LINK + b"\x0a\x00" + LINK, "two places"),
        (b"\x0a\x00\x0a\x00", "no place"),
        (b"\x1a\x00", "no place"),
        (b"\x12\x00", "links to nothing"),
        (b"\x12\x04\x18\x01\x12\x00", "not in order"),
        (b"\x12\x02\x20\x01", "no place in a link"),
        (b"\x0a\x05abc", "cut short"),
        (b"\x0b", "wire type"),
        (b"\x08\x01", "where bytes should"),
        (b"\x02\x00", "number zero"),
        (b"\x0a\x80\x00", "shortest"),
        (bytes(3 << 20), "over the limit"),
        (LINK * (MAX_LINKS + 1), "more than"),
    ],
)
def test_a_malformed_node_is_refused_with_the_reason(block: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode_node(block)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no known type"),
        (b"\x08\x06", "no known type"),
        (b"\x08\x01\x08\x01", "twice"),
        (b"\x0a\x01a", "where a number should"),
        (b"\x08\x02\x10\x01", "where bytes should"),
        (b"\x08\x02\x22\x01\x80", "cut short"),
        (b"\x08\x02" + b"\x20\x00" * (MAX_LINKS + 1), "more than"),
    ],
)
def test_a_malformed_unixfs_message_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode_unixfs(data)
