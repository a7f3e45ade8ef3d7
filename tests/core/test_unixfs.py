"""Building: the streaming builder against a plain one, and what the profile says at its edges."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core import unixfs
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dag import FolderView, ShardView, parse_node
from p2pnode.core.unixfs import EMPTY_LEAF, Block, Built, FileBuilder, build_folder
from p2pnode.errors import UsageError


def _leaves(count: int) -> list[Built]:
    return [Built(Cid.of(RAW, b"%d" % number), 3, 3) for number in range(count)]


def _plainly(nodes: Sequence[Built], width: int, blocks: list[Block]) -> Built:
    """The balanced tree as one would write it with all leaves in a list."""
    while len(nodes) > 1:
        nodes = [unixfs._file_node(nodes[at : at + width], blocks) for at in range(0, len(nodes), width)]
    return nodes[0]


@given(st.integers(1, 130), st.integers(2, 5))
def test_the_streaming_builder_makes_the_plain_builders_tree(count: int, width: int) -> None:
    with mock.patch.object(unixfs, "LINKS_PER_NODE", width):
        builder = FileBuilder()
        streamed: list[Block] = []
        for leaf in _leaves(count):
            streamed += builder.add(leaf.cid, leaf.size)
        root, rest = builder.finish()
    plain: list[Block] = []
    assert root == _plainly(_leaves(count), width, plain)
    assert dict(streamed + rest) == dict(plain)


def test_what_is_held_is_bounded_by_the_links_of_a_node() -> None:
    builder = FileBuilder()
    for leaf in _leaves(3):
        for _ in range(3000):
            builder.add(leaf.cid, leaf.size)
            assert sum(map(len, builder._levels)) <= 2 * unixfs.LINKS_PER_NODE


def test_an_empty_file_is_one_empty_leaf() -> None:
    assert FileBuilder().finish() == (Built(EMPTY_LEAF, 0, 0), [])
    assert str(EMPTY_LEAF) == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.mark.parametrize("names", [[b""], [b"a/b"], [b"a", b"b", b"a"]])
def test_a_folder_refuses_impossible_and_repeated_names(names: list[bytes]) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        build_folder([(name, Built(EMPTY_LEAF, 0, 0)) for name in names])


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_folder_is_sharded_when_its_block_would_exceed_the_limit(over: int) -> None:
    names = [b"%0150d" % number for number in range(1000)]
    leaf = Built(EMPTY_LEAF, 0, 0)
    _, [(_, block)] = build_folder([(name, leaf) for name in names])
    with mock.patch.object(unixfs, "SHARD_THRESHOLD_BYTES", len(block) - over):
        root, blocks = build_folder([(name, leaf) for name in names])
    assert isinstance(parse_node(*blocks[-1]), ShardView if over > 0 else FolderView)
    assert blocks[-1][0] == root.cid
    assert root.tsize == sum(len(block) for _, block in blocks)


@given(st.permutations([b"b", b"a", b"B", "é".encode(), b"aa"]))
def test_a_folder_is_the_same_in_any_order(names: list[bytes]) -> None:
    leaf = Built(EMPTY_LEAF, 0, 0)
    assert build_folder([(name, leaf) for name in names]) == build_folder([(name, leaf) for name in sorted(names)])
