"""The iterative lookup: ask the nearest known peers for nearer ones until the nearest have all answered.

Knows no streams: `ask` does one request and raises NetworkError when the peer does not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import P2pnodeError
from p2pnode.net.kad.table import BUCKET_PEERS, place_of_peer
from p2pnode.net.kad.wire import Contact, KadMessage

PARALLEL = 4
"""Requests in flight of one lookup (Kademlia's alpha): one dead peer must not stall the others."""
MAX_REQUESTS = 60
"""Requests of one lookup: a liar who invents ever nearer peers costs this many, each with a deadline."""
MAX_CANDIDATES = 200

Ask = Callable[[Contact], Awaitable[KadMessage]]


class Lookup:
    """One lookup. After `run`, `answered` holds the nearest peers that answered, nearest first."""

    def __init__(self, place: int, own: PeerId, start: Sequence[Contact], ask: Ask) -> None:
        self._place = place
        self._own = own
        self._ask = ask
        self._candidates: dict[PeerId, tuple[int, Contact]] = {}
        self._asked: set[PeerId] = set()
        self._failed: set[PeerId] = set()
        self._running = 0
        self._enough = False
        self._changed = trio.Event()
        self._learn(start)

    @property
    def answered(self) -> list[Contact]:
        return [c for c in self._nearest() if c.peer in self._asked and c.peer not in self._failed][:BUCKET_PEERS]

    def stop(self) -> None:
        """Called by `ask` when it has what it wanted: nothing more is asked."""
        self._enough = True

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            while not self._enough:
                contact = self._next()
                if contact is not None and self._running < PARALLEL:
                    self._asked.add(contact.peer)
                    self._running += 1
                    nursery.start_soon(self._request, contact)
                elif self._running:
                    self._changed = trio.Event()
                    await self._changed.wait()
                else:
                    break
            nursery.cancel_scope.cancel()

    async def _request(self, contact: Contact) -> None:
        try:
            self._learn((await self._ask(contact)).closer)
        except P2pnodeError:
            self._failed.add(contact.peer)
        finally:
            self._running -= 1
            self._changed.set()

    def _next(self) -> Contact | None:
        if len(self._asked) >= MAX_REQUESTS:
            return None
        near = [contact for contact in self._nearest() if contact.peer not in self._failed][:BUCKET_PEERS]
        return next((contact for contact in near if contact.peer not in self._asked), None)

    def _nearest(self) -> list[Contact]:
        return [contact for _, contact in sorted(self._candidates.values(), key=lambda entry: entry[0])]

    def _learn(self, contacts: Sequence[Contact]) -> None:
        for contact in contacts:
            if (
                contact.peer != self._own
                and contact.peer not in self._candidates
                and len(self._candidates) < MAX_CANDIDATES
            ):
                self._candidates[contact.peer] = (place_of_peer(contact.peer) ^ self._place, contact)
