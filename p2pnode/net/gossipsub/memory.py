"""What a node remembers of gossip: which messages it has seen, and the last few whole, to hand them to who asks.

Both are bounded in number, bytes and age. Pure: the time is an argument. Called by `mesh`.
"""

from __future__ import annotations

from collections import OrderedDict

SEEN_S = 300.0
"""How long a message counts as seen: a few times what the slowest path through a mesh takes."""
MAX_SEEN = 65_536
"""Messages remembered as seen: 200 a second for as long as they count. About 8 MiB."""
HISTORY_BEATS = 5
"""Heartbeats a message is kept whole: the specification's value."""
OFFERED_BEATS = 3
"""Heartbeats it is offered (IHAVE): the specification's value."""
MAX_CACHED_BYTES = 8 << 20
"""Of whole messages: a burst of 128 of the largest; the oldest go first, and sync brings them."""
MAX_OFFERS = 3
"""Times one message is sent to one neighbour that asks for it (IWANT): else each ask costs us a message."""


class Seen:
    """Ids of messages, each for SEEN_S."""

    def __init__(self) -> None:
        self._ids: OrderedDict[bytes, float] = OrderedDict()

    def __contains__(self, id: bytes) -> bool:
        return id in self._ids

    def add(self, id: bytes, now: float) -> None:
        self._ids[id] = now
        if len(self._ids) > MAX_SEEN:
            self._ids.popitem(last=False)

    def forget(self, id: bytes) -> None:
        self._ids.pop(id, None)

    def expire(self, now: float) -> None:
        """Called by every heartbeat."""
        while self._ids and next(iter(self._ids.values())) < now - SEEN_S:
            self._ids.popitem(last=False)


class _Kept:
    __slots__ = ("beat", "frame", "sent", "topic")

    def __init__(self, topic: str, frame: bytes, beat: int) -> None:
        self.topic, self.frame, self.beat = topic, frame, beat
        self.sent: dict[str, int] = {}  # to whom, how often, because they asked


class Cache:
    """The last messages as frames for the wire."""

    def __init__(self) -> None:
        self._messages: OrderedDict[bytes, _Kept] = OrderedDict()
        self._bytes = 0
        self._beat = 0

    def put(self, id: bytes, topic: str, frame: bytes) -> None:
        if id in self._messages:
            self._drop(id)
        self._messages[id] = _Kept(topic, frame, self._beat)
        self._bytes += len(frame)
        while self._bytes > MAX_CACHED_BYTES:
            self._drop(next(iter(self._messages)))

    def take(self, id: bytes, peer: str) -> bytes | None:
        """The frame for a neighbour that asks; None if it is gone, or was sent to that neighbour often enough."""
        kept = self._messages.get(id)
        if kept is None or kept.sent.get(peer, 0) >= MAX_OFFERS:
            return None
        kept.sent[peer] = kept.sent.get(peer, 0) + 1
        return kept.frame

    def offered(self, topic: str) -> list[bytes]:
        """Ids of a topic's messages of the last OFFERED_BEATS."""
        return [
            id for id, kept in self._messages.items() if kept.topic == topic and kept.beat > self._beat - OFFERED_BEATS
        ]

    def beat(self) -> None:
        """A heartbeat: forget what is older than HISTORY_BEATS."""
        self._beat += 1
        while self._messages:
            id, kept = next(iter(self._messages.items()))
            if kept.beat > self._beat - HISTORY_BEATS:
                return
            self._drop(id)

    def __len__(self) -> int:
        return len(self._messages)

    def _drop(self, id: bytes) -> None:
        self._bytes -= len(self._messages.pop(id).frame)
