"""Provider records: what others told our DHT server, "this peer has that key". Strangers write here, so everything is bounded.

A key keeps who came first, so that a crowd that comes later cannot displace them; a record lives 24 hours unless renewed. When the
table is full, a peer with fewer records than another takes the place of that other's oldest. Implements ports.ProviderRecords.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from p2pnode.core.ids import PeerId
from p2pnode.store.addresses import MAX_PEER_CHARACTERS, clean
from p2pnode.store.database import Engine

MAX_PROVIDERS = 1_000_000
"""Records in all: about 100 MB of disk."""
MAX_PROVIDERS_PER_KEY = 20
"""What one answer carries (libp2p Kademlia's k)."""
RECORD_LIFE_S = 24 * 3600
"""After this a provider that did not renew counts as gone (libp2p Kademlia: 24 h since 2023)."""
MAX_KEY_BYTES = 64
"""A key is a multihash or a digest."""
EXPIRED_A_WRITE = 64
"""Expired records removed along with each new one: they go at least as fast as new ones come."""


class ProviderTable:
    """ports.ProviderRecords."""

    def __init__(
        self, engine: Engine, *, max_providers: int = MAX_PROVIDERS, max_per_key: int = MAX_PROVIDERS_PER_KEY
    ) -> None:
        self._engine = engine
        self._max_providers = max_providers
        self._max_per_key = max_per_key

    async def add(self, key: bytes, peer: PeerId, addresses: Sequence[str], now: float) -> bool:
        """False if it was not kept: the key or the table is full, or the arguments are no key and peer."""
        if not 0 < len(key) <= MAX_KEY_BYTES or not 0 < len(peer) <= MAX_PEER_CHARACTERS or not peer.isascii():
            return False
        return await self._engine.write(lambda db: self._put(db, key, peer, clean(addresses), now), durable=False)

    async def get(self, key: bytes, now: float) -> list[tuple[PeerId, list[str]]]:
        """Providers that were told or renewed in the last 24 hours, latest first."""
        rows = await self._engine.read(
            lambda db: db.execute(
                """SELECT pp.peer, pp.addresses FROM providers p JOIN provider_peers pp ON pp.id = p.peer
                WHERE p.key = ? AND p.added > ? ORDER BY p.added DESC, p.peer LIMIT ?""",
                (key, now - RECORD_LIFE_S, self._max_per_key),
            ).fetchall()
        )
        return [(PeerId(peer), list(json.loads(text))) for peer, text in rows]

    def _put(self, db: sqlite3.Connection, key: bytes, peer: PeerId, addresses: list[str], now: float) -> bool:
        _drop_expired(db, key, now)
        row = db.execute("SELECT id, kept FROM provider_peers WHERE peer = ?", (peer,)).fetchone()
        text = json.dumps(addresses)
        if row and addresses:
            db.execute("UPDATE provider_peers SET addresses = ? WHERE id = ?", (text, row[0]))
        if (
            row
            and db.execute(
                "UPDATE providers SET added = max(added, ?) WHERE key = ? AND peer = ?", (now, key, row[0])
            ).rowcount
        ):
            return True
        (providers,) = db.execute("SELECT count(*) FROM providers WHERE key = ?", (key,)).fetchone()
        if providers >= self._max_per_key or not self._has_room(db, row[1] if row else 0):
            return False
        id = row[0] if row else _add_peer(db, peer, text)
        db.execute("INSERT INTO providers VALUES (?, ?, ?)", (key, id, now))
        return True

    def _has_room(self, db: sqlite3.Connection, kept: int) -> bool:
        """Room in the table for one more record of a peer that has `kept`; makes some where another has more than its share."""
        (total,) = db.execute("SELECT value FROM totals WHERE name = 'providers'").fetchone()
        if total < self._max_providers:
            return True
        top = db.execute("SELECT id, kept FROM provider_peers ORDER BY kept DESC LIMIT 1").fetchone()
        if (
            top is None or kept + 1 >= top[1]
        ):  # with equal shares newcomers wait: otherwise a crowd would churn everybody
            return False
        db.execute(
            """DELETE FROM providers WHERE peer = ?1
            AND key = (SELECT key FROM providers WHERE peer = ?1 ORDER BY added LIMIT 1)""",
            (top[0],),
        )
        return True


def _add_peer(db: sqlite3.Connection, peer: PeerId, addresses: str) -> int:
    row = db.execute(
        "INSERT INTO provider_peers (peer, addresses) VALUES (?, ?) RETURNING id", (peer, addresses)
    ).fetchone()
    assert isinstance(row[0], int)
    return row[0]


def _drop_expired(db: sqlite3.Connection, key: bytes, now: float) -> None:
    until = now - RECORD_LIFE_S
    db.execute("DELETE FROM providers WHERE key = ? AND added <= ?", (key, until))
    db.execute(
        "DELETE FROM providers WHERE (key, peer) IN (SELECT key, peer FROM providers WHERE added <= ? LIMIT ?)",
        (until, EXPIRED_A_WRITE),
    )
