"""Who gets what: subscriptions, a mesh of few neighbours for each topic, and offers to the others. Gossipsub v1.1 as a value.

Rules
- A neighbour is known from its first word or from the moment we can talk to it, until it is gone. It is greeted with our topics.
- The mesh of a topic has DEGREE_LOW to DEGREE_HIGH neighbours: fewer are filled to DEGREE at each heartbeat, more are cut to it; and
  whoever subscribes while there are fewer is taken at once. Both sides choose, so a mesh filled to DEGREE by each at once would
  end with half as many again, and each message in as many copies. Who was pruned, or pruned us, is left alone during its back-off.
- A message goes to the mesh of its topic, never back to where it came from. Our own go to as many as FLOOD_PEERS subscribers.
- At each heartbeat, and when somebody subscribes, neighbours outside the mesh are told what was said lately (IHAVE), and get what
  they ask for (IWANT). We ask one neighbour for each message that we miss.
- Nothing a neighbour says makes us keep more than its topics, MAX_TOPICS of them, and a back-off for each of ours.

It sends by `send(peer, frame)`, never waits and reads no clock. Peer exchange and scores of v1.1 are not used: members are found
through the DHT, and misbehaviour is counted by `net.bans`. Called by `net.gossip`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from p2pnode.core.ids import PeerId
from p2pnode.net.gossipsub import rpc
from p2pnode.net.gossipsub.memory import Cache, Seen

DEGREE, DEGREE_LOW, DEGREE_HIGH = 6, 4, 12
"""Mesh neighbours per topic: the specification's values."""
HEARTBEAT_S = 1
"""The specification's value."""
OFFER_PEERS = 6
"""Neighbours outside the mesh that hear what was said at each heartbeat: the specification's D_lazy."""
FLOOD_PEERS = 32
"""Subscribers that get a message of our own directly, mesh or not: a mesh takes a moment to form."""
PRUNE_BACKOFF_S = 60
"""The specification's value."""
REJOIN_S = 1
"""Back-off that we ask for when we leave a topic: people do leave and rejoin."""
MAX_BACKOFF_S = 3600
"""A longer back-off than this is not kept."""
MAX_TOPICS = 1000
"""Topics kept of one neighbour."""
MAX_WANTED = 5000
"""Messages asked for and not yet here, of all neighbours; forgotten at the next heartbeat but one."""

Send = Callable[[PeerId, bytes], None]


