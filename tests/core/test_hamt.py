"""Sharded folders and the hash they are kept by."""

from __future__ import annotations

import random
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core import hamt
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dag import ShardView, parse_node
from p2pnode.core.dagpb import Link
from p2pnode.core.hamt import build_shards
from p2pnode.core.murmur3 import murmur3_x64_128
from p2pnode.errors import UsageError

LEAF = Cid.of(RAW, b"leaf")


@pytest.mark.parametrize(
    ("data", "digest"),  # from @multiformats/murmur3 2.2.5
    [
        ("", "00000000000000000000000000000000"),
        ("a", "85555565f6597889e6b53a48510e895a"),
        ("hello", "cbd8a7b341bd9b025b1e906a48ae1d19"),
        ("hello, world", "342fac623a5ebc8e4cdcbc079642414d"),
        ("The quick brown fox jumps over the lazy dog.", "cd99481f9ee902c9695da1a38987b6e7"),
        ("x" * 15, "1cfd62bac822c29a381530a121efa404"),
        ("x" * 16, "68ccbbacd92543dd6d7d20e2c261c3b0"),
        ("x" * 17, "e29865cea229de939c4fbd9aef38356b"),
        ("åäö", "28fe57b66ea276a885d990b315ede7f4"),
    ],
)
def test_murmur3_gives_the_known_digests(data: str, digest: str) -> None:
    assert murmur3_x64_128(data.encode()).hex() == digest


@given(
    st.sets(st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name), min_size=1, max_size=300),
    st.randoms(),
)
def test_every_entry_is_found_once_and_order_does_not_matter(names: set[bytes], rng: random.Random) -> None:
    links = [Link(LEAF, name, 4) for name in sorted(names)]
    root, blocks = build_shards(links)
    rng.shuffle(links)
    assert build_shards(links) == (root, blocks)
    held = dict(blocks)
    found: list[bytes] = []
    todo = [root.cid]
    while todo:
        view = parse_node(todo[-1], held[todo.pop()])
        assert isinstance(view, ShardView)
        found += [entry.name for entry in view.entries]
        todo += view.shards
    assert sorted(found) == sorted(names)


def test_names_that_share_their_first_bits_go_a_level_down() -> None:
    with mock.patch.object(hamt, "murmur3_x64_128", lambda name: b"\x07" * 3 + name[:1] + bytes(12)):
        _, blocks = build_shards([Link(LEAF, b"a", 4), Link(LEAF, b"b", 4)])
    assert len(blocks) == 4
    deepest, root = parse_node(*blocks[0]), parse_node(*blocks[-1])
    assert isinstance(deepest, ShardView) and isinstance(root, ShardView)
    assert [entry.name for entry in deepest.entries] == [b"a", b"b"]
    assert not root.entries and len(root.shards) == 1


def test_names_that_collide_entirely_are_refused_in_words() -> None:
    with mock.patch.object(hamt, "murmur3_x64_128", lambda name: bytes(16)), pytest.raises(UsageError, match="collide"):
        build_shards([Link(LEAF, b"a", 4), Link(LEAF, b"b", 4)])
