"""Canonical msgpack: one value, one encoding; DecodeError and nothing else on any bytes (attack 13)."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.encoding import MAX_DEPTH, decode, decode_map, encode
from p2pnode.core.record import Value
from p2pnode.errors import DecodeError
from tests.core.examples import values


@given(values)
def test_round_trip(value: Value) -> None:
    assert decode(encode(value)) == value


@given(values)
def test_the_order_in_which_a_map_was_built_does_not_matter(value: Value) -> None:
    forwards = {"a": value, "b": 1, "B": 2}
    backwards = {"B": 2, "b": 1, "a": value}
    assert encode(forwards) == encode(backwards)


@given(st.binary(max_size=200))
def test_any_bytes_decode_canonically_or_raise_decode_error(data: bytes) -> None:
    try:
        value = decode(data)
    except DecodeError:
        return
    assert encode(value) == data


@given(values, st.data())
def test_mutated_bytes_decode_canonically_or_raise_decode_error(value: Value, data: st.DataObject) -> None:
    mutant = bytearray(encode(value))
    at = data.draw(st.integers(0, len(mutant) - 1))
    mutant[at] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(mutant))
    except DecodeError:
        return
    assert encode(decoded) == mutant


NOT_CANONICAL = {
    "a small integer as uint8": "cc05",
    "an integer of eight bits as uint16": "cd00ff",
    "an integer of 32 bits as uint64": "cf00000000ffffffff",
    "zero as int8": "d000",
    "a positive integer as int16": "d10100",
    "a negative fixint": "ff",
    "a negative int8": "d0df",
    "two to the 53": "cf0020000000000000",
    "two to the 64 less one": "cfffffffffffffffff",
    "nil": "c0",
    "false": "c2",
    "true": "c3",
    "a float of 32 bits": "ca3f800000",
    "a float of 64 bits": "cb3ff0000000000000",
    "not a number": "cb7ff8000000000000",
    "the byte that is never used": "c1",
    "fixext 1": "d40101",
    "a timestamp": "d6ff00000000",
    "ext 8": "c7010500",
    "a short text as str8": "d90161",
    "a short text as str16": "da000161",
    "a short bin as bin16": "c5000161",
    "a short array as array16": "dc000101",
    "a short map as map16": "de0001a16101",
    "keys out of order": "82a16202a16101",
    "a key twice": "82a16101a16102",
    "an integer as a key": "810101",
    "bytes as a key": "81c4016101",
    "a key that is not ASCII": "81a2c3a901",
    "an array as a key": "81910101",
    "a map as a key": "818001",
    "text that is not UTF-8": "a1ff",
    "half of a surrogate pair": "a3eda080",
    "an overlong slash": "a2c0af",
    "nothing": "",
    "two values": "0101",
    "a text cut short": "a561",
    "an array that claims four billion items": "ddffffffff",
    "a map that claims four billion items": "dfffffffff",
    "bytes that claim four billion": "c6ffffffff",
    "a bool deep inside": "81a16191c3",
}


@pytest.mark.parametrize("name", NOT_CANONICAL)
def test_what_is_not_canonical_is_refused(name: str) -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(NOT_CANONICAL[name]))


def test_text_in_any_normal_form_is_kept_as_it_is() -> None:
    for text in ("e\u0301", "é", "\u212b", "a\u0000b", "\U0010ffff"):
        assert decode(encode(text)) == text


def test_nesting_is_bounded() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH):
        deep = (deep,)
    assert decode(encode(deep)) == deep
    with pytest.raises(DecodeError):
        encode((deep,))
    for data in (b"\x91" * (MAX_DEPTH + 1) + b"\x01", b"\x91" * 100_000 + b"\x01", b"\x81\xa1a" * 1000 + b"\x01"):
        with pytest.raises(DecodeError):
            decode(data)


@pytest.mark.parametrize(
    "value", [True, None, 1.0, -1, 2**53, {1: 2}, {"é": 1}, {"a": [None]}, "\ud800", bytearray(b"x")]
)
def test_the_writer_refuses_what_has_no_canonical_form(value: Any) -> None:
    with pytest.raises(DecodeError):
        encode(value)


def test_limit_and_shape() -> None:
    assert decode(b"\x01", limit=1) == 1
    with pytest.raises(DecodeError):
        decode(b"\xa1a", limit=1)
    assert decode_map(b"\x80") == {}
    with pytest.raises(DecodeError):
        decode_map(b"\x90")


def test_another_msgpack_reads_ours() -> None:
    value = {"a": (1, "é", b"\0"), "b": {}}
    assert msgpack.unpackb(encode(value), use_list=False) == value
