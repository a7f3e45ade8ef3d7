"""From a skeleton to the files that the store takes in: what nodes and identity CIDs carry goes along, the rest are leaves to be had.

Called by whatever brings a content from elsewhere: services.fetch, services.take_content.
"""

from __future__ import annotations

from p2pnode.core.dag import IDENTITY, inline_block
from p2pnode.core.layout import Skeleton, SkeletonFile
from p2pnode.core.skeleton import inline_bytes
from p2pnode.errors import DecodeError
from p2pnode.ports import WantedFile


def wanted_file(skeleton: Skeleton, file: SkeletonFile) -> WantedFile:
    """One file as the store wants it. DecodeError if an identity CID has not the length that its parent says."""
    if not file.inline and all(cid.multihash[0] != IDENTITY for cid, _, _ in file.leaves):
        return WantedFile(file.path, file.size, file.leaves)  # most are so: nothing is held twice
    inline = [(offset, inline_bytes(skeleton, cid)) for cid, offset, _ in file.inline]
    leaves = []
    for cid, offset, length in file.leaves:
        carried = inline_block(cid)
        if carried is None:
            leaves.append((cid, offset, length))
        elif len(carried) == length:
            inline.append((offset, carried))
        else:
            raise DecodeError(f"leaf {cid} has {len(carried)} bytes where its tree says {length}: the work is damaged")
    return WantedFile(file.path, file.size, tuple(leaves), tuple(sorted(inline)))
