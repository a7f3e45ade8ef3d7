"""Walking whole trees: what was built is found again, others' formats are read, and bombs are refused at a named limit."""

from __future__ import annotations

import tracemalloc
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core import skeleton, unixfs
from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dag import IDENTITY, FileView, parse_node
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType, encode_node, encode_unixfs
from p2pnode.core.layout import Skeleton
from p2pnode.core.leaf import leaf_data, wrapped_bytes
from p2pnode.core.skeleton import MAX_DEPTH, MAX_HAMT_LEVELS, STEP_VISITS, SkeletonWalk
from p2pnode.errors import DecodeError, RefusedError
from tests.support.dags import Dag, Tree, build, folder, node, walk

LEAF_DATA = b"leaf"
LEAF = Cid.of(RAW, LEAF_DATA)
names = st.text(alphabet="abcXYZé", min_size=1, max_size=3)
trees = st.recursive(
    st.binary(max_size=40) | st.none(), lambda inner: st.dictionaries(names, inner, max_size=6), max_leaves=25
).filter(lambda tree: tree is not None)


def _content(found: Skeleton, dag: Dag) -> dict[str, bytes]:
    out = {}
    for file in found.files:
        data = bytearray(file.size)
        for cid, offset, length in file.leaves:
            leaf = leaf_data(cid, dag.leaves[cid])
            assert len(leaf) == length
            data[offset : offset + length] = leaf
        for cid, offset, length in file.inline:
            view = parse_node(cid, found.blocks.get(cid) or cid.digest)
            assert isinstance(view, FileView) and len(view.data) == length
            data[offset : offset + length] = view.data
        out[file.path] = bytes(data)
    return out


def _flat(tree: Tree | bytes | None, path: str = "") -> dict[str, bytes | str | None]:
    if isinstance(tree, bytes) or tree is None:
        return {path: tree}
    out: dict[str, bytes | str | None] = {path: "folder"}
    for name, child in tree.items():
        out |= _flat(child, f"{path}/{name}" if path else name)
    return out


def _names_fold_apart(tree: Tree | bytes | None) -> bool:
    if not isinstance(tree, dict):
        return True
    return len({name.casefold() for name in tree}) == len(tree) and all(map(_names_fold_apart, tree.values()))


@settings(deadline=None)
@given(trees.filter(_names_fold_apart), st.integers(0, 9), st.sampled_from([0, 10_000]))
def test_the_walk_gives_back_what_was_built(tree: Tree | bytes, seed: int, shard_above: int) -> None:
    with mock.patch.multiple(unixfs, LINKS_PER_NODE=2, SHARD_THRESHOLD_BYTES=shard_above):
        dag = build(tree, leaf_bytes=3)
    found = walk(dag.root, dag.interior | dag.leaves, seed=seed)
    expected = _flat(tree)
    assert _content(found, dag) == {path: value for path, value in expected.items() if isinstance(value, bytes)}
    assert set(found.folders) == {path for path, value in expected.items() if value == "folder"}
    assert {path for path, _ in found.symlinks} == {path for path, value in expected.items() if value is None}
    assert found.blocks == dag.interior and not found.renamed
    assert found.size == sum(len(value) for value in expected.values() if isinstance(value, bytes))


def test_only_interior_nodes_are_asked_for() -> None:
    dag = build({"a": b"x" * 10, "b": {"c": b""}}, leaf_bytes=4)
    walk(dag.root, dag.interior)


def test_a_lone_raw_leaf_is_loaded_for_its_length() -> None:
    found = walk(LEAF, {LEAF: LEAF_DATA})
    assert [(file.path, file.size, file.leaves) for file in found.files] == [("", 4, ((LEAF, 0, 4),))]
    assert found.blocks == {}


def test_a_raw_leaf_with_tsize_zero_is_loaded_for_its_length() -> None:
    root, block = node([Link(LEAF, b"a", 0)], UnixFS(UnixFSType.DIRECTORY))
    assert walk(root, {root: block, LEAF: LEAF_DATA}).size == 4


