"""The journey "catch up": compare records with peers of our circles, until both sides hold the same (design 4.5).

With every peer that speaks the protocol when it connects, then every 60-120 s with a random peer of each circle, a moment after own
records and after news that a session brought, and at once on request. Gossip is a hint, this is the guarantee. What others ask of sync is
answered here too: which verdicts are provisional, which connected peers are members (search asks them first), and where the DHT knows more.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping

import trio

from p2pnode.core.ids import CircleId, PeerId, PublicKey
from p2pnode.errors import NetworkError, P2pnodeError
from p2pnode.ports import Network, PeerEvent, Store, Tx, WallClock
from p2pnode.services.admission import Admission, Change
from p2pnode.services.me import Me
from p2pnode.services.sync_peers import PROTOCOL, SyncPeers

log = logging.getLogger("p2pnode.sync")

CIRCLE_DOMAIN = b"p2pnode/circle/1"
INTERVAL_S = (60.0, 120.0)
"""Between two sessions of a circle that we begin: random, so that nodes do not march in step."""
LOOK_AROUND_S = 60.0
"""How often circles joined or left are noticed by looking; mostly a change of records tells it earlier."""
OWN_CHANGE_S = 3.0
"""After a record of our own, or news that a session brought: time for gossip and further records, then a session with a peer or two."""
OWN_CHANGE_PEERS = 2
POLITENESS_S = 2.0
"""Of two nodes that connected, the one that was called begins only after this, if the caller has not."""
FIND_INTERVAL_S = 300.0
"""Between two lookups of a circle's peers in the DHT where some are connected; without any it is INTERVAL_S."""
ENOUGH_PEERS = 3
"""Connected peers of a circle, below which the DHT is asked for more."""
FOUND_PEERS = 5
"""Peers from the DHT that are called at one time."""


def circle_key(circle: CircleId) -> bytes:
    """The DHT key under which members of a circle find each other."""
    return hashlib.sha256(CIRCLE_DOMAIN + circle).digest()


