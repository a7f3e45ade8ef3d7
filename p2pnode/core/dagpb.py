"""The two protobuf messages of which IPFS builds files and folders: dag-pb nodes and the UnixFS data inside them.

Bytes in, values out, and back; it never hashes, follows links or checks what a tree means (core.dag does). Writing is canonical
(links before data, fields in order, shortest numbers), reading is strict but takes both orders, as dag-pb demands.
Sources: the dag-pb and UnixFS specifications (ipld.io/specs/codecs/dag-pb, specs.ipfs.tech/unixfs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from p2pnode.core.cid import Cid, decode_varint, encode_varint
from p2pnode.errors import DecodeError
from p2pnode.limits import MAX_BLOCK_BYTES

MAX_LINKS = 1 << 14
"""Links of one node: sixteen times the profile's 1,024, and what fits a 2 MiB folder of short names with room to spare."""
MURMUR3_X64_64 = 0x22
"""The only hash by which UnixFS shards folders (multihash code)."""
MAX_FANOUT = 1024
"""Slots of one HAMT node that we read; everybody writes 256."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Field = tuple[int, int | bytes]


class UnixFSType(IntEnum):
    """What a node is."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT_SHARD = 5


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another block. `name` is bytes because it is hostile; `tsize` is what the linked tree claims to weigh."""

    cid: Cid
    name: bytes = b""
    tsize: int | None = None


@dataclass(frozen=True, slots=True)
class PBNode:
    """A dag-pb node: links in their order, and data (None = absent)."""

    links: tuple[Link, ...]
    data: bytes | None


@dataclass(frozen=True, slots=True)
class UnixFS:
    """The UnixFS message. `size` is `filesize`; `block_sizes` are the bytes of file under each link; None = absent."""

    type: UnixFSType
    data: bytes | None = None
    size: int | None = None
    block_sizes: tuple[int, ...] = ()
    hash_type: int | None = None
    fanout: int | None = None


def encode_node(links: Iterable[Link], data: bytes | None) -> bytes:
    """A dag-pb block. The caller has the links in order (folders: by name bytes)."""
    out = bytearray()
    for link in links:
        out += encode_link(link)
    if data is not None:
        out += b"\x0a" + encode_varint(len(data)) + data
    return bytes(out)


def encode_link(link: Link) -> bytes:
    """One link with its head, as it stands in a node. The name is always written, even empty, as every importer does."""
    return encode_link_to(link.cid, link.name, link.tsize)


def encode_link_to(to: Cid, name: bytes, tsize: int | None) -> bytes:
    """As `encode_link`, without a Link: a folder of ten thousand entries is ten thousand of them."""
    cid = to.to_bytes()
    body = b"\x0a" + encode_varint(len(cid)) + cid + b"\x12" + encode_varint(len(name)) + name
    if tsize is not None:
        body += b"\x18" + encode_varint(tsize)
    return b"\x12" + encode_varint(len(body)) + body


def encode_unixfs(unixfs: UnixFS) -> bytes:
    """The UnixFS message, fields in number order, lists unpacked."""
    out = bytearray(b"\x08" + encode_varint(unixfs.type))
    if unixfs.data is not None:
        out += b"\x12" + encode_varint(len(unixfs.data)) + unixfs.data
    if unixfs.size is not None:
        out += b"\x18" + encode_varint(unixfs.size)
    for size in unixfs.block_sizes:
        out += b"\x20" + encode_varint(size)
    if unixfs.hash_type is not None:
        out += b"\x28" + encode_varint(unixfs.hash_type)
    if unixfs.fanout is not None:
        out += b"\x30" + encode_varint(unixfs.fanout)
    return bytes(out)


def decode_node(block: bytes) -> PBNode:
    """Read a dag-pb block. DecodeError if it is anything else, or over the limits."""
    if len(block) > MAX_BLOCK_BYTES:
        raise DecodeError(f"a block of {len(block)} bytes is over the limit of {MAX_BLOCK_BYTES}")
    links: list[Link] = []
    data: bytes | None = None
    previous = 0
    links_closed = False
    for number, value in _fields(block):
        if number == 2:
            if links_closed:
                raise DecodeError("links of a dag-pb node stand in two places")
            if len(links) >= MAX_LINKS:
                raise DecodeError(f"a node has more than {MAX_LINKS} links")
            links.append(_decode_link(_as_bytes(value)))
        elif number == 1 and data is None:
            data = _as_bytes(value)
            links_closed = previous == 2
        else:
            raise DecodeError(f"field {number} has no place in a dag-pb node here")
        previous = number
    return PBNode(tuple(links), data)


def decode_unixfs(data: bytes) -> UnixFS:
    """Read a UnixFS message; permissions, times and unknown fields are passed over. DecodeError if it is not one."""
    single: dict[int, int | bytes] = {}
    sizes: list[int] = []
    for number, value in _fields(data):
        if number == 4:
            sizes.extend([value] if isinstance(value, int) else _packed(value))
            if len(sizes) > MAX_LINKS:
                raise DecodeError(f"a file node lists more than {MAX_LINKS} block sizes")
        elif number in single:
            raise DecodeError(f"field {number} of a UnixFS node stands there twice")
        elif number <= 8:
            single[number] = value
    kind = _optional_int(single.get(1))
    if kind is None or kind > max(UnixFSType):
        raise DecodeError("a UnixFS node of no known type")
    content = single.get(2)
    return UnixFS(
        UnixFSType(kind),
        None if content is None else _as_bytes(content),
        _optional_int(single.get(3)),
        tuple(sizes),
        _optional_int(single.get(5)),
        _optional_int(single.get(6)),
    )


def _decode_link(data: bytes) -> Link:
    cid: Cid | None = None
    name: bytes | None = None
    tsize: int | None = None
    previous = 0
    for number, value in _fields(data):
        if number <= previous:
            raise DecodeError("the fields of a link are not in order")
        previous = number
        if number == 1:
            cid = Cid.from_bytes(_as_bytes(value))
        elif number == 2:
            name = _as_bytes(value)
        elif number == 3:
            tsize = _as_int(value)
        else:
            raise DecodeError(f"field {number} has no place in a link")
    if cid is None:
        raise DecodeError("a link that links to nothing")
    return Link(cid, name or b"", tsize)


def _fields(data: bytes) -> Iterator[_Field]:
    """(field number, value) of each field: a number, or bytes. Fixed-width values come as their bytes."""
    at = 0
    while at < len(data):
        key, at = decode_varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise DecodeError("a protobuf field of number zero")
        if wire == _VARINT:
            value, at = decode_varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = decode_varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise DecodeError(f"protobuf wire type {wire} is unknown")
        if length > len(data) - at:
            raise DecodeError("a protobuf field is cut short")
        yield number, data[at : at + length]
        at += length


def _packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = decode_varint(data, at)
        yield number


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise DecodeError("a number where bytes should stand")
    return value


def _as_int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise DecodeError("bytes where a number should stand")
    return value


def _optional_int(value: int | bytes | None) -> int | None:
    return None if value is None else _as_int(value)
