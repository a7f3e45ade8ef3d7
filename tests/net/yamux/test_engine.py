"""The engine's rules as dialogues between two engines."""

from __future__ import annotations

import pytest

from p2pnode.net.yamux import engine as module
from p2pnode.net.yamux.engine import (
    FORGET_CLOSED_S,
    MAX_INBOUND_STREAMS,
    MAX_OUTBOUND_STREAMS,
    MAX_WAITING_FRAMES,
    Engine,
    LocalError,
)
from p2pnode.net.yamux.events import ConnectionEnded, DataReceived, StreamEnded, StreamOpened, StreamReset
from p2pnode.net.yamux.frames import ACK, DATA, FIN, GO_AWAY, MESSAGE_BYTES, PING, RST, SYN, WINDOW_UPDATE
from p2pnode.net.yamux.window import INITIAL_BYTES
from tests.net.yamux.fake_link import Link, frame


def test_a_request_and_its_answer_end_cleanly() -> None:
    link = Link()
    stream = link.open()
    link.a.engine.send(stream, b"question")
    link.a.engine.finish(stream)
    link.settle()
    assert link.b.events == [StreamOpened(1), DataReceived(1, b"question"), StreamEnded(1)]
    link.b.engine.send(stream, b"answer")
    link.b.engine.finish(stream)
    link.settle()
    assert link.a.events == [DataReceived(1, b"answer"), StreamEnded(1)]
    assert not link.a.engine.knows(stream) and not link.b.engine.knows(stream)
    assert link.a.engine.outbound == link.b.engine.inbound == 0


def test_dialler_opens_odd_streams_and_the_other_even_ones() -> None:
    link = Link()
    assert [link.a.engine.open() for _ in range(3)] == [1, 3, 5]
    assert [link.b.engine.open() for _ in range(3)] == [2, 4, 6]


def test_the_wire_is_what_the_specification_says() -> None:
    engine = Engine(initiator=True)
    stream = engine.open()
    engine.send(stream, b"hi")
    engine.finish(stream)
    wire = engine.data_to_send() + engine.data_to_send()
    assert wire == frame(WINDOW_UPDATE, SYN, 1, 0) + frame(DATA, 0, 1, 2, b"hi") + frame(WINDOW_UPDATE, FIN, 1, 0)


def test_accepting_answers_with_ack() -> None:
    engine = Engine(initiator=False)
    assert engine.receive_data(frame(WINDOW_UPDATE, SYN, 1, 0), 0) == [StreamOpened(1)]
    assert engine.data_to_send() == b""
    engine.accept(1)
    engine.accept(1)
    assert engine.data_to_send() == frame(WINDOW_UPDATE, ACK, 1, 0)


def test_data_may_come_with_the_first_frame_and_the_last() -> None:
    engine = Engine(initiator=False)
    events = engine.receive_data(frame(DATA, SYN | FIN, 1, 3, b"abc"), 0)
    assert events == [StreamOpened(1), DataReceived(1, b"abc"), StreamEnded(1)]


def test_a_reset_is_told_from_an_end() -> None:
    link = Link()
    stream = link.open()
    link.b.engine.send(stream, b"half of it")
    link.settle()
    link.b.engine.reset(stream)
    link.settle()
    assert link.a.events == [DataReceived(1, b"half of it"), StreamReset(1)]
    with pytest.raises(LocalError):
        link.a.engine.send(stream, b"more")


def test_a_reset_overtakes_what_waits() -> None:
    link = Link()
    stream = link.open()
    link.a.engine.send(stream, b"x" * 300_000)
    link.a.engine.reset(stream)
    assert link.a.engine.data_to_send(10) == frame(WINDOW_UPDATE, RST, stream, 0)


def test_a_lost_connection_is_told_from_an_end() -> None:
    link = Link()
    stream = link.open()
    (ended,) = link.a.engine.receive_data(b"", 1)
    assert isinstance(ended, ConnectionEnded) and ended.code is None
    assert StreamEnded(stream) not in link.a.events
    assert link.a.engine.receive_data(frame(PING, SYN, 0, 1), 2) == []
    with pytest.raises(LocalError):
        link.a.engine.open()


@pytest.mark.parametrize("code", [0, 1, 2, 4101])
def test_go_away_ends_the_connection_with_its_code(code: int) -> None:
    link = Link()
    link.a.engine.go_away(code)
    with pytest.raises(LocalError):
        link.a.engine.open()
    link.settle()
    (ended,) = link.b.events
    assert isinstance(ended, ConnectionEnded) and ended.code == code


