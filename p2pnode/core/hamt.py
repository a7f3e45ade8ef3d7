"""Sharded folders: the hash trie (HAMT) in which UnixFS keeps a folder whose block would grow too large.

Builds the nodes of a folder from its entries; reading is core.dag's. Entries go by the first 64 bits of murmur3-x64-128, eight bits
a level, fan-out 256; an entry stands at the shallowest level where it is alone. Source: the UnixFS specification, checked
against the JavaScript importer. Called by core.unixfs.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pnode.core.cid import DAG_PB, Cid
from p2pnode.core.dagpb import MURMUR3_X64_64, Link, UnixFS, UnixFSType, encode_node, encode_unixfs
from p2pnode.core.murmur3 import murmur3_x64_128
from p2pnode.errors import UsageError

FANOUT = 256
"""Slots of a node: eight bits of the hash a level."""
MAX_LEVELS = 8
"""64 bits of hash give out after eight levels: two names that agree in all of them cannot be placed."""

_Hashed = tuple[bytes, Link]


def build_shards(entries: Sequence[Link]) -> tuple[Link, list[tuple[Cid, bytes]]]:
    """(link to the root with its Tsize, every node's block bottom-up). UsageError if two names share all 64 bits of hash."""
    blocks: list[tuple[Cid, bytes]] = []
    hashed = sorted(((murmur3_x64_128(link.name)[:MAX_LEVELS], link) for link in entries), key=lambda pair: pair[0])
    return _build(hashed, 0, blocks), blocks


def _build(hashed: Sequence[_Hashed], level: int, blocks: list[tuple[Cid, bytes]]) -> Link:
    if level == MAX_LEVELS:
        names = ", ".join(repr(entry.name) for _, entry in hashed[:2])
        raise UsageError(f"the names {names} collide in every bit by which large folders are kept: rename one")
    links: list[Link] = []
    bitfield = 0
    start = 0
    while start < len(hashed):
        slot = hashed[start][0][level]
        end = start + 1
        while end < len(hashed) and hashed[end][0][level] == slot:
            end += 1
        prefix = b"%02X" % slot
        if end - start == 1:
            entry = hashed[start][1]
            links.append(Link(entry.cid, prefix + entry.name, entry.tsize))
        else:
            child = _build(hashed[start:end], level + 1, blocks)
            links.append(Link(child.cid, prefix, child.tsize))
        bitfield |= 1 << slot
        start = end
    return _seal(links, bitfield, blocks)


def _seal(links: Sequence[Link], bitfield: int, blocks: list[tuple[Cid, bytes]]) -> Link:
    """One node. The bit field is a big-endian number without leading zeros, as the Go code writes it."""
    bits = bitfield.to_bytes((bitfield.bit_length() + 7) // 8, "big")
    data = encode_unixfs(UnixFS(UnixFSType.HAMT_SHARD, data=bits or None, hash_type=MURMUR3_X64_64, fanout=FANOUT))
    block = encode_node(links, data)
    cid = Cid.of(DAG_PB, block)
    blocks.append((cid, block))
    return Link(cid, b"", len(block) + sum(link.tsize or 0 for link in links))
