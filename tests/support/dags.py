"""Little DAGs for tests: whole trees built in memory, and a walk that is fed from a dict."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType, encode_node, encode_unixfs
from p2pnode.core.layout import Skeleton
from p2pnode.core.skeleton import SkeletonWalk
from p2pnode.core.unixfs import Built, FileBuilder, build_folder, build_symlink
from p2pnode.limits import LEAF_BYTES

Tree = Mapping[str, "Tree | bytes | None"]
"""A folder: bytes are a file, a mapping a folder, None a symlink to `elsewhere`."""


@dataclass
class Dag:
    """Blocks by CID: interior nodes and leaves apart."""

    root: Cid
    interior: dict[Cid, bytes] = field(default_factory=dict)
    leaves: dict[Cid, bytes] = field(default_factory=dict)


def build(tree: Tree | bytes, *, leaf_bytes: int = LEAF_BYTES) -> Dag:
    """The DAG of a file or folder, cut at `leaf_bytes`."""
    dag = Dag(Cid.of(RAW, b""))
    dag.root = _build(tree, leaf_bytes, dag).cid
    return dag


def _build(tree: Tree | bytes | None, leaf_bytes: int, dag: Dag) -> Built:
    if isinstance(tree, bytes):
        builder = FileBuilder()
        for at in range(0, len(tree) or 1, leaf_bytes):
            leaf = tree[at : at + leaf_bytes]
            cid = Cid.of(RAW, leaf)
            dag.leaves[cid] = leaf
            dag.interior.update(builder.add(cid, len(leaf)))
        built, blocks = builder.finish()
    elif tree is None:
        built, blocks = build_symlink(b"elsewhere")
    else:
        built, blocks = build_folder([(name.encode(), _build(child, leaf_bytes, dag)) for name, child in tree.items()])
    dag.interior.update(blocks)
    return built


def node(links: list[Link], unixfs: UnixFS) -> tuple[Cid, bytes]:
    """Any dag-pb node, well-meant or not."""
    block = encode_node(links, encode_unixfs(unixfs))
    return Cid.of(DAG_PB, block), block


def folder(entries: list[tuple[bytes, Cid]]) -> tuple[Cid, bytes]:
    """A folder node with no care for order, repetition or Tsize."""
    return node([Link(cid, name, 1) for name, cid in entries], UnixFS(UnixFSType.DIRECTORY))


def walk(root: Cid, blocks: Mapping[Cid, bytes], *, seed: int = 0, max_bytes: int | None = None) -> Skeleton:
    """The skeleton of a DAG, its blocks fed in an order that `seed` shuffles."""
    rng = random.Random(seed)
    walking = SkeletonWalk(root) if max_bytes is None else SkeletonWalk(root, max_bytes=max_bytes)
    asked: list[Cid] = []
    while not walking.done:
        if walking.busy:
            walking.step()
            continue
        asked += walking.wanted(rng.randint(1, 5))
        cid = asked.pop(rng.randrange(len(asked)))
        assert walking.feed(cid, blocks[cid])
    return walking.result()
