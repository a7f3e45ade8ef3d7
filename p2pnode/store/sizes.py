"""How large the blocks are that we may serve, without reading them: for whoever asks only whether we have them (Bitswap's HAVE).

Looks into the index and nowhere else: a file that changed since shows only when its block is read. Called by the store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from p2pnode.core.cid import Cid
from p2pnode.core.leaf import block_bytes

_IS_PUBLIC = "c.public = 1 AND c.state <> 'building'"

_ROW = f"""SELECT length(data) FROM blocks WHERE cid = ?1 AND EXISTS (SELECT 1 FROM refs r JOIN contents c ON c.id = r.content
WHERE r.block = blocks.id AND {_IS_PUBLIC})"""
_PLACE = f"""SELECT p.length FROM places p JOIN files f ON f.id = p.file JOIN bases b ON b.id = f.base
JOIN contents c ON c.id = b.content WHERE p.cid = ?1 AND {_IS_PUBLIC} LIMIT 1"""


def public_sizes(connection: sqlite3.Connection, cids: Sequence[Cid]) -> list[int | None]:
    """ports.Store.public_sizes."""
    sizes: list[int | None] = []
    for cid in cids:
        key = (cid.to_bytes(),)
        row = connection.execute(_ROW, key).fetchone()
        place = None if row else connection.execute(_PLACE, key).fetchone()
        sizes.append(row[0] if row else block_bytes(cid, place[0]) if place else None)
    return sizes
