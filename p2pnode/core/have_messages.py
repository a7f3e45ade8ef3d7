"""The messages of `/p2pnode/have/1`: what a node has of a content that it is fetching itself, so that incomplete nodes serve each other.

The asker sends one frame, `{root}`; the answers are frames too, a new one when something changed, until the node is complete or has
nothing. Bit n of a map (most significant first) stands for the n-th distinct leaf of the content in file order, which both know from
the skeleton. A decoder raises DecodeError and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from p2pnode.core.cid import MAX_CID_BYTES, Cid
from p2pnode.core.encoding import decode_map, encode
from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError

PROTOCOL = "/p2pnode/have/1"
MAX_LEAVES = 1 << 18
"""Leaves of a content whose maps are told: 256 GiB of ours, in two maps of 32 KiB. A larger one is fetched without maps."""
MAX_MAP_BYTES = MAX_LEAVES // 8
MAX_PEERS = 16
"""Others named in one answer."""
MAX_PEER_BYTES = 128
"""Bytes of one peer ID's text."""
MAX_ASK_BYTES = MAX_CID_BYTES + 64
MAX_ANSWER_BYTES = 2 * MAX_MAP_BYTES + MAX_PEERS * (MAX_PEER_BYTES + 2) + 64


class Extent(IntEnum):
    """How much of a content a node has."""

    NOTHING = 0
    SOME = 1
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class Holding:
    """One answer. `have` and `coming` (asked for, or here and not servable yet) are maps, empty unless the extent is SOME.

    `peers` are others who asked for maps of the same content.
    """

    extent: Extent
    have: bytes = b""
    coming: bytes = b""
    peers: tuple[PeerId, ...] = ()

    def to_bytes(self) -> bytes:
        """The frame."""
        return encode(
            {"coming": self.coming, "extent": int(self.extent), "have": self.have, "peers": tuple(self.peers)}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Holding:
        """Read one answer."""
        fields = decode_map(data, limit=MAX_ANSWER_BYTES)
        have, coming, peers = fields.get("have"), fields.get("coming"), fields.get("peers")
        extent = fields.get("extent")
        if set(fields) != {"coming", "extent", "have", "peers"} or type(extent) is not int or extent not in set(Extent):
            raise DecodeError("an answer has an extent, two maps and peers, and nothing else")
        if not isinstance(have, bytes) or not isinstance(coming, bytes) or len(have) != len(coming):
            raise DecodeError("the two maps of an answer are bytes of one length")
        if len(have) > MAX_MAP_BYTES or (have and extent != Extent.SOME):
            raise DecodeError(f"a map of {len(have)} bytes in an answer of extent {extent}")
        if not isinstance(peers, tuple) or len(peers) > MAX_PEERS:
            raise DecodeError(f"an answer names at most {MAX_PEERS} peers")
        return cls(Extent(extent), have, coming, tuple(_peer(peer) for peer in peers))


def encode_ask(root: Cid) -> bytes:
    """The one frame of who asks."""
    return encode({"root": root.to_bytes()})


def decode_ask(data: bytes) -> Cid:
    """The root that is asked about."""
    fields = decode_map(data, limit=MAX_ASK_BYTES)
    root = fields.get("root")
    if set(fields) != {"root"} or not isinstance(root, bytes):
        raise DecodeError("who asks for maps names a root, and nothing else")
    return Cid.from_bytes(root)


def to_map(bits: Sequence[bool]) -> bytes:
    """A map of these bits, padded with zeros."""
    out = bytearray((len(bits) + 7) // 8)
    for at, bit in enumerate(bits):
        if bit:
            out[at >> 3] |= 0x80 >> (at & 7)
    return bytes(out)


def is_set(bits: bytes, at: int) -> bool:
    """Bit `at`; False beyond the end."""
    return at >> 3 < len(bits) and bool(bits[at >> 3] & (0x80 >> (at & 7)))


def _peer(value: object) -> PeerId:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_PEER_BYTES or not value.isalnum() or not value.isascii():
        raise DecodeError("a peer in an answer is a peer ID")
    return PeerId(value)