def test_fin_waits_for_the_data_before_it() -> None:
    link = Link()
    stream = link.open()
    link.a.engine.send(stream, b"x" * (INITIAL_BYTES + 1))
    link.a.engine.finish(stream)
    link.settle()
    assert link.b.events[-1] != StreamEnded(stream)
    link.b.engine.consumed(stream, INITIAL_BYTES, 0)
    link.settle()
    assert link.b.events[-1] == StreamEnded(stream)
    with pytest.raises(LocalError):
        link.a.engine.send(stream, b"after the end")


def test_unsent_bytes_can_be_taken_back() -> None:
    link = Link()
    stream = link.open()
    link.a.engine.send(stream, b"x" * (INITIAL_BYTES + 10))
    link.settle()
    link.a.engine.unsend(stream)
    link.b.engine.consumed(stream, INITIAL_BYTES, 0)
    link.settle()
    assert len(link.b.received(stream)) == INITIAL_BYTES


def test_drained_names_the_streams_that_sent_everything() -> None:
    link = Link()
    first, second = link.open(), link.open()
    link.a.engine.send(first, b"x")
    link.a.engine.send(second, b"x" * (INITIAL_BYTES + 1))
    link.settle()
    assert link.a.engine.drained() == [first]
    link.b.engine.consumed(second, INITIAL_BYTES, 0)
    link.settle()
    assert link.a.engine.drained() == [second]
    assert link.a.engine.drained() == []


def test_streams_take_turns() -> None:
    link = Link()
    streams = [link.open() for _ in range(4)]
    for stream in streams[:3]:
        link.a.engine.send(stream, b"x" * 200_000)
    link.a.engine.send(streams[3], b"ping")
    for _ in range(4):
        link.carry(link.a)
    arrived = [len(link.b.received(stream)) for stream in streams]
    assert arrived[3] == 4 and min(arrived[:3]) > 60_000


def test_a_frame_ends_where_a_message_ends() -> None:
    engine = Engine(initiator=True)
    stream = engine.open()
    engine.send(stream, b"x" * 250_000)
    batch = engine.data_to_send(3)
    assert len(batch) == 3 * MESSAGE_BYTES
    for at in range(MESSAGE_BYTES, len(batch), MESSAGE_BYTES):
        assert batch[at : at + 8] == frame(DATA, 0, 1, 0)[:8]


def test_streams_beyond_the_limit_are_refused_one_by_one() -> None:
    engine = Engine(initiator=False)
    numbers = [2 * n + 1 for n in range(MAX_INBOUND_STREAMS + 2)]
    events = engine.receive_data(b"".join(frame(WINDOW_UPDATE, SYN, n, 0) for n in numbers), 0)
    assert len(events) == engine.inbound == MAX_INBOUND_STREAMS
    assert engine.data_to_send() == b"".join(frame(WINDOW_UPDATE, RST, n, 0) for n in numbers[-2:])
    engine.receive_data(frame(WINDOW_UPDATE, RST, 1, 0), 0)
    assert engine.receive_data(frame(WINDOW_UPDATE, SYN, 9999, 0), 0) == [StreamOpened(9999)]


def test_our_own_streams_are_limited_before_the_wire() -> None:
    engine = Engine(initiator=True)
    for _ in range(MAX_OUTBOUND_STREAMS):
        engine.open()
    with pytest.raises(LocalError):
        engine.open()
    engine.reset(1)
    engine.open()


@pytest.mark.parametrize(
    "bytes_",
    [
        frame(DATA, 0, 1, 0, version=1),
        frame(4, 0, 0, 0),
        frame(DATA, SYN, 1, (16 << 20) + 1),
        frame(DATA, SYN, 0, 0),
        frame(WINDOW_UPDATE, SYN, 2, 0),
        frame(WINDOW_UPDATE, SYN, 1, 0) * 2,
        frame(DATA, SYN, 1, INITIAL_BYTES + 1),
        frame(DATA, SYN | FIN, 1, 0) + frame(DATA, 0, 1, 1, b"x"),
        frame(PING, SYN, 0, 7) * (MAX_WAITING_FRAMES + 1),
    ],
    ids=["version", "type", "long", "stream 0", "ours", "twice", "overrun", "after its end", "only asks"],
)
def test_a_broken_rule_ends_the_connection_with_go_away(bytes_: bytes) -> None:
    engine = Engine(initiator=False)
    *_, ended = engine.receive_data(bytes_, 0)
    assert isinstance(ended, ConnectionEnded) and ended.code is None and "protocol error" in ended.reason
    assert engine.data_to_send().endswith(frame(GO_AWAY, 0, 0, 1))
    assert engine.receive_data(frame(WINDOW_UPDATE, SYN, 9, 0), 0) == []


