"""Where each block of an archive lies, in sixteen bytes a section: an archive may hold millions of them.

A hash of the CID chooses a bucket and eight more of its bytes stand before the offset, so a look-up may name a wrong section, hardly
ever: whoever reads compares the CID that stands there. Called by local.car_file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from p2pnode.core.cid import Cid

BUCKETS = 4096
"""Chosen by twelve bits: of four million sections a thousand fall into each, which is searched in microseconds."""
_KEY_BYTES, _ENTRY_BYTES = 8, 16


class CarIndex:
    """Offsets of sections by CID. `len` counts sections, repeated ones too."""

    def __init__(self) -> None:
        self._buckets: dict[int, bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, cid: Cid, offset: int) -> None:
        """A section that begins at `offset`."""
        bucket, key = _place(cid)
        self._buckets.setdefault(bucket, bytearray()).extend(key + offset.to_bytes(8, "little"))
        self._count += 1

    def offsets(self, cid: Cid) -> Iterator[int]:
        """Where a section of this CID may begin, in the order in which they were added."""
        bucket, key = _place(cid)
        entries = self._buckets.get(bucket, b"")
        at = entries.find(key)
        while at >= 0:
            if at % _ENTRY_BYTES == 0:
                yield int.from_bytes(entries[at + _KEY_BYTES : at + _ENTRY_BYTES], "little")
            at = entries.find(key, at + 1)


def _place(cid: Cid) -> tuple[int, bytes]:
    digest = hashlib.blake2b(cid.to_bytes(), digest_size=_KEY_BYTES + 2).digest()
    return int.from_bytes(digest[:2], "big") % BUCKETS, digest[2:]