class Sync:
    """Sync of one node. All circles in the store are kept in step; nobody needs to register one."""

    def __init__(self, store: Store, network: Network, admission: Admission, me: Me, clock: WallClock) -> None:
        self._store, self._network, self._admission, self._me = store, network, admission, me
        self._peers = SyncPeers(store, network, admission, me, clock)
        self._keys: dict[CircleId, PublicKey] = {}
        self._tasks: dict[CircleId, trio.CancelScope] = {}
        self._started = False
        self._stale_rolls: set[CircleId] = set()
        self._to_pass_on: dict[CircleId, set[PeerId]] = {}
        """With those who brought it, who need not be told."""
        self._look = trio.Event()
        self._peers.on_news = self._pass_on_soon

    async def start(self, nursery: trio.Nursery) -> None:
        """Answer others and keep our circles in step, in `nursery`."""
        self._nursery = nursery
        self._admission.watch(self._changed)
        self._peers.start(nursery)
        nursery.start_soon(self._follow_circles)
        nursery.start_soon(self._follow_peers)

    # ------------------------------------------------------------ what others ask

    def peers_of(self, circle: CircleId) -> Mapping[PeerId, PublicKey]:
        """Connected peers that proved a pseudonym in the circle; whether it is a member's is `is_member`'s question."""
        return self._peers.proven(circle)

    def is_member(self, circle: CircleId, key: PublicKey) -> bool:
        """By the roll that was counted last."""
        return self._peers.provisional.is_member(circle, key)

    def members_first(self, peers: Iterable[PeerId]) -> list[PeerId]:
        """The same peers, those first who are members of a circle of ours."""
        members = self._peers.members()
        return sorted(peers, key=lambda peer: peer not in members)

    def is_provisional(self, circle: CircleId) -> bool:
        """Whether records may be missing: not synced (since the start) with enough members vouched for by different members."""
        me = self._keys.get(circle)
        return me is None or self._peers.provisional.is_provisional(circle, me)

    def last_sync(self, circle: CircleId) -> float | None:
        """Seconds since 1970 of the last complete session about the circle, None: none since the start."""
        return self._peers.provisional.last_sync(circle)

    async def circle_keys(self) -> list[bytes]:
        """DHT keys to provide, so that members of our circles find us."""
        return [circle_key(circle) for circle in await self._store.read(lambda tx: tx.circles())]

    async def request(self, circle: CircleId) -> bool:
        """Sync a circle now, with up to three of its connected peers or with whom the DHT knows. Whether one session settled."""
        peers = list(self.peers_of(circle)) or self._speakers() or await self._find(circle)
        settled = False
        for peer in random.sample(peers, min(ENOUGH_PEERS, len(peers))):
            settled |= await self.sync_with(peer, circle)
        return settled

    async def sync_with(self, peer: PeerId, circle: CircleId) -> bool:
        """Sync a circle with one peer now. Whether it settled; never raises for a peer's fault."""
        return await self._peers.sync_with(peer, circle)

    # ------------------------------------------------------------ circles

    def _changed(self, change: Change) -> None:
        rolls = self._peers.provisional
        if any(rolls.may_change(change.circle, record) for record in (*change.added, *change.dropped)):
            self._stale_rolls.add(change.circle)
            self._look.set()
        if not change.has_records:  # perhaps we left that circle
            self._look.set()
        if change.source is None:
            self._pass_on_soon(change.circle, None)

    def _pass_on_soon(self, circle: CircleId, source: PeerId | None) -> None:
        """Of our own, or what a session brought: gossip did not, so perhaps it ended before it reached those around us, too."""
        if circle not in self._to_pass_on:
            self._to_pass_on[circle] = set()
            self._nursery.start_soon(self._pass_on, circle)
        if source is not None:
            self._to_pass_on[circle].add(source)

    async def _pass_on(self, circle: CircleId) -> None:
        await trio.sleep(OWN_CHANGE_S)
        sources = self._to_pass_on.pop(circle)
        peers = [peer for peer in self._worth_asking(circle, list(self.peers_of(circle))) if peer not in sources]
        for peer in random.sample(peers, min(OWN_CHANGE_PEERS, len(peers))):
            await self.sync_with(peer, circle)

    async def _follow_circles(self) -> None:
        while True:
            await self._contained(self._follow)
            with trio.move_on_after(LOOK_AROUND_S):
                await self._look.wait()
            self._look = trio.Event()

    async def _follow(self) -> None:
        """One task per circle that we are in, and rolls that follow the control records."""
        circles = await self._store.read(lambda tx: {c: self._me.key(tx, c).public for c in tx.circles()})
        for circle in self._tasks.keys() - circles.keys():
            self._tasks.pop(circle).cancel()
            self._keys.pop(circle, None)
            self._peers.left(circle)
        for circle in circles.keys() - self._tasks.keys():
            self._keys[circle] = circles[circle]
            self._stale_rolls.add(circle)
            self._tasks[circle] = trio.CancelScope()
            self._nursery.start_soon(self._keep_in_step, circle, self._tasks[circle], self._started)
        for circle in self._stale_rolls & circles.keys():
            self._stale_rolls.discard(circle)
            await self._peers.provisional.read_roll(circle)
        self._started = True

    async def _keep_in_step(self, circle: CircleId, scope: trio.CancelScope, is_new: bool) -> None:
        with scope:
            if is_new:
                await self._contained(self._tell_dht, circle)
            for peer in self._speakers():
                self._nursery.start_soon(self.sync_with, peer, circle)
            found_at = -FIND_INTERVAL_S
            while True:
                await trio.sleep(random.uniform(*INTERVAL_S))
                if self._peers.provisional.is_of_another_day(circle):
                    self._stale_rolls.add(circle)
                    self._look.set()
                peers = list(self.peers_of(circle))
                if willing := self._worth_asking(circle, peers):
                    await self.sync_with(random.choice(willing), circle)
                if not peers or (len(peers) < ENOUGH_PEERS and trio.current_time() - found_at > FIND_INTERVAL_S):
                    found_at = trio.current_time()
                    await self._call_found(circle)

    def _worth_asking(self, circle: CircleId, peers: list[PeerId]) -> list[PeerId]:
        """Peers that proved to be members, if there are any: keys are free, and most of our connections may be one liar's."""
        proven = self.peers_of(circle)
        willing = [peer for peer in peers if not self._peers.rests(circle, peer)]
        return [peer for peer in willing if self.is_member(circle, proven[peer])] or willing

    async def _tell_dht(self, circle: CircleId) -> None:
        """A circle we just joined or made: the outbox provides its key, as it provides all others at the start."""

        def work(tx: Tx) -> None:
            tx.enqueue("provide", circle_key(circle), 0.0)

        await self._store.write(work, durable=False)

    async def _call_found(self, circle: CircleId) -> None:
        known = self.peers_of(circle)
        for peer in [peer for peer in await self._find(circle) if peer not in known][:FOUND_PEERS]:
            await self.sync_with(peer, circle)

    async def _find(self, circle: CircleId) -> list[PeerId]:
        try:
            return await self._network.find_providers(circle_key(circle))
        except NetworkError:
            return []  # the DHT is a hint

    # ------------------------------------------------------------ peers

    def _speakers(self) -> list[PeerId]:
        return [view.peer for view in self._network.peers() if PROTOCOL in view.protocols]

    async def _follow_peers(self) -> None:
        async with self._network.peer_events() as events:
            async for event in events:
                self._peer_changed(event)

    def _peer_changed(self, event: PeerEvent) -> None:
        if not event.connected:
            self._peers.gone(event.peer)
        elif PROTOCOL in event.protocols:
            self._nursery.start_soon(self._contained, self._greet, event.peer)

    async def _greet(self, peer: PeerId) -> None:
        """A peer came: compare every circle with it, if it has not begun to do so itself."""
        view = next((view for view in self._network.peers() if view.peer == peer), None)
        if view is None or view.direction == "inbound":
            await trio.sleep(POLITENESS_S)
        for circle in await self._store.read(lambda tx: tx.circles()):
            if not self._peers.met_lately(circle, peer):
                await self.sync_with(peer, circle)

    async def _contained(self, work: Callable[..., Awaitable[None]], *about: object) -> None:
        """What fails here (a full disk) ends this piece of work, not the node."""
        try:
            await work(*about)
        except P2pnodeError as error:
            log.warning("sync: %s", error.message)