def test_frames_of_streams_that_are_gone_are_skipped() -> None:
    engine = Engine(initiator=False)
    wire = frame(DATA, 0, 77, 5, b"hello") + frame(WINDOW_UPDATE, RST, 78, 0) + frame(WINDOW_UPDATE, SYN, 1, 0)
    assert engine.receive_data(wire, 0) == [StreamOpened(1)]


def test_a_ping_is_answered_and_measures_the_round_trip() -> None:
    link = Link()
    link.a.engine.tick(0)
    link.carry(link.a)
    link.now = 0.05
    link.carry(link.b)
    assert link.a.engine.rtt_s == pytest.approx(0.05)


def test_a_silent_peer_is_found_within_forty_seconds() -> None:
    for initiator in (True, False):
        engine = Engine(initiator=initiator)
        now, last_heard = 0.0, 10.5
        while not (events := engine.tick(now)):
            if now == 10:
                engine.receive_data(frame(PING, ACK, 0, 1), last_heard)
            engine.data_to_send()
            now += 1
            assert now - last_heard < 40
        assert isinstance(events[0], ConnectionEnded)
        assert now - last_heard > module.SILENCE_S


def test_who_does_not_answer_what_was_sent_is_found_sooner() -> None:
    engine = Engine(initiator=True)
    stream, now = engine.open(), 0.0
    engine.tick(now)
    engine.receive_data(frame(PING, ACK, 0, 1), now)
    engine.receive_data(frame(WINDOW_UPDATE, ACK, stream, 0), now)
    while not engine.tick(now):
        if now == 10:
            engine.send(stream, b"is anybody there?")
        engine.data_to_send()
        now += 1
        assert now < 30


def test_of_a_quiet_connection_one_side_pings_every_twenty_seconds() -> None:
    one, other = Engine(initiator=True), Engine(initiator=False)
    pings = {one: 0, other: 0}
    for tick in range(240):  # ten minutes
        now = 2.5 * tick
        for ours, theirs in ((one, other), (other, one)):
            assert ours.tick(now) == []
            for side, partner in ((ours, theirs), (theirs, ours)):
                data = side.data_to_send()
                pings[side] += data.count(frame(PING, SYN, 0, 0)[:4])
                if data:
                    partner.receive_data(data, now)
    assert pings[other] <= 2 and 28 <= pings[one] <= 36


@pytest.mark.parametrize("initiator", [True, False])
def test_it_is_enough_to_tick_when_there_is_something_to_do(initiator: bool) -> None:
    """An idle connection is looked at twice a round of pings, and a dead peer is found as soon as by looking every moment."""
    engine, now, ticks, pings = Engine(initiator=initiator), 0.0, 0, 0
    while now < 600:
        assert engine.tick(now) == []
        if data := engine.data_to_send():
            pings += 1
            engine.receive_data(frame(PING, ACK, 0, int.from_bytes(data[8:12], "big")), now)
        ticks += 1
        assert now < engine.next_tick(now) <= now + module.PING_EVERY_S
        now = engine.next_tick(now)
    assert 28 <= pings <= 36 and ticks <= 2 * pings + 1
    last_heard = engine._heard_at
    while not engine.tick(now):
        now = engine.next_tick(now)
    assert now - last_heard == engine._quiet_s + module.SILENCE_S


def test_a_peer_that_sends_is_alive_though_its_pongs_are_late() -> None:
    engine = Engine(initiator=True)
    for now in range(120):
        assert engine.tick(now) == []
        engine.receive_data(frame(WINDOW_UPDATE, 0, 1, 1), now)
        engine.data_to_send()


def test_a_stream_closed_for_good_is_reset_when_the_peer_never_ends_it() -> None:
    link = Link()
    stream = link.open()
    link.a.engine.finish(stream)
    link.a.engine.abandon(stream, 0)
    link.a.engine.tick(FORGET_CLOSED_S)
    assert link.a.engine.knows(stream)
    link.a.engine.tick(FORGET_CLOSED_S + 1)
    assert not link.a.engine.knows(stream)
    link.settle()
    assert link.b.events[-1] == StreamReset(stream)


def test_many_small_streams_leave_nothing_behind() -> None:
    link = Link()
    for number in range(3000):
        stream = link.open()
        link.a.engine.send(stream, b"%d" % number)
        link.a.engine.finish(stream)
        link.settle()
        link.b.engine.finish(stream)
        link.settle()
        assert link.b.received(stream) == b"%d" % number
        link.b.events.clear()
    for side in (link.a, link.b):
        assert side.engine._streams == {} and not side.engine._round and side.engine._budget.granted == 0
