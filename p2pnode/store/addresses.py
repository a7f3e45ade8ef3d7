"""The address book: where peers were reached before, so that a node finds its friends again after a restart.

What a peer answered at outranks what others told about it: a stranger's list of made-up addresses can neither displace an address that
worked nor a peer that ever answered. Implements ports.AddressBook for `net`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from p2pnode.core.ids import PeerId
from p2pnode.ports import WallClock
from p2pnode.store.database import Engine

MAX_PEERS = 10_000
"""Peers kept; those that never answered go first, then the one whose answer is oldest."""
MAX_ADDRESSES = 16
"""Addresses kept a peer, in the book and in provider records."""
MAX_ADDRESS_CHARACTERS = 256
"""Longer ones are no address that anybody dials."""
MAX_PEER_CHARACTERS = 128
"""A peer ID has about fifty."""

Known = list[tuple[str, float]]
"""(address, when it last answered or 0), best first."""


def merged(known: Known, addresses: Sequence[str], answered_at: float) -> Known:
    """New addresses into known ones: latest answer first, then the newest hearsay. `answered_at` 0 = hearsay."""
    answers = dict(known)
    new = clean(addresses)
    for address in new:
        answers[address] = max(answers.get(address, 0.0), answered_at)
    order = {address: place for place, address in enumerate([*new, *(a for a, _ in known if a not in new)])}
    return sorted(answers.items(), key=lambda item: (-item[1], order[item[0]]))[:MAX_ADDRESSES]


def clean(addresses: Sequence[str]) -> list[str]:
    """Distinct addresses of a sensible length, at most MAX_ADDRESSES."""
    fitting = (a for a in addresses if 0 < len(a) <= MAX_ADDRESS_CHARACTERS and a.isascii())
    return list(dict.fromkeys(fitting))[:MAX_ADDRESSES]


class PeerAddresses:
    """ports.AddressBook."""

    def __init__(self, engine: Engine, clock: WallClock, *, max_peers: int = MAX_PEERS) -> None:
        self._engine = engine
        self._clock = clock
        self._max_peers = max_peers

    async def remember(self, peer: PeerId, addresses: Sequence[str], *, answered: bool) -> None:
        if not clean(addresses) or len(peer) > MAX_PEER_CHARACTERS or not peer.isascii():
            return
        now = self._clock()
        await self._engine.write(
            lambda db: self._put(db, peer, addresses, now, now if answered else 0.0), durable=False
        )

    async def addresses(self, peer: PeerId) -> list[str]:
        rows = await self._engine.read(
            lambda db: db.execute("SELECT addresses FROM peers WHERE peer = ?", (peer,)).fetchall()
        )
        return [address for (text,) in rows for address, _ in json.loads(text)]

    async def recent(self, limit: int) -> list[tuple[PeerId, list[str]]]:
        rows = await self._engine.read(
            lambda db: db.execute(
                "SELECT peer, addresses FROM peers WHERE answered > 0 ORDER BY answered DESC, seen DESC LIMIT ?",
                (limit,),
            ).fetchall()
        )
        return [(PeerId(peer), [address for address, _ in json.loads(text)]) for peer, text in rows]

    def _put(
        self, db: sqlite3.Connection, peer: PeerId, addresses: Sequence[str], now: float, answered_at: float
    ) -> None:
        row = db.execute("SELECT answered, addresses FROM peers WHERE peer = ?", (peer,)).fetchone()
        before: Known = [(address, at) for address, at in json.loads(row[1])] if row else []
        text = json.dumps(merged(before, addresses, answered_at))
        answered = max(answered_at, row[0] if row else 0.0)
        db.execute(
            """INSERT INTO peers VALUES (?, ?, ?, ?) ON CONFLICT (peer) DO UPDATE
            SET answered = excluded.answered, seen = excluded.seen, addresses = excluded.addresses""",
            (peer, answered, now, text),
        )
        excess = db.execute("SELECT value FROM totals WHERE name = 'peers'").fetchone()[0] - self._max_peers
        if excess > 0:
            db.execute(
                "DELETE FROM peers WHERE peer IN (SELECT peer FROM peers ORDER BY answered, seen LIMIT ?)", (excess,)
            )
