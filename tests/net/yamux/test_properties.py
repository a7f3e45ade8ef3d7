"""What holds for any bytes, any cut of them, and any order of calls."""

from __future__ import annotations

import struct
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.net.yamux.engine import MAX_INBOUND_STREAMS, MAX_WAITING_FRAMES, Engine
from p2pnode.net.yamux.events import ConnectionEnded, DataReceived, Event, StreamOpened
from p2pnode.net.yamux.frames import HEADER_BYTES
from p2pnode.net.yamux.window import INITIAL_BYTES
from tests.net.yamux.fake_link import Link, frame, joined

WIRE_KEPT_BYTES = (MAX_WAITING_FRAMES + 2 * MAX_INBOUND_STREAMS + 8) * HEADER_BYTES

any_frame = st.one_of(
    st.builds(
        lambda flags, stream_id, body: frame(0, flags, stream_id, len(body), body),
        st.integers(0, 15),
        st.integers(0, 6),
        st.binary(max_size=300),
    ),
    st.builds(
        frame, st.just(1), st.integers(0, 15), st.integers(0, 6), st.sampled_from([0, 1, 1 << 18, (1 << 32) - 1])
    ),
    st.builds(frame, st.just(2), st.integers(0, 3), st.just(0), st.integers(0, 3)),
    st.builds(frame, st.just(3), st.just(0), st.just(0), st.sampled_from([0, 1, 2])),
    st.builds(
        frame, st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1)
    ),
    st.binary(max_size=40),
)
# mostly frames that make sense, so that runs get far before the first one that does not
sensible_frame = st.one_of(
    st.builds(lambda n: frame(1, 1, 2 * n + 1, 0), st.integers(0, 20)),
    st.builds(
        lambda n, flags, body: frame(0, flags, 2 * n + 1, len(body), body),
        st.integers(0, 20),
        st.sampled_from([0, 0, 0, 4, 8]),
        st.binary(max_size=200),
    ),
    st.builds(lambda value: frame(2, 1, 0, value), st.integers(0, 9)),
)


def cut(wire: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(wire), *(at % (len(wire) + 1) for at in cuts)})
    return [wire[a:b] for a, b in pairwise(edges)]


def read(engine: Engine, parts: list[bytes]) -> list[Event]:
    return [event for part in parts for event in engine.receive_data(part, 1.0)]


@given(st.lists(st.one_of(any_frame, sensible_frame), max_size=30), st.lists(st.integers(0, 1 << 16), max_size=20))
def test_any_cut_of_the_bytes_gives_the_same_events(frames: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(frames)
    whole, pieces, single = (Engine(initiator=False) for _ in range(3))
    expected = joined(read(whole, [wire] if wire else []))
    assert joined(read(pieces, cut(wire, cuts))) == expected
    assert joined(read(single, [wire[at : at + 1] for at in range(len(wire))])) == expected
    assert pieces.data_to_send(100) == whole.data_to_send(100) == single.data_to_send(100)


@given(st.lists(any_frame, max_size=60))
def test_no_bytes_do_more_than_end_the_connection(frames: list[bytes]) -> None:
    engine = Engine(initiator=False)
    events = read(engine, [f for f in frames if f])
    for event in events[:-1]:
        assert not isinstance(event, ConnectionEnded)
    assert engine.inbound <= MAX_INBOUND_STREAMS
    unread: dict[int, int] = {}
    for event in events:
        if isinstance(event, StreamOpened):
            unread[event.stream_id] = 0
        elif isinstance(event, DataReceived):
            unread[event.stream_id] += len(event.data)
            assert unread[event.stream_id] <= INITIAL_BYTES
    assert len(engine.data_to_send(100)) <= WIRE_KEPT_BYTES


@given(st.binary(max_size=400), st.integers(0, 11), st.integers(0, 255))
def test_a_mutated_header_does_no_more(body: bytes, at: int, value: int) -> None:
    good = frame(1, 1, 1, 0) + frame(0, 0, 1, len(body), body) + frame(1, 4, 1, 0)
    for start in (0, HEADER_BYTES, len(good) - HEADER_BYTES):
        wire = bytearray(good)
        wire[start + at] = value
        engine = Engine(initiator=False)
        events = engine.receive_data(bytes(wire), 0.0)
        assert sum(len(e.data) for e in events if isinstance(e, DataReceived)) <= len(body) + 2 * HEADER_BYTES


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_order_of_calls_delivers_each_streams_bytes(data: st.DataObject) -> None:
    """Both sides open, send, read, finish and carry in any order; in the end every byte is there, once, in its place."""
    link = Link()
    sides = (link.a, link.b)
    open_: dict[int, list[bytes]] = {}  # what was sent on each stream by the side that opened it
    finished: set[int] = set()
    consumed: dict[int, int] = {}

    def opener(stream_id: int) -> int:
        return 0 if stream_id % 2 else 1

    def catch_up(stream_id: int) -> None:
        reader = sides[1 - opener(stream_id)]
        arrived = len(reader.received(stream_id))
        reader.engine.consumed(stream_id, arrived - consumed.get(stream_id, 0), link.now)
        consumed[stream_id] = arrived

    for _ in range(data.draw(st.integers(1, 40), label="steps")):
        link.now += data.draw(st.floats(0, 0.2), label="pause")
        step = data.draw(st.sampled_from(["open", "send", "finish", "read", "carry", "tick"]), label="step")
        side = data.draw(st.integers(0, 1), label="side")
        running = [s for s in open_ if s not in finished]
        if step == "open":
            open_[sides[side].engine.open()] = []
        elif step == "carry":
            link.carry(sides[side], messages=data.draw(st.integers(1, 4), label="messages"))
        elif step == "tick":
            assert sides[side].engine.tick(link.now) == []
        elif open_ and step == "read":
            catch_up(data.draw(st.sampled_from(sorted(open_)), label="stream"))
        elif running:
            stream = data.draw(st.sampled_from(running), label="stream")
            if step == "send":
                size = data.draw(st.sampled_from([1, 100, 70_000, 400_000]), label="size")
                open_[stream].append(struct.pack("!I", len(open_[stream]) * 8 + stream) * (size // 4 + 1))
                sides[opener(stream)].engine.send(stream, open_[stream][-1])
            else:
                finished.add(stream)
                sides[opener(stream)].engine.finish(stream)
    while True:
        link.settle()
        before = dict(consumed)
        for stream in open_:
            catch_up(stream)
        if consumed == before:
            break
    for stream, sent in open_.items():
        assert sides[1 - opener(stream)].received(stream) == b"".join(sent)
    assert link.a.engine.ended is None and link.b.engine.ended is None
    assert all(
        side.engine._budget.granted == sum(s.window.capacity for s in side.engine._streams.values()) for side in sides
    )
