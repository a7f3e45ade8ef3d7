"""How much a peer may send: enforced, returned in batches, grown with demand, bounded for a connection."""

from __future__ import annotations

import pytest

from p2pnode.net.yamux.events import ConnectionEnded, DataReceived
from p2pnode.net.yamux.frames import DATA, SYN, ProtocolError
from p2pnode.net.yamux.window import (
    INITIAL_BYTES,
    MAX_CONNECTION_BYTES,
    MAX_STREAM_BYTES,
    Budget,
    ReceiveWindow,
)
from tests.net.yamux.fake_link import Link, frame

HALF = INITIAL_BYTES // 2


def test_credit_comes_back_by_half_windows() -> None:
    window = ReceiveWindow(Budget())
    window.take(INITIAL_BYTES)
    assert window.give_back(HALF - 1, 0, 0) == 0
    assert window.give_back(1, 0, 0) == HALF
    assert window.room == HALF


def test_an_overrun_is_a_broken_rule() -> None:
    window = ReceiveWindow(Budget())
    window.take(INITIAL_BYTES)
    with pytest.raises(ProtocolError):
        window.take(1)


def test_a_window_grows_for_a_reader_that_keeps_up() -> None:
    window, now = ReceiveWindow(Budget()), 0.0
    while window.capacity < MAX_STREAM_BYTES:
        before = window.capacity
        for _ in range(4):
            half = window.capacity // 2
            window.take(half)
            window.give_back(half, now, 0.08)
            now += 0.08
        assert window.capacity > before
    assert window.capacity == window.room == MAX_STREAM_BYTES


def test_a_window_stays_for_a_slow_reader_or_an_unknown_round_trip() -> None:
    for rtt_s in (0.08, 0.0):
        window = ReceiveWindow(Budget())
        for second in range(100):
            window.take(HALF)
            window.give_back(HALF, float(second) if rtt_s else 0.0, rtt_s)
        assert window.capacity == INITIAL_BYTES


def test_all_windows_together_stop_growing() -> None:
    budget = Budget()
    windows = [ReceiveWindow(budget) for _ in range(32)]
    for _ in range(20):
        for window in windows:
            half = window.capacity // 2
            window.take(half)
            window.give_back(half, 0, 1)
    assert sum(window.capacity for window in windows) == budget.granted == MAX_CONNECTION_BYTES
    for window in windows:
        window.close()
    assert budget.granted == 0


def test_300_mib_into_an_unread_stream_cost_the_window() -> None:
    link = Link()
    wire = frame(DATA, SYN, 1, 60_000, b"x" * 60_000)
    kept = 0
    for number in range(300 * 1024 * 1024 // 60_000):
        for event in link.b.engine.receive_data(wire, float(number)):
            kept += len(event.data) if isinstance(event, DataReceived) else 0
            if isinstance(event, ConnectionEnded):
                assert kept <= INITIAL_BYTES
                return
        wire = frame(DATA, 0, 1, 60_000, b"x" * 60_000)
    pytest.fail("nobody stopped it")


def test_a_sender_never_overruns_and_never_sticks() -> None:
    link = Link()
    stream = link.open()
    data = bytes(range(256)) * 8192
    link.a.engine.send(stream, data)
    link.settle()
    read = INITIAL_BYTES
    assert len(link.b.received(stream)) == INITIAL_BYTES
    link.b.engine.consumed(stream, read, 0)
    while True:
        link.settle()
        arrived = len(link.b.received(stream))
        if arrived == read:
            break
        link.b.engine.consumed(stream, arrived - read, 0)
        read = arrived
    assert link.b.received(stream) == data
    assert link.b.engine.ended is None


def test_a_paused_reader_stops_only_its_own_stream() -> None:
    link = Link()
    paused, lively = link.open(), link.open()
    link.a.engine.send(paused, b"p" * 2_000_000)
    link.a.engine.send(lively, b"l" * 2_000_000)
    for minute in range(20):
        link.now = minute * 60.0
        link.settle()
        arrived = len(link.b.received(lively))
        link.b.engine.consumed(lively, min(INITIAL_BYTES, arrived), link.now)
    assert len(link.b.received(lively)) == 2_000_000
    assert len(link.b.received(paused)) == INITIAL_BYTES
    link.b.engine.consumed(paused, INITIAL_BYTES, link.now)
    link.settle()
    assert len(link.b.received(paused)) == 2 * INITIAL_BYTES
