"""People with a node each (store in memory, the door, views, circles) on one loopback hub, for tests of what they do together."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import CircleId, PublicKey, RecordId, WorkId, parse_id
from p2pnode.core.manifest import describe, first
from p2pnode.core.record import Record
from p2pnode.core.records import encode_signed
from p2pnode.ports import Json, Tx
from p2pnode.services.admission import Admission, Change
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.circles import Circles
from p2pnode.services.me import Me
from p2pnode.services.views import Views
from p2pnode.store.memory import MemoryStore
from tests.support.loopback import Hub, a_hub
from tests.support.waiting import until as until

NOON = 1_780_000_000.0


class Person:
    """One person's node. `now` is its clock; `events` what it told."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.name, self.hub, self.now = name, hub, NOON
        self.events: list[tuple[str, Json]] = []
        self.store = MemoryStore(clock=self.clock)
        self.network = hub.node(name)
        self.me = Me(hashlib.sha256(name.encode()).digest())
        self.views = Views(self.store, self.clock)
        self.admission = Admission(self.store, self.clock, on_manifest=self._on_manifest)
        self.admission.watch(self._changed)
        self.circles = self.new_circles()

    def clock(self) -> float:
        return self.now

    def _changed(self, change: Change) -> None:
        """As the node does."""
        self.views.forget(change.circle, change.added, change.dropped, settled=change.source is not None)

    def new_circles(self) -> Circles:
        """As after a restart: nothing but the store and the identity is carried over."""
        return Circles(
            self.store,
            self.network,
            self.admission,
            self.views,
            self.me,
            self.clock,
            emit=lambda name, data: self.events.append((name, data)),
        )

    def _on_manifest(self, tx: Tx, record: Record) -> None:
        put_manifest(tx, record, state="heard", private=False, added=self.now)

    async def create(self, name: str = "Readers") -> CircleId:
        return circle_id(await self.circles.create(name))

    async def key(self, circle: CircleId) -> PublicKey:
        return await self.store.read(lambda tx: self.me.key(tx, circle).public)

    async def publish(self, title: str, *, private: bool = False) -> WorkId:
        """A work outside of circles, own and in the catalogue."""
        root = Cid.of(RAW, title.encode())
        nonce = hashlib.sha256(title.encode()).digest()[:16]

        def write(tx: Tx) -> WorkId:
            key = self.me.profile
            seq, created = tx.next_seq(key.public, self.now)
            work = describe(title=title, root=root, bytes=1, files=1)
            record = first(key, work, nonce=nonce, seq=seq, created=created)
            tx.put_record(record, own=True)
            return put_manifest(tx, record, state="own", private=private, added=self.now).id

        return await self.store.write(write)

    async def records(self, circle: CircleId) -> list[Record]:
        """Everything of the circle, the genesis charter first."""

        def read(tx: Tx) -> list[Record]:
            genesis = tx.record(RecordId(circle))
            return [*([genesis] if genesis else []), *tx.records(circle)]

        return await self.store.read(read)

    async def tell(self, other: Person, circle: CircleId) -> None:
        """Stands for sync: everything that this node holds goes through the other's door."""
        records = [encode_signed(record) for record in await self.records(circle)]
        await other.admission.admit(records, circle, self.network.peer_id)

    async def outbox(self) -> list[tuple[str, bytes]]:
        items = await self.store.read(lambda tx: tx.due_outbox(self.now + 1e9, 1000))
        return [(item.kind, item.payload) for item in items]


def circle_id(answer: Json) -> CircleId:
    return CircleId(parse_id("c", answer["circle"]))


@asynccontextmanager
async def people(*names: str) -> AsyncIterator[list[Person]]:
    """Their nodes, answering join requests; connected to nobody."""
    async with a_hub() as hub:
        everybody = [Person(hub, name) for name in names]
        for person in everybody:
            await person.circles.start(hub.nursery)
        yield everybody
