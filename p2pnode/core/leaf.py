"""Leaves of files: raw blocks, and dag-pb nodes that only wrap bytes, as Kubo makes them unless it is told otherwise.

Wrapping is the same every time, so the bytes of such a node can lie in a file like those of a raw leaf: put around them again, the node
has its hash or the bytes have changed. Pure; called by core.skeleton, by the store and by whatever brings or reads leaves.
"""

from __future__ import annotations

from p2pnode.core.cid import DAG_PB, RAW, Cid, encode_varint
from p2pnode.core.dag import IDENTITY, FileView, parse_node, verify_block
from p2pnode.core.dagpb import UnixFSType
from p2pnode.errors import DecodeError

_TYPES = (UnixFSType.FILE, UnixFSType.RAW)
"""What importers call a leaf: a file in balanced trees, raw in trickle trees and in old ones."""


def leaf_data(cid: Cid, block: bytes) -> bytes:
    """The bytes of file in a (verified) leaf. DecodeError: it is none, but links to others, or is no part of a file."""
    if cid.codec == RAW:
        return block
    view = parse_node(cid, block)
    if not isinstance(view, FileView) or view.children:
        raise DecodeError(f"{cid} stands where a leaf should be, but is none")
    return view.data


def wrapped_bytes(length: int) -> int:
    """Bytes of the dag-pb node around `length` bytes of file, as every importer writes it: 14 more for 256 KiB."""
    size = encode_varint(length)
    inner = 2 + 1 + len(size) + length + 1 + len(size)
    return 1 + len(encode_varint(inner)) + inner


def block_around(cid: Cid, data: bytes) -> bytes | None:
    """The leaf whose bytes of file these are; None if they are not. DecodeError if its hash is none that we can check."""
    if cid.codec != DAG_PB:
        return data if verify_block(cid, data) else None
    return next((block for type in _TYPES if verify_block(cid, block := _wrap(type, data))), None)


def block_bytes(cid: Cid, length: int) -> int:
    """Bytes of a leaf that lies in a file with `length` bytes."""
    return wrapped_bytes(length) if cid.codec == DAG_PB else length


def is_plain(cid: Cid, block: bytes) -> bool:
    """Whether a leaf can be made again from its bytes of file: not where an importer noted times, or wrote fields in another order."""
    return cid.codec != DAG_PB or any(_wrap(type, leaf_data(cid, block)) == block for type in _TYPES)


def may_wait(cid: Cid, length: int, tsize: int | None) -> bool:
    """Whether a child of a file node is a leaf that need not be seen to be laid out.

    A dag-pb child is one if it weighs just what the wrapping of its bytes does: an inner node weighs a link (40 bytes) more at least.
    """
    if cid.codec == RAW:
        return True
    return cid.codec == DAG_PB and cid.hash_code != IDENTITY and tsize == wrapped_bytes(length)


def _wrap(type: UnixFSType, data: bytes) -> bytes:
    size = encode_varint(len(data))
    head, tail = b"\x08" + encode_varint(type) + b"\x12" + size, b"\x18" + size
    return b"".join((b"\x0a", encode_varint(len(head) + len(data) + len(tail)), head, data, tail))
