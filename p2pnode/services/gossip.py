"""The journey "tell at once": new records of a circle go to whoever listens to its topic, and theirs come in through the one door.

One topic per circle. The validator is synchronous, looks only at what is in memory, and decides what is relayed: a frame with at least
one new record of a known author, all of it well signed, from a forwarder and by authors within their rates. A hint only: whatever is
dropped here, `services.sync` brings.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

import trio

from p2pnode.core.admission import belongs
from p2pnode.core.gossip_frame import circle_topic, decode_frame, encode_frames
from p2pnode.core.ids import CircleId, PeerId, RecordId
from p2pnode.core.record import Record
from p2pnode.core.records import decode_signed
from p2pnode.errors import DecodeError, NotFoundError, P2pnodeError
from p2pnode.ports import Network, Store, WallClock
from p2pnode.services.admission import Admission, Change
from p2pnode.services.rates import TokenBuckets

log = logging.getLogger("p2pnode.gossip")

FORWARDED_PER_S, FORWARDED_BURST = 20.0, 40
"""Frames that one neighbour may bring."""
WRITTEN_PER_S, WRITTEN_BURST = 2.0, 20
"""New records of one author that are taken from gossip; more wait for sync."""
KEPT_VERDICTS = 1024
"""Frames remembered as malformed or badly signed, by hash: the same rubbish is verified once."""
WAITING_FRAMES = 256
"""Frames accepted and not stored yet; more are dropped, and sync brings them."""
LOOK_AROUND_S = 60.0
"""How often circles joined or left are noticed by looking; mostly a change of records tells it earlier."""

Frame = tuple[CircleId, PeerId, tuple[bytes, ...]]


class Gossip:
    """Gossip of one node."""

    def __init__(self, store: Store, network: Network, admission: Admission, clock: WallClock) -> None:
        self._store, self._network, self._admission, self._clock = store, network, admission, clock
        self._forwarders = TokenBuckets(FORWARDED_PER_S, FORWARDED_BURST)
        self._authors = TokenBuckets(WRITTEN_PER_S, WRITTEN_BURST)
        self._bad: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: tuple[trio.MemorySendChannel[Frame], trio.MemoryReceiveChannel[Frame]]
        self._waiting = trio.open_memory_channel(WAITING_FRAMES)
        self._joined: set[CircleId] = set()
        self._look = trio.Event()

    async def start(self, nursery: trio.Nursery) -> None:
        """Listen to the topics of our circles, in `nursery`."""
        self._admission.watch(self._changed)
        await self._follow()
        nursery.start_soon(self._follow_circles)
        nursery.start_soon(self._admit_all)

    async def publish_records(self, circle: CircleId, records: Sequence[bytes]) -> None:
        """Tell signed records of a circle to its topic. Done when handed over; nothing if we left the circle. NetworkError."""
        try:
            await self._admission.circle_set(circle)
        except NotFoundError:
            return
        if circle not in self._joined:
            await self._join(circle)
        for frame in encode_frames(records):
            await self._network.publish(circle_topic(circle), frame)

    # ------------------------------------------------------------ what comes

    def validate(self, circle: CircleId, forwarder: PeerId, data: bytes) -> bool:
        """Whether a frame is relayed. Synchronous; reads memory only."""
        if not self._forwarders.take(forwarder):
            return False
        digest = hashlib.sha256(data).digest()
        if digest in self._bad:
            return False
        try:
            records = [decode_signed(part) for part in decode_frame(data)]
            if not all(belongs(record, circle) for record in records):
                raise DecodeError("a record of another circle")
        except DecodeError as error:
            log.info("a gossip frame of %s is refused: %s", forwarder, error.message)
            self._remember_bad(digest)
            return False
        return self._has_news(circle, forwarder, records, data)

    def _has_news(self, circle: CircleId, forwarder: PeerId, records: Sequence[Record], data: bytes) -> bool:
        held = self._admission.held_set(circle)
        if held is None:
            return False
        new = [record for record in records if not held.holds(record)]
        known = [record for record in new if record.author in held.known or record.id == RecordId(circle)]
        if new and not known:
            self.deliver(circle, forwarder, data)  # not relayed, but it may wait in the quarantine for an introduction
        within_rate = [record for record in known if self._authors.take(record.author)]
        return bool(within_rate)

    def deliver(self, circle: CircleId, forwarder: PeerId, data: bytes) -> None:
        """A frame that the validator accepted: to be admitted soon."""
        try:
            self._waiting[0].send_nowait((circle, forwarder, decode_frame(data)))
        except trio.WouldBlock:
            log.info("too many gossip frames wait: one is left to sync")

    def _remember_bad(self, digest: bytes) -> None:
        self._bad[digest] = None
        while len(self._bad) > KEPT_VERDICTS:
            self._bad.popitem(last=False)

    async def _admit_all(self) -> None:
        async for circle, forwarder, records in self._waiting[1]:
            try:
                await self._admission.admit(records, circle, forwarder)
            except P2pnodeError as error:
                log.info("gossip of %s was not stored: %s", forwarder, error.message)

    # ------------------------------------------------------------ topics

    def _changed(self, change: Change) -> None:
        if change.circle not in self._joined or not change.has_records:  # joined, or perhaps left
            self._look.set()

    async def _follow_circles(self) -> None:
        while True:
            with trio.move_on_after(LOOK_AROUND_S):
                await self._look.wait()
            self._look = trio.Event()
            try:
                await self._follow()
            except P2pnodeError as error:
                log.warning("could not follow the circles' topics: %s", error.message)

    async def _follow(self) -> None:
        circles = set(await self._store.read(lambda tx: tx.circles()))
        for circle in sorted(circles - self._joined):
            await self._join(circle)
        for circle in sorted(self._joined - circles):
            self._joined.discard(circle)
            await self._network.leave_topic(circle_topic(circle))

    async def _join(self, circle: CircleId) -> None:
        await self._admission.circle_set(circle)  # so that the validator has something to look at
        self._joined.add(circle)
        await self._network.join_topic(
            circle_topic(circle), partial(self.validate, circle), partial(self.deliver, circle)
        )
