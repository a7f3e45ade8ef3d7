"""One step of a path through UnixFS: which block has the entry of that name, in a plain folder or in a sharded one.

Looks at one (verified) block at a time; a sharded folder of the usual fan-out leads through one shard a level, one of an unusual
fan-out through all of them. Symbolic links are never followed. Called by services.content_path.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.dag import FolderView, ShardView, parse_node
from p2pnode.core.dagpb import decode_node, decode_unixfs
from p2pnode.core.hamt import FANOUT, MAX_LEVELS
from p2pnode.core.murmur3 import murmur3_x64_128
from p2pnode.errors import DecodeError


@dataclass(frozen=True, slots=True)
class Step:
    """`found` is the entry; else it may lie in one of `shards`, a level deeper; with none of both there is no such entry."""

    found: Cid | None
    shards: tuple[Cid, ...] = ()


def step(cid: Cid, block: bytes, name: bytes, level: int) -> Step:
    """Look for `name` in a folder's block, or in a shard `level` levels below it. DecodeError if the block is no folder."""
    view = parse_node(cid, block)
    if isinstance(view, FolderView):
        return Step(next((entry.cid for entry in view.entries if entry.name == name), None))
    if not isinstance(view, ShardView):
        raise DecodeError(f"{cid} is no folder")
    found = next((entry.cid for entry in view.entries if entry.name == name), None)
    if found is not None or level >= MAX_LEVELS:
        return Step(found)
    return Step(None, _shards(block, view, name, level))


def _shards(block: bytes, view: ShardView, name: bytes, level: int) -> tuple[Cid, ...]:
    node = decode_node(block)
    if decode_unixfs(node.data or b"").fanout != FANOUT:
        return view.shards
    slot = b"%02X" % murmur3_x64_128(name)[level]
    return tuple(link.cid for link in node.links if link.name == slot)