class Mesh:
    """The gossip of one node. `now` is seconds of any steady clock."""

    def __init__(self, send: Send, rng: random.Random) -> None:
        self._send, self._rng = send, rng
        self._topics: dict[str, set[PeerId]] = {}  # ours -> mesh
        self._subscribed: dict[PeerId, set[str]] = {}
        self._subscribers: dict[str, set[PeerId]] = {}
        self._backoff: dict[tuple[PeerId, str], float] = {}
        self._wanted: dict[bytes, int] = {}
        self._greeted: set[tuple[PeerId, str]] = (
            set()
        )  # whom a topic's messages were offered to since the last heartbeat
        self._beats = 0
        self.seen, self.cache = Seen(), Cache()

    # who is there

    def greet(self, peer: PeerId) -> None:
        """We can talk to this neighbour from now on."""
        self._subscribed.setdefault(peer, set())
        if self._topics:
            self._send(peer, rpc.subscription_frame(self._topics))

    def gone(self, peer: PeerId) -> None:
        """It is not connected any more."""
        for topic in self._subscribed.pop(peer, ()):
            self._unsubscribe(peer, topic)
        self._backoff = {key: until for key, until in self._backoff.items() if key[0] != peer}

    def subscribers(self, topic: str) -> set[PeerId]:
        """Neighbours that follow a topic."""
        return set(self._subscribers.get(topic, ()))

    def mesh(self, topic: str) -> set[PeerId]:
        """Those of them that get every message of it."""
        return set(self._topics.get(topic, ()))

    @property
    def topics(self) -> list[str]:
        """Ours."""
        return list(self._topics)

    # our topics

    def join(self, topic: str, now: float) -> None:
        """Follow a topic; nothing happens if we do."""
        if topic not in self._topics:
            self._topics[topic] = set()
            self._to_all(rpc.subscription_frame([topic]))
            self._fill(topic, DEGREE_LOW, now)

    def leave(self, topic: str, now: float) -> None:
        """Follow it no longer."""
        for peer in self._topics.pop(topic, ()):
            self._cut(peer, topic, REJOIN_S, now)
        self._to_all(rpc.subscription_frame([topic], subscribe=False))

    def publish(self, id: bytes, topic: str, frame: bytes, now: float) -> None:
        """Tell something of our own; again, if we said it before: nobody may have been there."""
        self.seen.add(id, now)
        self.cache.put(id, topic, frame)
        mesh = self._topics.get(topic, set())
        others = sorted(self._subscribers.get(topic, set()) - mesh)
        for peer in [*mesh, *others[: max(0, FLOOD_PEERS - len(mesh))]]:
            self._send(peer, frame)

    # what neighbours say

    def accepted(self, id: bytes, topic: str, frame: bytes, without: Iterable[PeerId], now: float) -> None:
        """A message that is new and good: remember it and pass it on."""
        self.seen.add(id, now)
        self._wanted.pop(id, None)
        self.cache.put(id, topic, frame)
        for peer in self._topics.get(topic, set()).difference(without):
            self._send(peer, frame)

    def heard(self, peer: PeerId, said: rpc.Rpc, now: float) -> None:
        """Everything in an RPC but its messages."""
        for topic, subscribe in dict(said.subscriptions).items():  # each topic once, however often an RPC says it
            self._on_subscription(peer, topic, subscribe, now)
        for topic in dict.fromkeys(said.graft):
            self._on_graft(peer, topic, now)
        for topic, backoff_s in dict(said.prune).items():
            self._on_prune(peer, topic, backoff_s, now)
        if said.have:
            self._on_have(peer, said.have)
        for id in said.want:
            if frame := self.cache.take(id, peer):
                self._send(peer, frame)

    def _on_subscription(self, peer: PeerId, topic: str, subscribe: bool, now: float) -> None:
        theirs = self._subscribed.setdefault(peer, set())
        if not subscribe:
            theirs.discard(topic)
            self._unsubscribe(peer, topic)
        elif topic not in theirs and len(theirs) < MAX_TOPICS:
            theirs.add(topic)
            self._subscribers.setdefault(topic, set()).add(peer)
            if topic in self._topics:
                self._fill(topic, DEGREE_LOW, now)
                if (peer, topic) not in self._greeted:
                    self._greeted.add((peer, topic))
                    self._offer(topic, [peer])

    def _unsubscribe(self, peer: PeerId, topic: str) -> None:
        if subscribers := self._subscribers.get(topic):
            subscribers.discard(peer)
            if not subscribers:
                del self._subscribers[topic]
        if mesh := self._topics.get(topic):
            mesh.discard(peer)

    def _on_graft(self, peer: PeerId, topic: str, now: float) -> None:
        mesh = self._topics.get(topic)
        if mesh is None or peer in mesh:
            return
        if len(mesh) >= DEGREE_HIGH or self._is_resting(peer, topic, now):
            self._cut(peer, topic, PRUNE_BACKOFF_S, now)
        elif topic in self._subscribed.get(peer, ()):
            mesh.add(peer)

    def _on_prune(self, peer: PeerId, topic: str, backoff_s: int, now: float) -> None:
        if (mesh := self._topics.get(topic)) is not None:
            mesh.discard(peer)
            self._backoff[peer, topic] = now + min(backoff_s or PRUNE_BACKOFF_S, MAX_BACKOFF_S)

    def _on_have(self, peer: PeerId, ids: Iterable[bytes]) -> None:
        missing = [id for id in ids if id not in self.seen and id not in self._wanted]
        missing = missing[: MAX_WANTED - len(self._wanted)]
        if missing:
            self._wanted.update(dict.fromkeys(missing, self._beats))
            self._send(peer, rpc.want_frame(missing))

    # the heartbeat

    def heartbeat(self, now: float) -> None:
        """Every HEARTBEAT_S: mend the meshes, offer what was said, forget what is old."""
        self._beats += 1
        self._greeted.clear()
        self._backoff = {key: until for key, until in self._backoff.items() if until > now}
        self._wanted = {id: beat for id, beat in self._wanted.items() if beat > self._beats - 2}
        self.seen.expire(now)
        for topic, mesh in self._topics.items():
            if len(mesh) < DEGREE_LOW:
                self._fill(topic, DEGREE, now)
            elif len(mesh) > DEGREE_HIGH:
                for peer in self._rng.sample(sorted(mesh), len(mesh) - DEGREE):
                    self._cut(peer, topic, PRUNE_BACKOFF_S, now)
            others = sorted(self._subscribers.get(topic, set()) - mesh)
            if others and len(self.cache):
                self._offer(topic, self._rng.sample(others, min(OFFER_PEERS, len(others))))
        self.cache.beat()

    def _fill(self, topic: str, degree: int, now: float) -> None:
        mesh = self._topics[topic]
        free = [
            peer
            for peer in sorted(self._subscribers.get(topic, set()) - mesh)
            if not self._is_resting(peer, topic, now)
        ]
        for peer in self._rng.sample(free, min(len(free), max(0, degree - len(mesh)))):
            mesh.add(peer)
            self._send(peer, rpc.graft_frame(topic))

    def _cut(self, peer: PeerId, topic: str, backoff_s: int, now: float) -> None:
        if mesh := self._topics.get(topic):
            mesh.discard(peer)
        self._backoff[peer, topic] = now + backoff_s
        self._send(peer, rpc.prune_frame(topic, backoff_s))

    def _offer(self, topic: str, peers: Iterable[PeerId]) -> None:
        ids = self.cache.offered(topic)
        if ids:
            frame = rpc.have_frame(topic, ids[-rpc.MAX_IDS :])
            for peer in peers:
                self._send(peer, frame)

    def _is_resting(self, peer: PeerId, topic: str, now: float) -> bool:
        return self._backoff.get((peer, topic), now) > now

    def _to_all(self, frame: bytes) -> None:
        for peer in self._subscribed:
            self._send(peer, frame)
