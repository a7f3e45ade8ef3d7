"""The commons bundle: records, manifests, charters and contents in one file, for people whose nodes never meet. Bytes in, values out.

It is a CAR of version 1 whose only root is an index: canonical msgpack that names pages, each a block of signed records or of content
roots; the blocks of the contents follow. Every block carries its hash in its CID, every record its signature, so that nothing
has to be believed. It never reads a file, and whether a record is admitted is not asked here (protocol, "Bundles").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from p2pnode.core import encoding
from p2pnode.core.cid import MAX_CID_BYTES, RAW, Cid
from p2pnode.core.fields import array, digest, integer, text
from p2pnode.core.ids import ID_BYTES, NO_CIRCLE, CircleId
from p2pnode.core.record import Value
from p2pnode.core.records import MAX_SIGNED_BYTES
from p2pnode.errors import DecodeError
from p2pnode.limits import KIB, MIB

VERSION = 1
PAGE_BYTES = 512 * KIB
"""Bytes of records at which a page is full: some thousand votes in one block that any program may hold."""
MAX_BLOCK_BYTES = MIB
"""Bytes of an index or a page."""
MAX_PAGES = 8192
"""Pages of a bundle: 4 GiB of records, several times what a circle may keep."""
MAX_CIRCLES = 256
"""Circles of a bundle."""

PageKind = Literal["circle", "works", "contents"]
_KINDS: tuple[PageKind, ...] = ("circle", "works", "contents")


@dataclass(frozen=True, slots=True)
class PageRef:
    """A page as the index names it. `circle` is NO_CIRCLE for the kinds that belong to none."""

    kind: PageKind
    circle: CircleId
    cid: Cid


@dataclass(frozen=True, slots=True)
class Index:
    """What a bundle holds: its pages in the order in which they are to be read."""

    pages: tuple[PageRef, ...]


def encode_index(pages: Sequence[PageRef]) -> bytes:
    """The block of an index."""
    listed = tuple({"circle": page.circle, "kind": page.kind, "page": page.cid.digest} for page in pages)
    return encoding.encode({"kind": "bundle", "pages": listed, "v": VERSION})


def decode_index(block: bytes) -> Index:
    """Read an index. DecodeError if it is none, or of a later version."""
    fields = encoding.decode_map(block, limit=MAX_BLOCK_BYTES)
    if text(fields, "kind") != "bundle":
        raise DecodeError("this is no bundle")
    if (version := integer(fields, "v")) != VERSION:
        raise DecodeError(f"bundles of version {version} are unknown here")
    pages = tuple(_page_ref(item) for item in array(fields, "pages", most=MAX_PAGES))
    if len({page.circle for page in pages}) > MAX_CIRCLES:
        raise DecodeError(f"a bundle has at most {MAX_CIRCLES} circles")
    return Index(pages)


def _page_ref(item: Value) -> PageRef:
    if not isinstance(item, Mapping):
        raise DecodeError("a page of a bundle is not a map")
    name = text(item, "kind")
    kind = next((kind for kind in _KINDS if kind == name), None)
    circle = CircleId(digest(item, "circle"))
    if kind is None or (kind == "circle") == (circle == NO_CIRCLE):
        raise DecodeError(f"a page of kind {name[:20]!r} cannot be")
    return PageRef(kind, circle, Cid.v1(RAW, digest(item, "page")))


def encode_records(records: Sequence[bytes]) -> bytes:
    """The block of a page of signed records in their wire form."""
    return encoding.encode({"records": tuple(records)})


def decode_records(block: bytes) -> list[bytes]:
    """The records of a page, unverified. DecodeError if it is none."""
    return _octets(block, "records", MAX_SIGNED_BYTES)


def encode_roots(roots: Sequence[Cid]) -> bytes:
    """The block of a page of content roots."""
    return encoding.encode({"roots": tuple(root.to_bytes() for root in roots)})


def decode_roots(block: bytes) -> list[Cid]:
    """The roots of a page. DecodeError if it is none."""
    return [Cid.from_bytes(root) for root in _octets(block, "roots", MAX_CID_BYTES)]


def _octets(block: bytes, name: str, most: int) -> list[bytes]:
    fields = encoding.decode_map(block, limit=MAX_BLOCK_BYTES)
    items = array(fields, name, most=MAX_BLOCK_BYTES // ID_BYTES)
    if len(fields) != 1 or not all(isinstance(item, bytes) and len(item) <= most for item in items):
        raise DecodeError(f"a page of a bundle holds something else than {name}")
    return [item for item in items if isinstance(item, bytes)]
