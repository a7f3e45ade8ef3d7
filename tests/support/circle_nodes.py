"""Nodes with a store, a door, sync and gossip on a loopback hub: everything of a circle but its journeys."""

from __future__ import annotations

import hashlib

import trio

from p2pnode.core.admission import DEFAULT_CAPS, Caps
from p2pnode.core.ids import PeerId
from p2pnode.core.keys import KeyPair, pseudonym
from p2pnode.core.record import Record
from p2pnode.services.gossip import Gossip
from p2pnode.services.me import Me
from p2pnode.services.sync import Sync
from tests.support.circles import SALT, Circle, Node
from tests.support.loopback import Hub, LoopbackNetwork


def seed(name: str) -> bytes:
    return hashlib.sha256(b"seed of " + name.encode()).digest()


def pseudonym_of(name: str) -> KeyPair:
    """The key by which that person's node signs in the circle."""
    return pseudonym(seed(name), SALT)


class CircleNode(Node):
    """A node on the hub, named by its peer ID."""

    def __init__(self, hub: Hub, name: str, circle: Circle, *, caps: Caps = DEFAULT_CAPS) -> None:
        super().__init__(circle, caps=caps)
        self.network: LoopbackNetwork = hub.node(name)
        self.me = Me(seed(name))
        self.key = pseudonym_of(name)
        self.peer = PeerId(name)
        self.sync = Sync(self.store, self.network, self.admission, self.me, lambda: self.now)
        self.gossip = Gossip(self.store, self.network, self.admission, lambda: self.now)

    async def start(self, nursery: trio.Nursery) -> CircleNode:
        await self.sync.start(nursery)
        await self.gossip.start(nursery)
        return self

    async def write(self, *records: Record) -> None:
        """Own records, gossiped at once as the outbox would."""
        for record in records:
            await self.store.write(lambda tx, record=record: self.admission.admit_own(tx, record, self.now))  # type: ignore[misc]
        self.admission.changed(self.circle.id)


async def until_same(*nodes: Node, deadline_s: float = 10.0) -> list[Record]:
    """Wait until all hold the same records of the circle."""
    with trio.fail_after(deadline_s):
        while True:
            held = [await node.held() for node in nodes]
            if all(one == held[0] for one in held):
                return held[0]
            await trio.sleep(0.01)
