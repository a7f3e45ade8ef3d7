"""MurmurHash3 x64-128, because HAMT folders of IPFS place their entries by it. Not a cryptographic hash.

Source: Austin Appleby's MurmurHash3_x64_128 with seed 0 (public domain). Called by core.hamt only.
"""

from __future__ import annotations

import struct

_MASK = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
_BLOCK = struct.Struct("<QQ")


def murmur3_x64_128(data: bytes) -> bytes:
    """16 bytes: both halves of the hash, each big-endian, as the multihash table's murmur3-x64-128 has it."""
    h1 = h2 = 0
    length = len(data)
    whole = length & ~15
    for k1, k2 in _BLOCK.iter_unpack(data[:whole]):
        h1 ^= _mix(k1, _C1, 31, _C2)
        h1 = (_rotate(h1, 27) + h2) & _MASK
        h1 = (h1 * 5 + 0x52DCE729) & _MASK
        h2 ^= _mix(k2, _C2, 33, _C1)
        h2 = (_rotate(h2, 31) + h1) & _MASK
        h2 = (h2 * 5 + 0x38495AB5) & _MASK
    k1, k2 = _BLOCK.unpack(data[whole:].ljust(16, b"\0"))
    h2 ^= _mix(k2, _C2, 33, _C1) ^ length  # an absent tail mixes to zero
    h1 ^= _mix(k1, _C1, 31, _C2) ^ length
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1, h2 = _finish(h1), _finish(h2)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return struct.pack(">QQ", h1, h2)


def _rotate(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (64 - bits))) & _MASK


def _mix(k: int, first: int, bits: int, second: int) -> int:
    return _rotate(k * first & _MASK, bits) * second & _MASK


def _finish(h: int) -> int:
    h ^= h >> 33
    h = h * 0xFF51AFD7ED558CCD & _MASK
    h ^= h >> 33
    h = h * 0xC4CEB9FE1A85EC53 & _MASK
    return h ^ h >> 33
