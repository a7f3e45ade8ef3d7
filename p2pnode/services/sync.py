"""The journey "catch up": compare records with peers of our circles, until both sides hold the same (design 4.5).

With every peer that speaks the protocol when it connects, then every 60-120 s with a random peer of each circle, and at once on
request. Gossip is a hint, this is the guarantee. It also knows which connected peers proved to be whom in which circle (search asks
members first), and makes the circles' members find each other through the DHT.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

import trio

from p2pnode.core.ids import CircleId, PeerId, PublicKey
from p2pnode.core.record import CONTROL_KINDS
from p2pnode.errors import DecodeError, NetworkError, NotFoundError, P2pnodeError, PeerError
from p2pnode.ports import Network, PeerEvent, Store, Stream, Tx, WallClock
from p2pnode.services.admission import Admission, Change
from p2pnode.services.me import Me
from p2pnode.services.provisional import Provisional
from p2pnode.services.pseudonym_proof import answer, introduce
from p2pnode.services.rates import TokenBuckets
from p2pnode.services.sync_session import Outcome, reconcile

log = logging.getLogger("p2pnode.sync")

T = TypeVar("T")

PROTOCOL = "/p2pnode/sync/1"
CIRCLE_DOMAIN = b"p2pnode/circle/1"
INTERVAL_S = (60.0, 120.0)
"""Between two sessions of a circle that we begin: random, so that nodes do not march in step."""
LOOK_AROUND_S = 5.0
"""How often circles joined or left are noticed by looking; mostly a change of records tells it earlier."""
OWN_CHANGE_S = 3.0
"""After a record of our own: time for gossip and for further records, then a session with a peer or two makes sure."""
OWN_CHANGE_PEERS = 2
POLITENESS_S = 2.0
"""Of two nodes that connected, the one that was called begins only after this, if the caller has not."""
RECENT_S = 30.0
"""A peer with whom a session just ended is not asked again for this long, except on request."""
FIND_INTERVAL_S = 300.0
"""Between two lookups of a circle's peers in the DHT where some are connected; without any it is INTERVAL_S."""
ENOUGH_PEERS = 3
"""Connected peers of a circle, below which the DHT is asked for more."""
FOUND_PEERS = 5
"""Peers from the DHT that are called at one time."""
SESSIONS_AT_ONCE = 4
"""That we begin; each holds up to half a megabyte."""
SERVED_AT_ONCE = 8
SERVED_PER_PEER = 2
SESSIONS_PER_S, SESSION_BURST = 0.2, 12
"""Sessions that one peer may begin: a dozen circles at once, then one in five seconds."""
CUTS_FOLLOWED = 64
"""Sessions in a row with one peer, while each is cut and brings something: half a gigabyte."""
PEER_ERROR_POINTS = 25
"""For breaking the rules of a session: four times and the peer is banned for a while."""


def circle_key(circle: CircleId) -> bytes:
    """The DHT key under which members of a circle find each other."""
    return hashlib.sha256(CIRCLE_DOMAIN + circle).digest()


