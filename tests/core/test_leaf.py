"""Leaves as raw blocks and as dag-pb nodes: unwrapped and wrapped again they have the same bytes, and nothing else passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType, encode_node, encode_unixfs
from p2pnode.core.leaf import block_around, block_bytes, is_plain, leaf_data, may_wait, wrapped_bytes
from p2pnode.errors import DecodeError
from p2pnode.limits import KIB
from tests.support.dags import node

FILE, RAW_TYPE = UnixFSType.FILE, UnixFSType.RAW
types = st.sampled_from([FILE, RAW_TYPE])
TIME = b"\x42\x02\x08\x07"


@given(st.binary(min_size=1, max_size=600), types, st.booleans())
def test_what_is_unwrapped_is_made_again(data: bytes, type: UnixFSType, old: bool) -> None:
    cid, block = node([], UnixFS(type, data, len(data)))
    cid = Cid(0, DAG_PB, cid.multihash) if old else cid
    assert leaf_data(cid, block) == data
    assert block_around(cid, data) == block and is_plain(cid, block)
    assert len(block) == wrapped_bytes(len(data)) == block_bytes(cid, len(data))
    assert block_around(cid, data + b"x") is None
    assert may_wait(cid, len(data), len(block)) and not may_wait(cid, len(data), len(block) + 1)


@pytest.mark.parametrize("length", [1, 116, 127, 128, 16_383, 16_384, 256 * KIB, 1024 * KIB, (1 << 21) - 1])
@pytest.mark.parametrize("type", [FILE, RAW_TYPE])
def test_the_weight_of_the_wrapping_is_known(length: int, type: UnixFSType) -> None:
    _, block = node([], UnixFS(type, bytes(length), length))
    assert wrapped_bytes(length) == len(block)


def test_a_default_leaf_of_kubo_weighs_fourteen_bytes_more() -> None:
    assert wrapped_bytes(256 * KIB) == 262_158


def test_raw_leaves_are_what_they_are() -> None:
    cid = Cid.of(RAW, b"leaf")
    assert leaf_data(cid, b"leaf") == block_around(cid, b"leaf") == b"leaf"
    assert block_around(cid, b"lear") is None
    assert is_plain(cid, b"leaf") and block_bytes(cid, 4) == 4 and may_wait(cid, 4, None)


@pytest.mark.parametrize(
    "block",
    [
        encode_node([], encode_unixfs(UnixFS(FILE, b"data", 4)) + TIME),
        encode_node([], encode_unixfs(UnixFS(FILE, b"data", None))),
        encode_node([], b"\x18\x04" + encode_unixfs(UnixFS(FILE, b"data"))),
    ],
    ids=["with a time", "without its size", "in another order"],
)
def test_unusual_leaves_are_read_but_cannot_be_made_again(block: bytes) -> None:
    cid = Cid.of(DAG_PB, block)
    assert leaf_data(cid, block) == b"data"
    assert not is_plain(cid, block) and block_around(cid, b"data") is None


@pytest.mark.parametrize(
    "unixfs, links",
    [
        (UnixFS(FILE, size=4, block_sizes=(4,)), [Link(Cid.of(RAW, b"leaf"))]),
        (UnixFS(UnixFSType.DIRECTORY), []),
        (UnixFS(UnixFSType.SYMLINK, b"there"), []),
    ],
    ids=["inner node", "folder", "symlink"],
)
def test_other_nodes_are_no_leaves(unixfs: UnixFS, links: list[Link]) -> None:
    with pytest.raises(DecodeError, match="should be"):
        leaf_data(*node(links, unixfs))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_leaf_or_a_decode_error(block: bytes) -> None:
    cid = Cid.of(DAG_PB, block)
    try:
        data = leaf_data(cid, block)
    except DecodeError:
        return
    if is_plain(cid, block):
        assert block_around(cid, data) == block
