"""The messages of `/p2pnode/probe/1`: a node that examines itself asks a peer what it is like from outside.

The asker sends one frame: a block that the peer should fetch from it (over `/p2pnode/fetch/1`, on the connection that is there), and a key
under which the peer should look for it in the DHT; both may be empty. The answer is one frame: how each went, and the peer's clock. A
decoder raises DecodeError and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from p2pnode.core.cid import MAX_CID_BYTES, Cid
from p2pnode.core.encoding import decode_map, encode
from p2pnode.errors import DecodeError

PROTOCOL = "/p2pnode/probe/1"
KEY_BYTES = 32
MAX_ASK_BYTES = 2 * MAX_CID_BYTES + KEY_BYTES + 64
MAX_ANSWER_BYTES = 64


class Block(IntEnum):
    """How the peer fared with the block."""

    NOT_ASKED = 0
    FETCHED = 1
    MISSING = 2
    FALSE = 3
    FAILED = 4
    BUSY = 5


class Found(IntEnum):
    """Whom the peer found under the key: the asker, only others, nobody; or it did not look."""

    NOT_ASKED = 0
    YOU = 1
    OTHERS = 2
    NOBODY = 3
    BUSY = 4


@dataclass(frozen=True, slots=True)
class Ask:
    """`block` of the content `root`, None: fetch nothing. `key` of the DHT (32 bytes), empty: look for nothing."""

    root: Cid | None = None
    block: Cid | None = None
    key: bytes = b""

    def to_bytes(self) -> bytes:
        """The frame."""
        return encode({"block": _bytes(self.block), "key": self.key, "root": _bytes(self.root)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Ask:
        """Read the frame."""
        fields = decode_map(data, limit=MAX_ASK_BYTES)
        block, key, root = fields.get("block"), fields.get("key"), fields.get("root")
        if set(fields) != {"block", "key", "root"} or not isinstance(block, bytes) or not isinstance(root, bytes):
            raise DecodeError("a probe names a block, its root and a key, and nothing else")
        if not isinstance(key, bytes) or len(key) not in (0, KEY_BYTES):
            raise DecodeError(f"the key of a probe has {KEY_BYTES} bytes, or none")
        if bool(block) != bool(root):
            raise DecodeError("a probe names a block and the root it belongs to, or neither")
        return cls(Cid.from_bytes(root) if root else None, Cid.from_bytes(block) if block else None, key)


@dataclass(frozen=True, slots=True)
class Answer:
    """How it went. `time_ms` is the peer's clock when it answered, in milliseconds since 1970."""

    block: Block
    found: Found
    time_ms: int

    def to_bytes(self) -> bytes:
        """The frame."""
        return encode({"block": int(self.block), "found": int(self.found), "time_ms": self.time_ms})

    @classmethod
    def from_bytes(cls, data: bytes) -> Answer:
        """Read the frame."""
        fields = decode_map(data, limit=MAX_ANSWER_BYTES)
        block, found, time_ms = fields.get("block"), fields.get("found"), fields.get("time_ms")
        if set(fields) != {"block", "found", "time_ms"} or type(time_ms) is not int:
            raise DecodeError("the answer to a probe has block, found and time_ms, and nothing else")
        if type(block) is not int or block > max(Block) or type(found) is not int or found > max(Found):
            raise DecodeError("the answer to a probe says what nobody knows")
        return cls(Block(block), Found(found), time_ms)


def _bytes(cid: Cid | None) -> bytes:
    return cid.to_bytes() if cid is not None else b""