def test_others_formats_are_read() -> None:
    """CIDv0, dag-pb leaves, data inside an inner node, unequal depths (trickle), and a file inside an identity CID."""
    inner, inner_block = node([], UnixFS(UnixFSType.RAW, b"wrapped", 7))
    v0 = Cid(0, DAG_PB, inner.multihash)
    sub, sub_block = node([Link(LEAF), Link(v0)], UnixFS(UnixFSType.FILE, size=11, block_sizes=(4, 7)))
    file, file_block = node(
        [Link(LEAF), Link(sub), Link(v0)], UnixFS(UnixFSType.FILE, b"own", size=25, block_sizes=(4, 11, 7))
    )
    tiny = encode_node([], encode_unixfs(UnixFS(UnixFSType.FILE, b"tiny", 4)))
    identity = Cid(1, DAG_PB, bytes([IDENTITY, len(tiny)]) + tiny)
    root, root_block = folder([(b"file", file), (b"tiny", identity)])
    found = walk(root, {root: root_block, file: file_block, sub: sub_block, v0: inner_block})
    dag = Dag(root, leaves={LEAF: LEAF_DATA, v0: inner_block})
    assert v0 not in found.blocks
    assert _content(found, dag) == {"file": b"ownleafleafwrappedwrapped", "tiny": b"tiny"}


def test_hostile_names_get_other_paths_and_are_reported() -> None:
    root, block = folder([(b"..", LEAF), (b"a/b", LEAF), (b"ok", LEAF), (b"OK", LEAF)])
    found = walk(root, {root: block})
    assert sorted(file.path for file in found.files) == ["%2E%2E", "OK", "a%2Fb", "ok~2"]
    assert dict(found.renamed) == {b"..": "%2E%2E", b"a/b": "a%2Fb", b"ok": "ok~2"}


def test_bytes_that_are_not_the_cids_are_told_from_a_bad_tree() -> None:
    dag = build({"a": b"x"})
    walking = SkeletonWalk(dag.root)
    assert not walking.feed(dag.root, b"a lie")
    assert not walking.done
    assert walking.feed(dag.root, dag.interior[dag.root])
    assert walking.done


# ------------------------------------------------------------ bombs


def _nested(levels: int) -> tuple[Cid, dict[Cid, bytes]]:
    cid, block = folder([])
    blocks = {cid: block}
    for _ in range(levels - 1):
        cid, block = folder([(b"d", cid)])
        blocks[cid] = block
    return cid, blocks


def test_depth_is_limited() -> None:
    assert len(walk(*_nested(MAX_DEPTH)).folders) == MAX_DEPTH
    with pytest.raises(RefusedError, match="nested deeper"):
        walk(*_nested(MAX_DEPTH + 1))


def _shards(levels: int) -> tuple[Cid, dict[Cid, bytes]]:
    shard = UnixFS(UnixFSType.HAMT_SHARD, b"\x01", hash_type=0x22, fanout=256)
    cid, block = node([Link(LEAF, b"00name", 4)], shard)
    blocks = {cid: block}
    for _ in range(levels - 1):
        cid, block = node([Link(cid, b"00", 4)], shard)
        blocks[cid] = block
    return cid, blocks


def test_levels_of_shards_are_limited() -> None:
    assert [file.path for file in walk(*_shards(MAX_HAMT_LEVELS)).files] == ["name"]
    with pytest.raises(RefusedError, match="nested deeper"):
        walk(*_shards(MAX_HAMT_LEVELS + 1))


def test_a_tree_that_links_itself_into_millions_is_refused() -> None:
    cid, block = folder([(b"%d" % number, LEAF) for number in range(100)])
    blocks = {cid: block}
    for _ in range(8):
        cid, block = folder([(b"%d" % number, cid) for number in range(100)])
        blocks[cid] = block
    with mock.patch.object(skeleton, "MAX_VISITS", 20_000), pytest.raises(RefusedError, match="more than 20000 parts"):
        walk(cid, blocks)
    walking = SkeletonWalk(cid)
    while not walking.busy:
        walking.feed(wanted := walking.wanted(1)[0], blocks[wanted])
    before = walking.visits
    walking.step()
    assert before < walking.visits < before + 2 * STEP_VISITS


