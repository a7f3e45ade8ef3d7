"""The iterative lookup: ask the nearest known peers for nearer ones until the nearest have all answered.

Knows no streams: `ask` does one request and raises NetworkError when the peer does not answer. Who is late holds nobody up: the next
is asked in its place, and its answer still counts if it comes before the end.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pnode.core.ids import PeerId
from p2pnode.core.keyspace import PLACE_BITS
from p2pnode.errors import P2pnodeError
from p2pnode.net.kad.table import BUCKET_PEERS, place_of_peer
from p2pnode.net.kad.wire import Contact, KadMessage

PARALLEL = 6
"""Requests in flight of one lookup that are not late (Kademlia's alpha): half of them to the dead still leaves three."""
MAX_RUNNING = 20
"""... with those that are late."""
MAX_REQUESTS = 60
"""Requests of one lookup: a liar who invents ever nearer peers costs this many, each with a deadline."""
MAX_CANDIDATES = 200
LINGER_S = 1.0
"""When all others have answered, those that are late are waited for this long; as long as it takes if nobody answered at all."""

VAIN = 4
"""Who named so many peers that do not answer, beyond twice those that do, is doubted: whom he alone named is asked last."""
MAX_NAMERS = 8
"""Of one candidate, that are remembered: more need not be wrong all."""

Ask = Callable[[Contact], Awaitable[KadMessage]]
PatienceOf = Callable[[PeerId], float]


def for_ever(peer: PeerId) -> float:
    """The patience of who knows no better: until `ask` gives up by itself."""
    return math.inf


class Lookup:
    """One lookup. After `run`, `answered` holds the nearest peers that answered, nearest first."""

    def __init__(
        self,
        place: int,
        own: PeerId,
        start: Sequence[Contact],
        ask: Ask,
        *,
        patience_of: PatienceOf = for_ever,
        linger_s: float = LINGER_S,
    ) -> None:
        """`patience_of` tells for how many seconds a request keeps others from being asked."""
        self._place = place
        self._own = own
        self._ask = ask
        self._patience_of, self._linger_s = patience_of, linger_s
        self._candidates: dict[PeerId, tuple[int, Contact]] = {}
        self._sorted: list[Contact] | None = None
        self._namers: dict[PeerId, list[PeerId]] = {}
        self._asked: set[PeerId] = set()
        self._failed: set[PeerId] = set()
        self._late_at: dict[PeerId, float] = {}  # of requests that are running
        self._answers = 0
        self._enough = False
        self._changed = trio.Event()
        self._learn(start)

    @property
    def answered(self) -> list[Contact]:
        return [
            c
            for c in self._nearest()
            if c.peer in self._asked and c.peer not in self._failed and c.peer not in self._late_at
        ][:BUCKET_PEERS]

    @property
    def ball_bits(self) -> int:
        """Bits of the largest subtree around the place all of whose peers are known, dead ones too; PLACE_BITS: all of the network."""
        nearest = self._nearest()
        if len(nearest) < BUCKET_PEERS:
            return PLACE_BITS
        return self._candidates[nearest[BUCKET_PEERS - 1].peer][0].bit_length() - 1

    def stop(self) -> None:
        """Called by `ask` when it has what it wanted: nothing more is asked."""
        self._enough = True

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            while not self._enough:
                now = trio.current_time()
                in_time = [late_at for late_at in self._late_at.values() if late_at > now]
                contact = self._next(now)
                if contact is not None and len(in_time) < PARALLEL and len(self._late_at) < MAX_RUNNING:
                    self._asked.add(contact.peer)
                    self._late_at[contact.peer] = now + self._patience_of(contact.peer)
                    nursery.start_soon(self._request, contact)
                elif in_time:
                    await self._change(min(in_time))
                elif not self._late_at or not await self._change(self._last_moment(now)):
                    break
            nursery.cancel_scope.cancel()

    def _last_moment(self, now: float) -> float:
        """Until when those that are late are waited for, although nothing else is left to do."""
        if not self._answers:
            return math.inf
        nearest = {contact.peer for contact in self._nearest() if contact.peer not in self._failed}
        answered = self.answered
        if len(answered) >= BUCKET_PEERS:
            farthest = self._candidates[answered[-1].peer][0]
            nearest = {peer for peer in nearest if self._candidates[peer][0] < farthest}
        late_at = [at for peer, at in self._late_at.items() if peer in nearest]
        return min(max(late_at), now) + self._linger_s if late_at else now

    async def _change(self, deadline: float) -> bool:
        """Wait until some request ended. False: none did until the deadline."""
        self._changed = trio.Event()
        with trio.move_on_at(deadline):
            await self._changed.wait()
        return self._changed.is_set()

    async def _request(self, contact: Contact) -> None:
        try:
            self._learn((await self._ask(contact)).closer, contact.peer)
            self._answers += 1
        except P2pnodeError:
            self._failed.add(contact.peer)
        else:
            self._late_at.pop(contact.peer, None)  # when cancelled it stays: it did not answer
        finally:
            if contact.peer in self._failed:
                self._late_at.pop(contact.peer, None)
            self._changed.set()

    def _next(self, now: float) -> Contact | None:
        """The nearest that was not asked, among the nearest that have not failed and are not late."""
        if len(self._asked) >= MAX_REQUESTS:
            return None
        near, doubted, last = 0, self._doubted(now), None
        for contact in self._nearest():
            if contact.peer not in self._asked:
                if not doubted or not doubted.issuperset(self._namers[contact.peer]):
                    return contact
                last = last or contact
            elif contact.peer not in self._failed and self._late_at.get(contact.peer, math.inf) > now:
                near += 1
                if near >= BUCKET_PEERS:
                    return None
        return last

    def _doubted(self, now: float) -> set[PeerId]:
        """Who named mostly peers that do not answer: inventing peers that are nearer than all others costs nothing."""
        silent = self._failed | {peer for peer, late_at in self._late_at.items() if late_at <= now}
        if len(silent) < VAIN:
            return set()
        balance: Counter[PeerId] = Counter()
        for peer in self._asked:
            weight = 1 if peer in silent else 0 if peer in self._late_at else -2
            for namer in self._namers[peer]:
                balance[namer] += weight
        return {namer for namer, vain in balance.items() if vain >= VAIN and namer != self._own}

    def _nearest(self) -> list[Contact]:
        if self._sorted is None:
            self._sorted = [contact for _, contact in sorted(self._candidates.values(), key=lambda entry: entry[0])]
        return self._sorted

    def _learn(self, contacts: Sequence[Contact], namer: PeerId | None = None) -> None:
        """`namer` named them; None: we knew them before, and nobody's word counts for that."""
        for contact in contacts:
            if contact.peer == self._own:
                continue
            if contact.peer not in self._candidates:
                if len(self._candidates) >= MAX_CANDIDATES:
                    continue
                self._candidates[contact.peer] = (place_of_peer(contact.peer) ^ self._place, contact)
                self._namers[contact.peer] = []
                self._sorted = None
                if namer is None:
                    self._namers[contact.peer].append(self._own)
            namers = self._namers[contact.peer]
            if namer is not None and len(namers) < MAX_NAMERS and namer not in namers:
                namers.append(namer)
