"""A peer that breaks the rules of reconciliation is told so; it costs bounded work, and nothing that we hold changes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.core import reconcile
from p2pnode.core import sync_messages as wire
from p2pnode.core.ids import RecordId
from p2pnode.core.reconcile import Reconciliation
from p2pnode.core.sync_index import SyncIndex
from p2pnode.core.sync_messages import KeyRange
from p2pnode.errors import DecodeError, PeerError

WRONG = bytes(16)


def index(count: int) -> SyncIndex:
    rng = random.Random(count)
    return SyncIndex((1_700_000_000 + number, RecordId(rng.randbytes(32))) for number in range(count))


def responder(count: int = 5000, **limits: int) -> Reconciliation:
    return Reconciliation(index(40), index(count), initiator=False, rng=random.Random(1).random, **limits)


def everything_differs(kind: int = wire.REST) -> bytes:
    return wire.encode_ranges(kind, [KeyRange(b"", None, WRONG)])[0]


def mine(frame: bytes) -> bytes:
    return wire.with_flags(frame, wire.LAST)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=6))
def test_any_bytes_are_refused_or_answered_within_the_rules(frames: list[bytes]) -> None:
    engine = responder(200)
    before = engine._indexes[wire.REST].fingerprint(b"", None)
    try:
        for frame in frames:
            if engine.receive(frame).our_turn:
                engine.turn({})
            if engine.ended:
                break
    except (DecodeError, PeerError):
        pass
    assert engine._indexes[wire.REST].fingerprint(b"", None) == before


def test_out_of_turn() -> None:
    engine = responder()
    engine.receive(mine(everything_differs()))
    with pytest.raises(PeerError, match="out of turn"):
        engine.receive(everything_differs())


def test_a_turn_of_too_many_frames() -> None:
    engine = responder()
    for _ in range(wire.MAX_TURN_FRAMES):
        engine.receive(wire.encode_empty())
    with pytest.raises(PeerError, match="more than"):
        engine.receive(wire.encode_empty())


def test_more_bytes_than_a_session_carries() -> None:
    engine = responder(session_bytes=10_000)
    record = wire.encode_records([bytes(9000)])[0]
    engine.receive(record)
    with pytest.raises(PeerError, match="more than"):
        engine.receive(record)


def test_endless_splits_end_at_the_caps() -> None:
    engine = responder(30_000)
    turns = 0
    engine.receive(mine(everything_differs()))
    with pytest.raises(PeerError):
        while not engine.ended:
            turns += 1
            said = [entry for frame in engine.turn({}) for entry in wire.decode_frame(frame).ranges]
            wrong = [KeyRange(entry.lower, entry.upper, WRONG) for entry in said] or [KeyRange(b"", None, WRONG)]
            engine.receive(mine(wire.encode_ranges(wire.REST, wrong)[0]))
        raise PeerError("cut by our own side")
    assert turns <= reconcile.MAX_TURNS
    assert len(engine._to_say[wire.REST]) <= reconcile.MAX_PENDING_RANGES
    assert engine.bytes_sent <= reconcile.MAX_SESSION_BYTES


def test_more_ranges_than_a_session_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MAX_RANGES", 20)
    engine = responder()
    for _ in range(10):
        engine.receive(everything_differs())
    ranges = [KeyRange(bytes([n]), bytes([n + 1]), WRONG) for n in range(1, 12)]
    with pytest.raises(PeerError, match="without end"):
        engine.receive(wire.encode_ranges(wire.REST, ranges)[0])


def test_we_never_say_more_ranges_than_a_session_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MAX_RANGES", 100)
    engine, said = responder(30_000), 0
    engine.receive(mine(everything_differs()))
    while not engine.ended:
        found = [entry for frame in engine.turn({}) for entry in wire.decode_frame(frame).ranges]
        said += len(found)
        if not engine.ended:
            engine.receive(
                mine(wire.encode_ranges(wire.REST, [KeyRange(e.lower, e.upper, WRONG) for e in found][:3])[0])
            )
    assert 16 < said <= 100
    assert not engine.complete


def test_ranges_that_wait_to_be_said_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MAX_PENDING_RANGES", 100)
    engine = responder()
    for _ in range(15):
        engine.receive(everything_differs())
    assert len(engine._to_say[wire.REST]) <= 100


def test_keys_read_for_empty_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MAX_SCANNED_KEYS", 7000)
    engine = responder(5000)
    for _ in range(3):
        engine.receive(wire.encode_ranges(wire.REST, [KeyRange(b"", None, ())])[0])
    assert engine._scanned == 7000


def test_records_sent_and_asked_for_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MAX_MOVED_IDS", 10)
    engine = responder()
    engine.receive(wire.encode_ranges(wire.REST, [KeyRange(b"", None, ())])[0])
    assert len(engine._to_send) == 10
    ids = tuple(RecordId(bytes([n]) * 32) for n in range(20))
    engine.receive(wire.encode_ranges(wire.REST, [KeyRange(b"\xff", None, ids)])[0])
    assert len(engine._to_want) == 10


def test_overlapping_ranges_are_answered_in_frames_that_decode() -> None:
    engine = responder()
    for _ in range(10):
        engine.receive(everything_differs())
    engine.receive(mine(everything_differs()))
    for frame in engine.turn({}):
        wire.decode_frame(frame)


def test_many_claims_to_hold_nothing_send_each_record_once() -> None:
    engine = responder(20_000)
    for _ in range(15):
        engine.receive(wire.encode_ranges(wire.REST, [KeyRange(b"", None, ())])[0])
    engine.receive(mine(wire.encode_empty()))
    assert engine._scanned <= reconcile.MAX_SCANNED_KEYS
    sent: list[bytes] = []
    while not engine.ended and engine.our_turn:
        frames = engine.turn({id: id + bytes(60) for id in engine.to_load()})
        sent += [record[:32] for frame in frames for record in wire.decode_frame(frame).records]
        if not engine.ended:
            again = engine._has_more() or len(sent) == 0
            engine.receive(mine(wire.encode_ranges(wire.REST, [KeyRange(b"", None, ())])[0]))
            if not again:
                break
    assert len(sent) == len(set(sent)) == 20_000


def test_wants_beyond_a_session_are_not_kept() -> None:
    engine = responder()
    rng = random.Random(2)
    for _ in range(12):
        for _ in range(10):
            ids = [RecordId(rng.randbytes(32)) for _ in range(wire.MAX_WANT_IDS)]
            engine.receive(wire.encode_want(ids))
        engine.receive(mine(wire.encode_empty()))
        engine.turn({})
        if engine.ended:
            break
    assert len(engine._to_send) <= reconcile.MAX_MOVED_IDS


def test_only_the_answering_side_may_put_off() -> None:
    with pytest.raises(PeerError, match="put ranges off"):
        responder().receive(wire.with_flags(wire.encode_empty(), wire.LAST | wire.AGAIN))


def test_a_peer_that_always_has_more_but_never_says_it_is_left() -> None:
    engine = Reconciliation(index(10), index(10), initiator=True, rng=random.Random(1).random)
    engine.turn({})
    while not engine.ended:
        engine.receive(wire.with_flags(wire.encode_empty(), wire.LAST | wire.MORE))
        engine.turn({})
    assert engine.turns == reconcile.MAX_TURNS
    assert not engine.complete
