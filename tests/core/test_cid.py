"""Content identifiers: text and binary forms, known values, and that no input does more than raise DecodeError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import DAG_PB, RAW, SHA2_256, Cid, decode_varint, encode_varint
from p2pnode.errors import DecodeError

cids = st.builds(Cid.of, st.sampled_from([RAW, DAG_PB]), st.binary(max_size=20))
V0 = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"


def test_known_texts() -> None:
    assert str(Cid.of(RAW, b"hello world\n")) == "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"
    assert str(Cid.of(DAG_PB, b"\x0a\x02\x08\x01")) == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
    empty_folder = Cid.parse(V0)
    assert (empty_folder.version, empty_folder.codec) == (0, DAG_PB)
    assert empty_folder.multihash == Cid.of(DAG_PB, b"\x0a\x02\x08\x01").multihash


@given(cids)
def test_both_forms_round_trip(cid: Cid) -> None:
    assert Cid.parse(str(cid)) == cid
    assert Cid.from_bytes(cid.to_bytes()) == cid
    assert cid.hash_code == SHA2_256 and len(cid.digest) == 32


@given(st.binary(max_size=80))
def test_any_bytes_are_a_cid_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert Cid.from_bytes(data).to_bytes() == data


@given(
    st.text(max_size=70) | st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567QmzZ1", max_size=70).map(lambda t: "b" + t)
)
def test_any_text_is_a_cid_or_a_decode_error(text: str) -> None:
    with contextlib.suppress(DecodeError):
        Cid.parse(text)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "a", lambda t: t.upper(), lambda t: t[:-1] + "5", lambda t: "f" + t[1:]]
)
def test_a_text_that_is_not_canonical_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(DecodeError):
        Cid.parse(change(str(Cid.of(RAW, b"x"))))


@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=4))
def test_varints_round_trip(number: int, rest: bytes) -> None:
    data = encode_varint(number)
    assert decode_varint(data + rest, 0) == (number, len(data))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x00", b"\xff" * 10 + b"\x01"])
def test_a_varint_that_is_cut_overlong_or_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_varint(data, 0)
