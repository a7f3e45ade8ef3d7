"""Two engines joined by a fake link: bytes go over only when a test says so, cut as it likes, at a time it names."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from p2pnode.net.yamux.engine import Engine
from p2pnode.net.yamux.events import DataReceived, Event


def frame(kind: int, flags: int, stream_id: int, length: int, body: bytes = b"", version: int = 0) -> bytes:
    return struct.pack("!BBHII", version, kind, flags, stream_id, length) + body


def joined(events: Iterable[Event]) -> list[Event]:
    """The same events with neighbouring data of one stream put together."""
    result: list[Event] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, DataReceived) and isinstance(last, DataReceived) and last.stream_id == event.stream_id:
            result[-1] = DataReceived(event.stream_id, last.data + event.data)
        else:
            result.append(event)
    return result


class Side:
    """One end: an engine and everything it told."""

    def __init__(self, *, initiator: bool) -> None:
        self.engine = Engine(initiator=initiator)
        self.events: list[Event] = []

    def received(self, stream_id: int) -> bytes:
        return b"".join(e.data for e in self.events if isinstance(e, DataReceived) and e.stream_id == stream_id)


class Link:
    """`a` dialled `b`."""

    def __init__(self) -> None:
        self.a, self.b = Side(initiator=True), Side(initiator=False)
        self.now = 0.0

    def carry(self, source: Side, *, messages: int = 1) -> int:
        """One batch from `source` to the other side; its size."""
        target = self.b if source is self.a else self.a
        data = source.engine.data_to_send(messages)
        if data:
            target.events += target.engine.receive_data(data, self.now)
        return len(data)

    def settle(self) -> None:
        """Until neither side has anything to say."""
        while self.carry(self.a) + self.carry(self.b):
            pass

    def open(self) -> int:
        """A stream of a's, accepted by b."""
        stream_id = self.a.engine.open()
        self.settle()
        self.b.engine.accept(stream_id)
        self.settle()
        return stream_id
