"""The messages of `/p2pnode/fetch/1`: blocks asked for by their CIDs, answered one by one in that order.

A request is a frame: canonical map `{cids, root}`, binary CIDs; `root` says which content they are for. The answer is, for each CID,
a head of five bytes (status, length big-endian) and then the block. Requests may follow one another without waiting. Why CIDs and
not ranges: docs/adr/0003. A decoder raises DecodeError and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from p2pnode.core.cid import MAX_CID_BYTES, Cid
from p2pnode.core.encoding import decode_map, encode
from p2pnode.errors import DecodeError
from p2pnode.limits import MAX_BLOCK_BYTES

PROTOCOL = "/p2pnode/fetch/1"
MAX_CIDS = 256
"""CIDs of one request: 256 MiB of full leaves, or a folder's worth of tiny files, in 10 KB."""
MAX_REQUEST_BYTES = (MAX_CIDS + 1) * (MAX_CID_BYTES + 2) + 64
"""Bytes of a request whose CIDs are all of the longest kind."""
_HEAD = struct.Struct(">BI")
HEAD_BYTES = _HEAD.size


class Status(IntEnum):
    """What the provider says of one CID."""

    HAVE = 0
    MISSING = 1
    BUSY = 2


@dataclass(frozen=True, slots=True)
class Request:
    """Blocks that are wanted, for the content `root`."""

    root: Cid
    cids: tuple[Cid, ...]


def encode_request(root: Cid, cids: Sequence[Cid]) -> bytes:
    """Bytes of a request for 1 to 256 CIDs."""
    return encode({"cids": tuple(cid.to_bytes() for cid in cids), "root": root.to_bytes()})


def decode_request(data: bytes) -> Request:
    """Read a request."""
    fields = decode_map(data, limit=MAX_REQUEST_BYTES)
    root, cids = fields.get("root"), fields.get("cids")
    if set(fields) != {"root", "cids"} or not isinstance(root, bytes) or not isinstance(cids, tuple):
        raise DecodeError("a request has a root and an array of CIDs, and nothing else")
    if not 1 <= len(cids) <= MAX_CIDS:
        raise DecodeError(f"a request is for 1 to {MAX_CIDS} blocks, not {len(cids)}")
    return Request(Cid.from_bytes(root), tuple(Cid.from_bytes(_as_bytes(cid)) for cid in cids))


def encode_head(status: Status, length: int) -> bytes:
    """What stands before a block's bytes; `length` is 0 unless the status is HAVE."""
    return _HEAD.pack(status, length)


def decode_head(data: bytes) -> tuple[Status, int]:
    """(status, bytes of block that follow)."""
    if len(data) != HEAD_BYTES:
        raise DecodeError(f"the head of an answer has {HEAD_BYTES} bytes")
    code, length = _HEAD.unpack(data)
    if code > max(Status):
        raise DecodeError(f"status {code} is unknown")
    if length > MAX_BLOCK_BYTES or (length and code != Status.HAVE):
        raise DecodeError(f"a block of {length} bytes with status {code}")
    return Status(code), length


def _as_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise DecodeError("a CID in a request is bytes")
    return value
