"""What a stream keeps for its reader: the right bytes, and not much more memory than they take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pnode.net.yamux.stream import ReceiveBuffer


def test_small_pieces_are_kept_together() -> None:
    buffer = ReceiveBuffer()
    for _ in range(10_000):
        buffer.append(b"x")
    buffer.append(b"y" * 5000)
    buffer.append(b"z")
    assert len(buffer._pieces) == 3
    taken = b""
    while piece := buffer.take(777):
        taken += piece
    assert taken == b"x" * 10_000 + b"y" * 5000 + b"z"
    assert buffer.size == 0


@given(st.lists(st.one_of(st.binary(max_size=5000).map(lambda b: b * 2), st.integers(1, 9000)), max_size=40))
def test_it_is_a_queue_of_bytes(steps: list[bytes | int]) -> None:
    buffer, expected = ReceiveBuffer(), b""
    for step in steps:
        if isinstance(step, bytes):
            if step:
                buffer.append(step)
                expected += step
        else:
            taken = buffer.take(step)
            assert expected.startswith(taken) and len(taken) <= step and bool(taken) == bool(expected)
            expected = expected[len(taken) :]
        assert buffer.size == len(expected)
