"""How much is handed to a socket at once: much to a fast one, little to a slow one, and never nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pnode.net.yamux.frames import MESSAGE_BYTES
from p2pnode.net.yamux.pace import LEAST_BYTES, MOST_MESSAGES, WRITE_S, Pace


def settled(bytes_per_s: float) -> Pace:
    """After some writes to a link that takes so much."""
    pace = Pace()
    for _ in range(20):
        count = pace.messages * pace.message_bytes
        pace.wrote(count, count / bytes_per_s)
    return pace


def test_a_fast_link_gets_whole_batches_and_a_slow_one_short_messages() -> None:
    fast = settled(100e6)
    assert (fast.messages, fast.message_bytes) == (MOST_MESSAGES, MESSAGE_BYTES)
    slow = settled(1e6)
    assert slow.messages == 1 and WRITE_S / 3 <= slow.message_bytes / 1e6 <= WRITE_S
    assert settled(1e4).message_bytes == LEAST_BYTES


def test_one_hiccup_is_soon_forgotten() -> None:
    pace = settled(100e6)
    pace.wrote(MESSAGE_BYTES, 3.0)
    assert (pace.messages, pace.message_bytes) == (1, MESSAGE_BYTES)
    for _ in range(2):
        pace.wrote(MESSAGE_BYTES, 0.0)
    assert (pace.messages, pace.message_bytes) == (MOST_MESSAGES, MESSAGE_BYTES)


@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.floats(0, 60))))
def test_it_stays_within_its_bounds(writes: list[tuple[int, float]]) -> None:
    pace = Pace()
    for count, seconds in writes:
        pace.wrote(count, seconds)
        assert 1 <= pace.messages <= MOST_MESSAGES and LEAST_BYTES <= pace.message_bytes <= MESSAGE_BYTES