def test_the_declared_size_is_held_against_the_quota_first() -> None:
    root, block = node([Link(LEAF)] * 2, UnixFS(UnixFSType.FILE, size=2 << 40, block_sizes=(1 << 40, 1 << 40)))
    with pytest.raises(DecodeError, match="over the limit of a block"):
        walk(root, {root: block})
    big, big_block = node([Link(LEAF)] * 50, UnixFS(UnixFSType.FILE, size=50 << 20, block_sizes=(1 << 20,) * 50))
    with pytest.raises(RefusedError, match="declares 52428800 bytes"):
        walk(big, {big: big_block}, max_bytes=50 << 20 - 1)


def test_a_child_that_is_not_of_its_declared_size_is_refused() -> None:
    child, child_block = node([], UnixFS(UnixFSType.FILE, b"abc", 3))
    root, block = node([Link(child)], UnixFS(UnixFSType.FILE, size=4, block_sizes=(4,)))
    with pytest.raises(DecodeError, match="holds 3 bytes where 4"):
        walk(root, {root: block, child: child_block})


def test_too_many_inner_bytes_for_the_size_are_refused() -> None:
    entries, blocks = [], {}
    for number in range(40):  # forty inner nodes of 39 KB each, every one for a file of four bytes
        padded = Link(LEAF, b"%02d" % number * 19_500, 4)
        cid, block = node([padded], UnixFS(UnixFSType.FILE, size=4, block_sizes=(4,)))
        blocks[cid] = block
        entries.append((b"%d" % number, cid))
    root, block = folder(entries)
    blocks[root] = block
    with pytest.raises(RefusedError, match="bytes of inner nodes"):
        walk(root, blocks)


def test_files_kept_inside_nodes_with_links_are_limited() -> None:
    blocks, entries = {}, []
    for number in range(3):
        cid, block = node(
            [Link(LEAF, tsize=4)], UnixFS(UnixFSType.FILE, bytes([number]) * 1000, 1004, block_sizes=(4,))
        )
        blocks[cid] = block
        entries.append((b"%d" % number, cid))
    root, block = folder(entries)
    blocks[root] = block
    assert len(walk(root, blocks).files) == 3
    with mock.patch.object(skeleton, "MAX_INLINE_BYTES", 2999), pytest.raises(RefusedError, match="inside its nodes"):
        walk(root, blocks)


def test_the_bytes_of_dag_pb_leaves_are_not_held() -> None:
    """A folder of files that are one node each: all of them are seen, none is kept."""
    blocks, entries = {}, []
    for number in range(300):
        cid, block = node([], UnixFS(UnixFSType.FILE, number.to_bytes(2) * 50_000, 100_000))
        blocks[cid] = block
        entries.append((b"%03d" % number, cid))
    root, block = folder(entries)
    found = walk(root, blocks | {root: block})
    assert found.size == 300 * 100_000 and list(found.blocks) == [root]
    assert [file.leaves for file in found.files] == [((cid, 0, 100_000),) for _, cid in entries]


@pytest.mark.parametrize("type", [UnixFSType.FILE, UnixFSType.RAW])
def test_dag_pb_leaves_that_weigh_what_they_should_are_not_asked_for(type: UnixFSType) -> None:
    leaves = [node([], UnixFS(type, bytes([number]) * size, size)) for number, size in enumerate((70_000, 70_000, 9))]
    links = [Link(cid, b"", len(block)) for cid, block in leaves]
    root, block = node(links, UnixFS(UnixFSType.FILE, size=140_009, block_sizes=(70_000, 70_000, 9)))
    (file,) = walk(root, {root: block}).files
    cids = [cid for cid, _ in leaves]
    assert file.leaves == ((cids[0], 0, 70_000), (cids[1], 70_000, 70_000), (cids[2], 140_000, 9))
    assert file.inline == ()


