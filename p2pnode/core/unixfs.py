"""Building files and folders as UnixFS DAGs, profile `unixfs-v1-2025` (IPIP-499): the CIDs that stock IPFS gives.

CIDv1, sha2-256, raw leaves of 1 MiB, balanced trees of at most 1,024 links, correct Tsize, folders sorted by name bytes, a HAMT
when the folder's serialised block would exceed 262,144 bytes. It streams: leaves go in as (CID, length), finished interior
blocks come out, and what is held is at most 1,024 links a level. It never sees a file; local.tree does, and feeds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType, encode_link_to, encode_node, encode_unixfs
from p2pnode.core.hamt import build_shards
from p2pnode.errors import UsageError

LINKS_PER_NODE = 1024
"""Links of a full file node (profile)."""
SHARD_THRESHOLD_BYTES = 262_144
"""A folder whose serialised block would be larger than this is sharded (profile; exactly this size is not)."""

Block = tuple[Cid, bytes]

EMPTY_LEAF = Cid.of(RAW, b"")
"""The only leaf of an empty file."""


@dataclass(frozen=True, slots=True)
class Built:
    """A finished tree: its root, the bytes of all its blocks together (Tsize), and the bytes of file under it."""

    cid: Cid
    tsize: int
    size: int


class FileBuilder:
    """One file. `add` each leaf in order, then `finish`; both return the interior blocks that became final."""

    def __init__(self) -> None:
        self._levels: list[list[Built]] = [[]]

    @property
    def begun(self) -> bool:
        """Whether it has a leaf."""
        return len(self._levels) > 1 or bool(self._levels[0])

    def add(self, cid: Cid, length: int) -> list[Block]:
        """The next leaf. All but the last are of 1 MiB."""
        blocks: list[Block] = []
        self._push(0, Built(cid, length, length), blocks)
        return blocks

    def finish(self) -> tuple[Built, list[Block]]:
        """The file's root. A single leaf is the root itself; a lone last node of a level is wrapped like its siblings."""
        blocks: list[Block] = []
        if not self._levels[0] and len(self._levels) == 1:
            self._push(0, Built(EMPTY_LEAF, 0, 0), blocks)
        level = 0
        while True:
            nodes = self._levels[level]
            if level == len(self._levels) - 1 and len(nodes) == 1:
                return nodes[0], blocks
            if nodes:
                self._levels[level] = []
                self._push(level + 1, _file_node(nodes, blocks), blocks)
            level += 1

    def _push(self, level: int, node: Built, blocks: list[Block]) -> None:
        while True:
            if level == len(self._levels):
                self._levels.append([])
            nodes = self._levels[level]
            nodes.append(node)
            if len(nodes) < LINKS_PER_NODE:
                return
            self._levels[level] = []
            node = _file_node(nodes, blocks)
            level += 1


def build_folder(entries: Sequence[tuple[bytes, Built]]) -> tuple[Built, list[Block]]:
    """A folder of (name, tree) in any order: one node, or a HAMT. UsageError on an impossible or repeated name."""
    ordered = sorted(entries, key=itemgetter(0))
    before = b""
    for name, _ in ordered:  # the empty name would come first, and equals what stands before it
        if name == before or b"/" in name:
            raise UsageError(f"{name!r} cannot be a name in a folder, or stands there twice")
        before = name
    size = sum(tree.size for _, tree in ordered)
    data = encode_unixfs(UnixFS(UnixFSType.DIRECTORY))
    links = [encode_link_to(tree.cid, name, tree.tsize) for name, tree in ordered]
    if sum(map(len, links)) + 2 + len(data) > SHARD_THRESHOLD_BYTES:
        root, blocks = build_shards([Link(tree.cid, name, tree.tsize) for name, tree in ordered])
        return Built(root.cid, root.tsize or 0, size), blocks
    block = b"".join(links) + encode_node((), data)
    cid = Cid.of(DAG_PB, block)
    return Built(cid, len(block) + sum(tree.tsize for _, tree in ordered), size), [(cid, block)]


def build_symlink(target: bytes) -> tuple[Built, list[Block]]:
    """A symbolic link, recorded as such: nobody follows it when building or reading."""
    block = encode_node((), encode_unixfs(UnixFS(UnixFSType.SYMLINK, data=target)))
    cid = Cid.of(DAG_PB, block)
    return Built(cid, len(block), 0), [(cid, block)]


def _file_node(children: Sequence[Built], blocks: list[Block]) -> Built:
    sizes = tuple(child.size for child in children)
    data = encode_unixfs(UnixFS(UnixFSType.FILE, size=sum(sizes), block_sizes=sizes))
    block = encode_node([Link(child.cid, b"", child.tsize) for child in children], data)
    cid = Cid.of(DAG_PB, block)
    blocks.append((cid, block))
    return Built(cid, len(block) + sum(child.tsize for child in children), sum(sizes))
