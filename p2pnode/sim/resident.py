"""One inhabitant of the simulated network: a store that lasts, and the real services on it, started and ended as a laptop is.

What is simulated is the network, the time and the person; everything between the Network port and the store is the program itself.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from contextlib import suppress

import trio

from p2pnode.core.charter import Charter
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import CircleId, PublicKey, QuestionId, RecordId, WorkId, parse_id
from p2pnode.core.manifest import describe, first
from p2pnode.core.record import Record
from p2pnode.core.standing import Asked
from p2pnode.core.verdict import CircleView
from p2pnode.errors import NetworkError, P2pnodeError
from p2pnode.ports import Tx
from p2pnode.services.admission import Admission, Change
from p2pnode.services.background import for_ever
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.circles import Circles
from p2pnode.services.gossip import Gossip
from p2pnode.services.me import Me
from p2pnode.services.outbox import Outbox
from p2pnode.services.sealing import Sealing
from p2pnode.services.sync import Sync
from p2pnode.services.views import Views
from p2pnode.sim.network import Hub
from p2pnode.store.memory import MemoryStore

EPOCH = 1_780_000_000.0
"""Virtual second 0 as wall-clock time."""
PEERS_CALLED = 4
"""Nodes that one calls when it comes online: what an address book and a circle's invites give."""


class Resident:
    """A person and a node. `skew_s`: how far its clock is off. Use `online` to run it."""

    def __init__(self, hub: Hub, name: str, *, skew_s: float = 0.0) -> None:
        self.name, self._hub, self._skew_s = name, hub, skew_s
        self.me = Me(hashlib.sha256(b"sim " + name.encode()).digest())
        self.network = hub.node(name)
        self.network.online = False
        self.store = MemoryStore(clock=self.clock)
        self.cast: dict[QuestionId, RecordId] = {}
        """Own ballots that were acknowledged: none may ever be lost."""
        self._build()

    def clock(self) -> float:
        return EPOCH + trio.current_time() + self._skew_s

    def _build(self) -> None:
        """The services, as after a start: nothing but store and identity is carried over."""
        store, network, clock = self.store, self.network, self.clock
        self.views = Views(store, clock)
        self.admission = Admission(store, clock, on_manifest=lambda tx, record: None)
        self.admission.watch(self._changed)
        self.sync = Sync(store, network, self.admission, self.me, clock)
        self.gossip = Gossip(store, network, self.admission, clock)
        self.outbox = Outbox(
            store, network, clock, gossip=self.gossip.publish_records, circle_keys=self.sync.circle_keys
        )
        self.circles = Circles(store, network, self.admission, self.views, self.me, clock)
        self.sealing = Sealing(store, self.admission, self.views, self.me, clock, self.sync.is_provisional)

    def _changed(self, change: Change) -> None:
        self.views.forget(change.circle)
        if change.source is None:
            self.outbox.wake()

    async def settle_in(self, salt: bytes, records: list[Record]) -> None:
        """Be in a circle whose first records are these, as after having joined it."""
        circle = CircleId(records[0].id)

        def write(tx: Tx) -> None:
            tx.add_circle(circle, salt, self.clock())
            for record in records:
                tx.put_record(record)

        await self.store.write(write)

    async def online(self, seconds: float, others: list[Resident], rng: random.Random) -> None:
        """Run the node for a while, calling a few of the others that are there."""
        self._build()
        self.network.online = True
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                await self.sync.start(nursery)
                await self.gossip.start(nursery)
                nursery.start_soon(for_ever, self.outbox.run)
                nursery.start_soon(for_ever, self.sealing.run)
                there = [other for other in others if other is not self and other.network.online]
                for other in rng.sample(there, min(PEERS_CALLED, len(there))):
                    with suppress(NetworkError):
                        await self.network.connect(f"/memory/p2p/{other.network.peer_id}")
                await trio.sleep_forever()
        self.network.online = False

    def rest(self) -> None:
        """Hold nothing in memory but the store, as a node that is off: a thousand of them share this one."""
        self._build()

    # ------------------------------------------------------------ what a person does

    async def key(self, circle: CircleId) -> PublicKey:
        return await self.store.read(lambda tx: self.me.key(tx, circle).public)

    async def propose(self, circle: CircleId, title: str, reason: str) -> QuestionId:
        """Publish something small and ask the circle to list it."""
        root, now = Cid.of(RAW, title.encode()), self.clock()

        def write(tx: Tx) -> WorkId:
            key = self.me.profile
            seq, created = tx.next_seq(key.public, now)
            work = describe(title=title, root=root, bytes=len(title), files=1)
            record = first(key, work, nonce=hashlib.sha256(title.encode()).digest()[:16], seq=seq, created=created)
            tx.put_record(record, own=True)
            row = put_manifest(tx, record, state="own", private=False, added=now)
            assert row is not None
            return row.id

        work = await self.store.write(write)
        answer = await self.circles.work_questions.list(circle, work, reason)
        return QuestionId(parse_id("p", answer["proposal"]))

    async def vote(self, circle: CircleId, question: QuestionId, choice: str) -> bool:
        """Cast a ballot; False if the node refuses, with a reason, as it does for strangers."""
        try:
            answer = await self.circles.cast(question, choice)
        except P2pnodeError:
            return False
        self.cast[question] = RecordId(parse_id("r", answer["ballot"]))
        return True

    async def questions(self, circle: CircleId) -> list[Asked]:
        """What was asked, oldest first, as this node sees it now."""
        return await self.views.ask(circle, lambda view: view.questions())

    async def unanswered(self, circle: CircleId, most: int) -> list[Asked]:
        """The oldest of what we have cast no ballot on."""
        me = await self.key(circle)

        def read(view: CircleView) -> list[Asked]:
            mine = (all(ballot.key != me for ballot in view.ballots(asked.question.id)) for asked in view.questions())
            return [asked for asked, waits in zip(view.questions(), mine, strict=True) if waits][:most]

        return await self.views.ask(circle, read)

    async def adopts(self, circle: CircleId, asked: Sequence[Asked]) -> list[Asked]:
        """Those of these questions that this node holds to be adopted."""

        def read(view: CircleView) -> list[Asked]:
            return [one for one in asked if view.decide(one.question.id).is_adopted]

        return await self.views.ask(circle, read)

    async def lost(self) -> list[QuestionId]:
        """Questions on which a ballot of ours was acknowledged and is not held any more."""
        return await self.store.read(
            lambda tx: [asked for asked, ballot in self.cast.items() if tx.record(ballot) is None]
        )

    async def records(self, circle: CircleId) -> list[Record]:
        """Everything held of the circle, the first charter first."""

        def read(tx: Tx) -> list[Record]:
            genesis = tx.record(RecordId(circle))
            return [*([genesis] if genesis else []), *tx.records(circle)]

        return await self.store.read(read)

    async def view(self, circle: CircleId, day: int) -> CircleView:
        """What this node would say on a day, counted afresh from what it holds."""
        records = await self.records(circle)
        return CircleView(Charter.of(records[0]), records, day)