def test_a_small_inner_node_is_walked_and_a_leaf_of_another_weight_seen() -> None:
    """The last node of Kubo's second level links one leaf; and who writes no Tsize, or times into leaves, is read all the same."""
    leaf, leaf_block = node([], UnixFS(UnixFSType.FILE, b"x" * 100, 100))
    inner, inner_block = node([Link(leaf, b"", len(leaf_block))], UnixFS(UnixFSType.FILE, size=100, block_sizes=(100,)))
    timed_block = encode_node([], encode_unixfs(UnixFS(UnixFSType.FILE, b"t" * 100, 100)) + b"\x42\x02\x08\x07")
    timed = Cid.of(DAG_PB, timed_block)
    plain, plain_block = node([], UnixFS(UnixFSType.FILE, b"p" * 100, 100))
    links = [
        Link(inner, b"", len(inner_block) + len(leaf_block)),
        Link(timed, b"", len(timed_block)),
        Link(plain, b"", None),
    ]
    root, block = node(links, UnixFS(UnixFSType.FILE, size=300, block_sizes=(100, 100, 100)))
    found = walk(root, {root: block, inner: inner_block, timed: timed_block, plain: plain_block})
    assert found.files[0].leaves == ((leaf, 0, 100), (timed, 100, 100), (plain, 200, 100))
    assert set(found.blocks) == {root, inner}


def test_a_leaf_of_another_length_than_its_parent_says_is_malformed() -> None:
    leaf, leaf_block = node([], UnixFS(UnixFSType.FILE, b"x" * 100, 100))
    root, block = node([Link(leaf)], UnixFS(UnixFSType.FILE, size=99, block_sizes=(99,)))
    with pytest.raises(DecodeError, match="100 bytes where 99"):
        walk(root, {root: block, leaf: leaf_block})


def test_a_dag_pb_leaf_over_the_limit_of_a_block_is_malformed() -> None:
    leaf, _ = node([], UnixFS(UnixFSType.FILE, b"x", 1))
    size = 3 << 20
    root, block = node([Link(leaf, b"", wrapped_bytes(size))], UnixFS(UnixFSType.FILE, size=size, block_sizes=(size,)))
    with pytest.raises(DecodeError, match="over the limit of a block"):
        walk(root, {root: block})


def test_identity_cids_do_not_nest() -> None:
    inner = Cid(1, DAG_PB, b"\x00\x04\x0a\x02\x08\x01")
    outer_block = encode_node([Link(inner, b"d", 1)], encode_unixfs(UnixFS(UnixFSType.DIRECTORY)))
    outer = Cid(1, DAG_PB, bytes([IDENTITY, len(outer_block)]) + outer_block)
    with pytest.raises(DecodeError, match="inside an identity"):
        SkeletonWalk(outer)


def test_a_file_part_must_be_a_file_and_a_shard_a_shard() -> None:
    empty, empty_block = folder([])
    root, block = node([Link(empty)], UnixFS(UnixFSType.FILE, size=1, block_sizes=(1,)))
    with pytest.raises(DecodeError, match="but is no file"):
        walk(root, {root: block, empty: empty_block})
    shard, shard_block = node(
        [Link(empty, b"00", 4)], UnixFS(UnixFSType.HAMT_SHARD, b"\x01", hash_type=0x22, fanout=256)
    )
    with pytest.raises(DecodeError, match="as a shard"):
        walk(shard, {shard: shard_block, empty: empty_block})


def test_long_paths_are_refused() -> None:
    cid, block = folder([])
    blocks = {cid: block}
    for _ in range(20):
        cid, block = folder([(b"d" * 250, cid)])
        blocks[cid] = block
    with pytest.raises(RefusedError, match="paths over"):
        walk(cid, blocks)


def test_a_hostile_tree_takes_little_memory_before_it_is_refused() -> None:
    """One folder linked many times: what a stranger says in a kilobyte must not cost us much for each of its parts."""
    leaf = Cid.of(RAW, b"x")
    inner, block = folder([(b"%05d" % number, leaf) for number in range(5000)])
    root, root_block = folder([(b"%d" % number, inner) for number in range(20)])
    blocks = {inner: block, root: root_block}
    walking = SkeletonWalk(root)
    tracemalloc.start()
    try:
        with mock.patch.object(skeleton, "MAX_VISITS", 50_000), pytest.raises(RefusedError, match="parts"):
            while not walking.done:
                while walking.busy:
                    walking.step()
                for cid in walking.wanted(10):
                    walking.feed(cid, blocks[cid])
        assert tracemalloc.get_traced_memory()[1] < 50_000 * 130
    finally:
        tracemalloc.stop()
