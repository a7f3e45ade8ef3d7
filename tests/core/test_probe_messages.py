"""The messages of a probe: what was encoded is read again, and any other bytes are a DecodeError."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.encoding import encode
from p2pnode.core.probe_messages import MAX_ANSWER_BYTES, MAX_ASK_BYTES, Answer, Ask, Block, Found
from p2pnode.errors import DecodeError

ONE = Cid.of(RAW, b"one")
KEY = bytes(range(32))


@pytest.mark.parametrize("ask", [Ask(), Ask(ONE, ONE), Ask(key=KEY), Ask(ONE, ONE, KEY)])
def test_an_ask_is_read_again(ask: Ask) -> None:
    assert Ask.from_bytes(ask.to_bytes()) == ask
    assert len(ask.to_bytes()) <= MAX_ASK_BYTES


@given(st.sampled_from(Block), st.sampled_from(Found), st.integers(0, 2**53 - 1))
def test_an_answer_is_read_again(block: Block, found: Found, time_ms: int) -> None:
    answer = Answer(block, found, time_ms)
    assert Answer.from_bytes(answer.to_bytes()) == answer
    assert len(answer.to_bytes()) <= MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    "fields",
    [
        {"block": b"", "key": b""},
        {"block": b"", "key": b"short", "root": b""},
        {"block": ONE.to_bytes(), "key": b"", "root": b""},
        {"block": b"", "key": b"", "root": ONE.to_bytes()},
        {"block": b"x", "key": b"", "root": b"x"},
        {"block": "", "key": b"", "root": b""},
        {"block": b"", "key": b"", "more": 1, "root": b""},
    ],
)
def test_what_is_no_ask_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        Ask.from_bytes(encode(fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"block": 1, "found": 1},
        {"block": 6, "found": 0, "time_ms": 0},
        {"block": 0, "found": 5, "time_ms": 0},
        {"block": 0, "found": 0, "time_ms": b""},
    ],
)
def test_what_is_no_answer_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        Answer.from_bytes(encode(fields))  # type: ignore[arg-type]


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    for decode in (Ask.from_bytes, Answer.from_bytes):
        with suppress(DecodeError):
            decode(data)