class Sync:
    """Sync of one node: server, client and schedule."""

    def __init__(self, store: Store, network: Network, admission: Admission, me: Me, clock: WallClock) -> None:
        self._store, self._network, self._admission, self._me = store, network, admission, me
        self._provisional = Provisional(store, clock)
        self._peers: dict[CircleId, dict[PeerId, PublicKey]] = {}
        self._keys: dict[CircleId, PublicKey] = {}
        self._recent: dict[tuple[CircleId, PeerId], float] = {}
        self._running: set[tuple[CircleId, PeerId]] = set()
        self._stale_rolls: set[CircleId] = set()
        self._to_pass_on: set[CircleId] = set()
        self._tasks: dict[CircleId, trio.CancelScope] = {}
        self._started = False
        self._look = trio.Event()
        self._limit = trio.CapacityLimiter(SESSIONS_AT_ONCE)
        self._serving = 0
        self._buckets = TokenBuckets(SESSIONS_PER_S, SESSION_BURST)

    async def start(self, nursery: trio.Nursery) -> None:
        """Answer others and keep our circles in step, in `nursery`."""
        self._nursery = nursery
        self._admission.watch(self._changed)
        self._network.serve(PROTOCOL, self._serve, streams_per_peer=SERVED_PER_PEER)
        nursery.start_soon(self._follow_circles)
        nursery.start_soon(self._follow_peers)

    # ------------------------------------------------------------ what others ask

    def peers_of(self, circle: CircleId) -> Mapping[PeerId, PublicKey]:
        """Connected peers that proved a pseudonym in the circle; whether it is a member's is `is_member`'s question."""
        return dict(self._peers.get(circle, {}))

    def is_member(self, circle: CircleId, key: PublicKey) -> bool:
        """By the roll that was counted last."""
        return self._provisional.is_member(circle, key)

    def members_first(self, peers: Iterable[PeerId]) -> list[PeerId]:
        """The same peers, those first who are members of a circle of ours."""
        members = {
            peer
            for circle, found in self._peers.items()
            for peer, key in found.items()
            if self._provisional.is_member(circle, key)
        }
        return sorted(peers, key=lambda peer: peer not in members)

    def is_provisional(self, circle: CircleId) -> bool:
        """Whether records may be missing: not synced (since the start) with enough members vouched for by different members."""
        me = self._keys.get(circle)
        return me is None or self._provisional.is_provisional(circle, me)

    def last_sync(self, circle: CircleId) -> float | None:
        """Seconds since 1970 of the last complete session about the circle, None: none since the start."""
        return self._provisional.last_sync(circle)

    async def circle_keys(self) -> list[bytes]:
        """DHT keys to provide, so that members of our circles find us."""
        return [circle_key(circle) for circle in await self._store.read(lambda tx: tx.circles())]

    async def request(self, circle: CircleId) -> bool:
        """Sync a circle now, with up to three of its connected peers or with whom the DHT knows. Whether one session settled."""
        peers = list(self._peers.get(circle, ())) or self._speakers() or await self._find(circle)
        random.shuffle(peers)
        return any([await self.sync_with(peer, circle) for peer in peers[:ENOUGH_PEERS]])

    async def sync_with(self, peer: PeerId, circle: CircleId) -> bool:
        """Compare records with one peer now, in as many sessions as it takes. Whether it settled; never raises for a peer's fault."""
        pair = (circle, peer)
        if pair in self._running:
            return False
        self._running.add(pair)
        try:
            async with self._limit:
                return await self._sessions(peer, circle)
        except (PeerError, DecodeError) as error:
            self._network.penalise(peer, PEER_ERROR_POINTS, f"sync: {error.message}")
        except P2pnodeError as error:
            log.info("sync with %s did not work: %s", peer, error.message)
        finally:
            self._running.discard(pair)
        return False

    # ------------------------------------------------------------ sessions

    async def _sessions(self, peer: PeerId, circle: CircleId) -> bool:
        for _ in range(CUTS_FOLLOWED):
            outcome = await self._begin(peer, circle)
            if outcome is None or outcome.complete or not outcome.new:
                return outcome is not None and outcome.complete
        return False

    async def _begin(self, peer: PeerId, circle: CircleId) -> Outcome | None:
        """One session that we begin; None if the peer does not take part."""
        key = await self._store.read(lambda tx: self._me.key(tx, circle))
        stream = await self._network.open_stream(peer, PROTOCOL)
        try:
            self._recent[circle, peer] = trio.current_time()
            theirs = await introduce(stream, self._network.peer_id, circle, key)
            if isinstance(theirs, str):
                return None
            outcome = await self._reconcile(stream, circle, theirs, initiator=True)
        except BaseException:
            with trio.CancelScope(shield=True):
                await stream.reset()
            raise
        await stream.aclose()
        return outcome

    async def _serve(self, stream: Stream) -> None:
        peer = stream.peer
        keys = await self._store.read(lambda tx: {circle: self._me.key(tx, circle) for circle in tx.circles()})
        busy = self._serving >= SERVED_AT_ONCE or not self._buckets.take(peer)
        self._serving += 1
        try:
            met = await answer(stream, self._network.peer_id, keys, busy=busy)
            if met is not None:
                outcome = await self._reconcile(stream, *met, initiator=False)
                if outcome.new and not outcome.complete:
                    self._nursery.start_soon(self.sync_with, peer, met[0])  # it has more for us
        except (PeerError, DecodeError) as error:
            self._network.penalise(peer, PEER_ERROR_POINTS, f"sync: {error.message}")
            await stream.reset()
        except (NetworkError, NotFoundError) as error:
            log.info("a sync session of %s broke: %s", peer, error.message)
            await stream.reset()
        finally:
            self._serving -= 1

    async def _reconcile(self, stream: Stream, circle: CircleId, theirs: PublicKey, *, initiator: bool) -> Outcome:
        peer = stream.peer
        self._peers.setdefault(circle, {})[peer] = theirs
        self._recent[circle, peer] = trio.current_time()
        outcome = await reconcile(stream, self._store, self._admission, circle, initiator=initiator)
        self._recent[circle, peer] = trio.current_time()
        if outcome.complete:
            self._provisional.synced(circle, theirs)
        log.info("synced with %s: %s", peer, outcome)
        return outcome

    # ------------------------------------------------------------ schedule

    def _changed(self, change: Change) -> None:
        if any(record.kind in CONTROL_KINDS for record in (*change.added, *change.dropped)):
            self._stale_rolls.add(change.circle)
            self._look.set()
        if change.source is None and change.circle not in self._to_pass_on:
            self._to_pass_on.add(change.circle)
            self._nursery.start_soon(self._pass_on, change.circle)

    async def _pass_on(self, circle: CircleId) -> None:
        await trio.sleep(OWN_CHANGE_S)
        self._to_pass_on.discard(circle)
        peers = list(self._peers.get(circle, ()))
        for peer in random.sample(peers, min(OWN_CHANGE_PEERS, len(peers))):
            await self.sync_with(peer, circle)

    async def _follow_circles(self) -> None:
        while True:
            try:
                await self._follow_once()
            except P2pnodeError as error:
                log.warning("could not follow the circles: %s", error.message)
            with trio.move_on_after(LOOK_AROUND_S):
                await self._look.wait()
            self._look = trio.Event()

    async def _follow_once(self) -> None:
        """One task per circle that we are in, and rolls that follow the control records."""
        circles = await self._store.read(lambda tx: {c: self._me.key(tx, c).public for c in tx.circles()})
        for circle in self._tasks.keys() - circles.keys():
            self._tasks.pop(circle).cancel()
            self._forget(circle)
        for circle in circles.keys() - self._tasks.keys():
            self._keys[circle] = circles[circle]
            self._stale_rolls.add(circle)
            self._tasks[circle] = trio.CancelScope()
            self._nursery.start_soon(self._keep_in_step, circle, self._tasks[circle], self._started)
        for circle in self._stale_rolls & circles.keys():
            self._stale_rolls.discard(circle)
            await self._provisional.read_roll(circle)
        self._started = True

    def _forget(self, circle: CircleId) -> None:
        self._peers.pop(circle, None)
        self._keys.pop(circle, None)
        self._provisional.forget(circle)

    async def _keep_in_step(self, circle: CircleId, scope: trio.CancelScope, is_new: bool) -> None:
        with scope:
            if is_new:
                await self._contained(self._tell_dht, circle)
            for peer in self._speakers():
                self._nursery.start_soon(self.sync_with, peer, circle)
            found_at = -FIND_INTERVAL_S
            while True:
                await trio.sleep(random.uniform(*INTERVAL_S))
                self._stale_rolls.add(circle)  # the day may have changed, and vouches with it
                peers = list(self._peers.get(circle, ()))
                if peers:
                    await self.sync_with(random.choice(peers), circle)
                if not peers or (len(peers) < ENOUGH_PEERS and trio.current_time() - found_at > FIND_INTERVAL_S):
                    found_at = trio.current_time()
                    await self._call_found(circle)

    async def _tell_dht(self, circle: CircleId) -> None:
        """A circle we just joined or made: the outbox provides its key, as it provides all others at the start."""

        def work(tx: Tx) -> None:
            tx.enqueue("provide", circle_key(circle), 0.0)

        await self._store.write(work, durable=False)

    async def _call_found(self, circle: CircleId) -> None:
        known = self._peers.get(circle, {})
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
        if event.connected and PROTOCOL in event.protocols:
            self._nursery.start_soon(self._contained, self._greet, event.peer)
        elif not event.connected:
            for peers in self._peers.values():
                peers.pop(event.peer, None)
            for pair in [pair for pair in self._recent if pair[1] == event.peer]:
                del self._recent[pair]

    async def _greet(self, peer: PeerId) -> None:
        """A peer came: compare every circle with it, if it has not begun to do so itself."""
        view = next((view for view in self._network.peers() if view.peer == peer), None)
        if view is None or view.direction == "inbound":
            await trio.sleep(POLITENESS_S)
        for circle in await self._store.read(lambda tx: tx.circles()):
            since = trio.current_time() - self._recent.get((circle, peer), -RECENT_S)
            if since >= RECENT_S:
                await self.sync_with(peer, circle)

    async def _contained(self, work: Callable[[T], Awaitable[None]], about: T) -> None:
        """What fails here (a full disk) ends this piece of work, not the node."""
        try:
            await work(about)
        except P2pnodeError as error:
            log.warning("sync: %s", error.message)
