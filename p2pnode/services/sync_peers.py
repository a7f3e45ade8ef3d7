"""Sessions with peers, begun by us or by them, and who those peers proved to be in which circle.

It bounds how many sessions run, blames peers that break the rules, and remembers with whom records were compared. When to begin a session
is `services.sync`'s business.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping

import trio

from p2pnode.core.ids import CircleId, PeerId, PublicKey
from p2pnode.core.keys import KeyPair
from p2pnode.core.sync_hello import Hello
from p2pnode.core.sync_salted import SALT_BYTES
from p2pnode.errors import DecodeError, P2pnodeError, PeerError
from p2pnode.ports import Network, Store, Stream, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.catching_up import MANY_RECORDS, CatchingUp, Turn
from p2pnode.services.me import Me
from p2pnode.services.provisional import Provisional
from p2pnode.services.pseudonym_proof import introduce, listen, refuse, welcome
from p2pnode.services.rates import TokenBuckets
from p2pnode.services.sync_days import DAY_S, Days
from p2pnode.services.sync_rests import Rests
from p2pnode.services.sync_session import Outcome, reconcile

log = logging.getLogger("p2pnode.sync")

PROTOCOL = "/p2pnode/sync/1"
RECENT_S = 30.0
"""A peer with whom a session just ended is not asked again for this long, except on request."""
SESSIONS_AT_ONCE = 4
"""That we begin; each holds up to half a megabyte."""
SERVED_AT_ONCE = 8
SERVED_PER_PEER = 2
SESSIONS_PER_S, SESSION_BURST = 0.2, 12
"""Sessions that one peer may begin: a dozen circles at once, then one in five seconds."""
SALTED_PER_DAY = 4
"""Salted sessions that one peer may begin with us, each of which reads our whole index: one a day, and some to go on with."""
REMEMBERED_PAIRS = 4096
"""Circles and peers of which the last session is remembered: more than are connected; the oldest goes first."""
CUTS_FOLLOWED = 64
"""Sessions in a row with one peer, while each is cut and brings something: half a gigabyte."""
PEER_ERROR_POINTS = 25
"""For breaking the rules of a session: four times and the peer is banned for a while."""

Pair = tuple[CircleId, PeerId]


class SyncPeers:
    """The sessions of one node."""

    def __init__(self, store: Store, network: Network, admission: Admission, me: Me, clock: WallClock) -> None:
        self._store, self._network, self._admission, self._me = store, network, admission, me
        self.provisional = Provisional(store, clock)
        self._proven: dict[CircleId, dict[PeerId, PublicKey]] = {}
        self._ended_at: dict[Pair, float] = {}
        self._running: set[Pair] = set()
        self._limit = trio.CapacityLimiter(SESSIONS_AT_ONCE)
        self._serving = 0
        self._buckets = TokenBuckets(SESSIONS_PER_S, SESSION_BURST)
        self._salted = TokenBuckets(SALTED_PER_DAY / DAY_S, SALTED_PER_DAY)
        self._rests, self._days = Rests(), Days()
        self._catching_up = CatchingUp(network.peer_id)
        self.on_news: Callable[[CircleId, PeerId], None] = lambda circle, source: None
        """Called when a session with that peer brought a few records: what gossip should have."""

    def start(self, nursery: trio.Nursery) -> None:
        """Answer others from now on."""
        self._nursery = nursery
        self._network.favour(self.members)
        self._network.serve(PROTOCOL, self._serve, streams_per_peer=SERVED_PER_PEER)

    def proven(self, circle: CircleId) -> Mapping[PeerId, PublicKey]:
        """Connected peers that proved a pseudonym in the circle."""
        return dict(self._proven.get(circle, {}))

    def members(self) -> set[PeerId]:
        """Connected peers that proved to be members of some circle of ours."""
        return {
            peer
            for circle, found in self._proven.items()
            for peer, key in found.items()
            if self.provisional.is_member(circle, key)
        }

    def rests(self, circle: CircleId, peer: PeerId) -> bool:
        """Whether sessions with that peer were in vain, so that it is better to wait; who asks for one by name need not."""
        return self._rests.rests((circle, peer))

    def met_lately(self, circle: CircleId, peer: PeerId) -> bool:
        """Whether a session about the circle is running with that peer or just ended, or would be in vain."""
        if self.rests(circle, peer):
            return True
        ended_at = self._ended_at.get((circle, peer))
        return (circle, peer) in self._running or (ended_at is not None and trio.current_time() - ended_at < RECENT_S)

    def left(self, circle: CircleId) -> None:
        """We are not in that circle any more."""
        self._proven.pop(circle, None)
        self.provisional.forget(circle)

    def gone(self, peer: PeerId) -> None:
        """A peer disconnected: what it proved, it proved on that connection."""
        for found in self._proven.values():
            found.pop(peer, None)
        for pair in [pair for pair in self._ended_at if pair[1] == peer]:
            del self._ended_at[pair]

    async def sync_with(self, peer: PeerId, circle: CircleId) -> bool:
        """Compare records with one peer now, in as many sessions as it takes. Whether it settled; never raises for a peer's fault."""
        pair = (circle, peer)
        if pair in self._running:
            return False
        self._running.add(pair)
        try:
            return await self._begin_until_settled(peer, circle)
        except (PeerError, DecodeError) as error:
            self._rests.in_vain(pair)
            self._network.penalise(peer, PEER_ERROR_POINTS, f"sync: {error.message}")
        except P2pnodeError as error:
            log.info("sync with %s did not work: %s", peer, error.message)
        finally:
            self._running.discard(pair)
        return False

    async def _begin_until_settled(self, peer: PeerId, circle: CircleId) -> bool:
        for _ in range(CUTS_FOLLOWED):
            async with self._catching_up.begun(circle, peer) as turn, self._limit:
                outcome = await self._begin(peer, circle, turn)
            if outcome is None or outcome.complete or not outcome.new:
                if outcome is not None and outcome.salted and not outcome.complete:
                    continue  # it has done so today, or we were cut: compare as usual
                return outcome is not None and outcome.complete
        return False

    async def _begin(self, peer: PeerId, circle: CircleId, turn: Turn) -> Outcome | None:
        """One session that we begin; None if the peer does not take part."""
        key = await self._store.read(lambda tx: self._me.key(tx, circle))
        stream = await self._network.open_stream(peer, PROTOCOL)
        try:
            theirs = await introduce(stream, self._network.peer_id, circle, key)
            if isinstance(theirs, str):
                log.info("%s does not sync this circle with us: %s", peer, theirs)
                return None
            salt = self._salt(circle, peer)
            outcome = await self._reconcile(stream, circle, theirs, turn, initiator=True, salt=salt)
        except BaseException:
            with trio.CancelScope(shield=True):
                await stream.reset()
            raise
        finally:
            self._met((circle, peer))
        await stream.aclose()
        return outcome

    def _met(self, pair: Pair) -> None:
        """Remember when; also of a peer that went in the middle of it, which nobody takes away again."""
        self._ended_at.pop(pair, None)
        self._ended_at[pair] = trio.current_time()
        while len(self._ended_at) > REMEMBERED_PAIRS:
            del self._ended_at[next(iter(self._ended_at))]

    def _salt(self, circle: CircleId, peer: PeerId) -> bytes | None:
        """What a session with that peer is salted with, if it is time for one."""
        if not self._days.is_due((circle, peer)):
            return None
        self._days.done((circle, peer))
        return secrets.token_bytes(SALT_BYTES)

    async def _serve(self, stream: Stream) -> None:
        peer = stream.peer
        keys = await self._store.read(lambda tx: {circle: self._me.key(tx, circle) for circle in tx.circles()})
        busy = self._serving >= SERVED_AT_ONCE or not self._buckets.take(peer)
        self._serving += 1
        try:
            hello, circle = await listen(stream, self._network.peer_id, keys)
            if busy or circle is None:
                await refuse(stream, "busy" if busy else "no_circle")
                return
            async with self._catching_up.served(circle, peer) as turn:
                await self._answer(stream, circle, keys[circle], hello, turn)
        except (PeerError, DecodeError) as error:
            self._network.penalise(peer, PEER_ERROR_POINTS, f"sync: {error.message}")
            await stream.reset()
        except P2pnodeError as error:
            log.info("a sync session of %s broke: %s", peer, error.message)
            await stream.reset()
        finally:
            self._serving -= 1

    async def _answer(self, stream: Stream, circle: CircleId, key: KeyPair, hello: Hello, turn: Turn | None) -> None:
        """The rest of a session that a peer began. Without a turn it is refused: we are catching up, and come to it when we are done."""
        if turn is None:
            await refuse(stream, "busy")
            return
        theirs = await welcome(stream, self._network.peer_id, circle, key, hello)
        outcome = await self._reconcile(stream, circle, theirs, turn, initiator=False)
        if outcome.new and not outcome.complete:
            self._nursery.start_soon(self.sync_with, stream.peer, circle)  # it has more for us

    async def _reconcile(
        self,
        stream: Stream,
        circle: CircleId,
        theirs: PublicKey,
        turn: Turn,
        *,
        initiator: bool,
        salt: bytes | None = None,
    ) -> Outcome:
        peer, pair = stream.peer, (circle, stream.peer)
        turn.is_trusted = lambda: self.provisional.is_member(circle, theirs)
        self._proven.setdefault(circle, {})[peer] = theirs
        self._met(pair)  # not ended, but nobody need begin another
        outcome = await reconcile(
            stream,
            self._store,
            self._admission,
            circle,
            initiator=initiator,
            salt=salt,
            may_salt=lambda: self._salted.take(peer),
            on_new=turn.brought,
        )
        self._met(pair)
        (self._rests.in_vain if outcome.in_vain else self._rests.worked)(pair)
        if 0 < outcome.new <= MANY_RECORDS:
            self.on_news(circle, peer)
        if outcome.complete:
            self._days.settled(pair)
        if outcome.complete and not outcome.lacking:
            self.provisional.synced(circle, theirs)
        log.info("synced with %s: %s", peer, outcome)
        return outcome
