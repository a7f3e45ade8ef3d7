"""Where a key of the DHT lies: its wire form and its place, so that services can announce keys in the order of the key space.

Pure. Called by `net.dht` and `services.announcing`. Source: libp2p's Kademlia specification; the place of a key is its SHA-256.
"""

from __future__ import annotations

import hashlib

from p2pnode.errors import UsageError

KEY_BYTES = 32
MULTIHASH_SHA2_256 = b"\x12\x20"
PLACE_BITS = 256


def wire_key(key: bytes) -> bytes:
    """A digest as a multihash. UsageError if it has not 32 bytes."""
    if len(key) != KEY_BYTES:
        raise UsageError(f"a DHT key has {KEY_BYTES} bytes, not {len(key)}")
    return MULTIHASH_SHA2_256 + key


def place_bytes(key: bytes) -> bytes:
    """The place of a digest in the key space, 32 bytes, as they sort. UsageError as `wire_key`."""
    return hashlib.sha256(wire_key(key)).digest()
