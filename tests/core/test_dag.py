"""One block: does it match its CID, and what does it say."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dag import (
    BLAKE3,
    IDENTITY,
    SHA2_512,
    FileView,
    FolderView,
    ShardView,
    SymlinkView,
    inline_block,
    parse_node,
    verify_block,
)
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType, encode_node, encode_unixfs
from p2pnode.errors import DecodeError
from tests.support.dags import folder, node

LEAF = Cid.of(RAW, b"leaf")


def _cid(code: int, digest: bytes) -> Cid:
    return Cid(1, RAW, bytes([code, len(digest)]) + digest)


@pytest.mark.parametrize(
    "cid",
    [
        Cid.of(RAW, b"data"),
        Cid(0, DAG_PB, b"\x12\x20" + hashlib.sha256(b"data").digest()),
        _cid(SHA2_512, hashlib.sha512(b"data").digest()),
        _cid(BLAKE3, blake3(b"data").digest()),
        _cid(IDENTITY, b"data"),
    ],
)
def test_a_block_matches_its_cid_and_no_other_does(cid: Cid) -> None:
    assert verify_block(cid, b"data")
    assert verify_block(cid, memoryview(bytearray(b"data")))
    assert not verify_block(cid, b"date")


def test_truncated_digests_and_unknown_hashes_are_not_trusted() -> None:
    assert not verify_block(_cid(0x12, hashlib.sha256(b"data").digest()[:20]), b"data")
    with pytest.raises(DecodeError, match="cannot be checked"):
        verify_block(_cid(0x11, bytes(20)), b"data")


def test_an_identity_cid_carries_its_block_up_to_the_limit() -> None:
    assert inline_block(_cid(IDENTITY, b"tiny")) == b"tiny"
    assert inline_block(LEAF) is None
    with pytest.raises(DecodeError, match="over the limit"):
        inline_block(Cid(1, RAW, b"\x00\x81\x01" + bytes(129)))


def test_views() -> None:
    assert parse_node(*node([Link(LEAF, b"", 4)], UnixFS(UnixFSType.FILE, b"ab", 6, (4,)))) == FileView(
        6, b"ab", ((LEAF, 4),), (4,)
    )
    assert parse_node(*node([], UnixFS(UnixFSType.RAW, b"ab", 2))) == FileView(2, b"ab", (), ())
    assert parse_node(*folder([(b"a", LEAF)])) == FolderView((Link(LEAF, b"a", 1),))
    assert parse_node(*node([], UnixFS(UnixFSType.SYMLINK, b"there"))) == SymlinkView(b"there")
    shard = UnixFS(UnixFSType.HAMT_SHARD, b"\x03", hash_type=0x22, fanout=256)
    assert parse_node(*node([Link(LEAF, b"00", 1), Link(LEAF, b"01name", 1)], shard)) == ShardView(
        (Link(LEAF, b"name", 1),), (LEAF,)
    )


SHARD = UnixFS(UnixFSType.HAMT_SHARD, hash_type=0x22, fanout=256)


@pytest.mark.parametrize(
    ("links", "unixfs", "words"),
    [
        ([], UnixFS(UnixFSType.FILE, b"ab", 3), "says it is 3 bytes"),
        ([Link(LEAF)], UnixFS(UnixFSType.FILE, size=4), "0 block sizes"),
        ([], UnixFS(UnixFSType.FILE, size=4, block_sizes=(4,)), "1 block sizes"),
        ([Link(LEAF)], UnixFS(UnixFSType.SYMLINK, b"x"), "cannot be read"),
        ([], UnixFS(UnixFSType.METADATA), "cannot be read"),
        ([], UnixFS(UnixFSType.SYMLINK, bytes(4097)), "symlink of 4097"),
        ([], UnixFS(UnixFSType.HAMT_SHARD, hash_type=0x12, fanout=256), "unknown kind"),
        ([], UnixFS(UnixFSType.HAMT_SHARD, hash_type=0x22, fanout=100), "unknown kind"),
        ([], UnixFS(UnixFSType.HAMT_SHARD, hash_type=0x22, fanout=1 << 20), "unknown kind"),
        ([Link(LEAF, b"0")], SHARD, "names no slot"),
        ([Link(LEAF, b"ab")], SHARD, "names no slot"),
        ([Link(LEAF, b"")], SHARD, "names no slot"),
    ],
)
def test_a_node_that_contradicts_itself_is_refused(links: list[Link], unixfs: UnixFS, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        parse_node(*node(links, unixfs))


def test_other_codecs_and_nodes_without_data_are_refused() -> None:
    with pytest.raises(DecodeError, match="neither raw nor dag-pb"):
        parse_node(Cid.of(0x71, b""), b"")
    with pytest.raises(DecodeError, match="without UnixFS data"):
        parse_node(Cid.of(DAG_PB, b""), b"")


@given(st.binary(max_size=200), st.booleans())
def test_any_block_is_a_view_or_a_decode_error(data: bytes, wrapped: bool) -> None:
    block = encode_node([Link(LEAF, b"00x", 1)], data) if wrapped else data
    with contextlib.suppress(DecodeError):
        parse_node(Cid.of(DAG_PB, block), block)


@given(st.sampled_from(UnixFSType), st.lists(st.integers(0, 1 << 62), max_size=3), st.none() | st.integers(0, 1 << 62))
def test_a_file_view_always_adds_up(kind: UnixFSType, sizes: list[int], size: int | None) -> None:
    block = encode_node([Link(LEAF, b"00x")] * len(sizes), encode_unixfs(UnixFS(kind, b"d", size, tuple(sizes))))
    try:
        view = parse_node(Cid.of(DAG_PB, block), block)
    except DecodeError:
        return
    if isinstance(view, FileView):
        assert view.size == len(view.data) + sum(length for _, length in view.children)
