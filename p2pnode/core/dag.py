"""Reading blocks: does a block match its CID, and what does it say. One block at a time; core.skeleton reads whole trees.

It reads what anybody makes: CIDv0, dag-pb leaves, any chunk size, trickle trees, data inside nodes, HAMT, symlinks, sha2-512, blake3
and short identity CIDs. Whatever is malformed is a DecodeError. Called by the store, the fetch and export services.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from blake3 import blake3

from p2pnode.core.cid import DAG_PB, RAW, SHA2_256, Cid, decode_varint
from p2pnode.core.dagpb import MAX_FANOUT, MURMUR3_X64_64, Link, PBNode, UnixFS, UnixFSType, decode_node, decode_unixfs
from p2pnode.errors import DecodeError
from p2pnode.limits import MAX_BLOCK_BYTES

IDENTITY, SHA2_512, BLAKE3 = 0x00, 0x13, 0x1E
"""Multihash codes beside sha2-256 (multiformats table)."""
MAX_IDENTITY_BYTES = 128
"""Bytes in an identity CID: enough for a tiny file, too few to smuggle content past the store."""
MAX_SYMLINK_BYTES = 4096
"""Bytes of a symlink's target: what Linux takes for a path."""


@dataclass(frozen=True, slots=True)
class RawView:
    """A raw leaf."""

    length: int


@dataclass(frozen=True, slots=True)
class FileView:
    """A node of a file: its own bytes first, then the children, each with the bytes of file under it.

    `tsizes`: what each child claims to weigh with all below it, as blocks.
    """

    size: int
    data: bytes
    children: tuple[tuple[Cid, int], ...]
    tsizes: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class FolderView:
    """A folder in one node."""

    entries: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class ShardView:
    """A node of a HAMT folder: entries (names without the slot prefix) and further shards."""

    entries: tuple[Link, ...]
    shards: tuple[Cid, ...]


@dataclass(frozen=True, slots=True)
class SymlinkView:
    """A symbolic link: never followed, never created unasked."""

    target: bytes


NodeView = RawView | FileView | FolderView | ShardView | SymlinkView


def verify_block(cid: Cid, block: bytes | bytearray | memoryview) -> bool:
    """Whether these bytes are what the CID names; a truncated digest never is. DecodeError if its hash is none that we can check."""
    code, at = decode_varint(cid.multihash, 0)
    _, at = decode_varint(cid.multihash, at)
    digest = cid.multihash[at:]
    if len(block) > MAX_BLOCK_BYTES:
        return False
    if code == SHA2_256:
        return hashlib.sha256(block).digest() == digest
    if code == SHA2_512:
        return hashlib.sha512(block).digest() == digest
    if code == BLAKE3:
        return blake3(block).digest() == digest
    if code == IDENTITY:
        return len(digest) <= MAX_IDENTITY_BYTES and digest == bytes(block)
    raise DecodeError(f"hash function {code:#x} of {cid} cannot be checked here")


def inline_block(cid: Cid) -> bytes | None:
    """The block that an identity CID carries in itself; None for every other. DecodeError if it is over the limit."""
    if cid.hash_code != IDENTITY:
        return None
    if len(cid.digest) > MAX_IDENTITY_BYTES:
        raise DecodeError(f"an identity CID of {len(cid.digest)} bytes is over the limit of {MAX_IDENTITY_BYTES}")
    return cid.digest


def parse_node(cid: Cid, block: bytes) -> NodeView:
    """What a (verified) block says. DecodeError if it is no UnixFS node, or if its sums do not agree."""
    if len(block) > MAX_BLOCK_BYTES:
        raise DecodeError(f"a block of {len(block)} bytes is over the limit of {MAX_BLOCK_BYTES}")
    if cid.codec == RAW:
        return RawView(len(block))
    if cid.codec != DAG_PB:
        raise DecodeError(f"{cid} is of codec {cid.codec:#x}: neither raw nor dag-pb")
    node = decode_node(block)
    if node.data is None:
        raise DecodeError(f"{cid} is a dag-pb node without UnixFS data")
    unixfs = decode_unixfs(node.data)
    if unixfs.type in (UnixFSType.FILE, UnixFSType.RAW):
        return _file_view(cid, node, unixfs)
    if unixfs.type is UnixFSType.DIRECTORY:
        return FolderView(node.links)
    if unixfs.type is UnixFSType.HAMT_SHARD:
        return _shard_view(cid, node, unixfs)
    if unixfs.type is UnixFSType.SYMLINK and not node.links:
        target = unixfs.data or b""
        if len(target) > MAX_SYMLINK_BYTES:
            raise DecodeError(f"a symlink of {len(target)} bytes is over the limit of {MAX_SYMLINK_BYTES}")
        return SymlinkView(target)
    raise DecodeError(f"{cid} is a UnixFS node of type {unixfs.type.name.lower()} that cannot be read")


def _file_view(cid: Cid, node: PBNode, unixfs: UnixFS) -> FileView:
    if len(unixfs.block_sizes) != len(node.links):
        raise DecodeError(f"{cid} has {len(node.links)} links but {len(unixfs.block_sizes)} block sizes")
    data = unixfs.data or b""
    size = len(data) + sum(unixfs.block_sizes)
    if unixfs.size is not None and unixfs.size != size:
        raise DecodeError(f"{cid} says it is {unixfs.size} bytes but its parts are {size}")
    children = tuple((link.cid, length) for link, length in zip(node.links, unixfs.block_sizes, strict=True))
    return FileView(size, data, children, tuple(link.tsize for link in node.links))


def _shard_view(cid: Cid, node: PBNode, unixfs: UnixFS) -> ShardView:
    fanout = unixfs.fanout or 0
    if unixfs.hash_type != MURMUR3_X64_64 or not 8 <= fanout <= MAX_FANOUT or fanout & (fanout - 1):
        raise DecodeError(f"{cid} is a sharded folder of an unknown kind")
    prefix = len(f"{fanout - 1:x}")
    entries, shards = [], []
    for link in node.links:
        if not _is_slot(link.name[:prefix], prefix, fanout):
            raise DecodeError(f"{cid} holds {link.name!r}, which names no slot of a sharded folder")
        if len(link.name) == prefix:
            shards.append(link.cid)
        else:
            entries.append(Link(link.cid, link.name[prefix:], link.tsize))
    return ShardView(tuple(entries), tuple(shards))


def _is_slot(text: bytes, length: int, fanout: int) -> bool:
    return len(text) == length and all(c in b"0123456789ABCDEF" for c in text) and int(text, 16) < fanout
