"""The messages of the fetch protocol: round trips, limits, and that no bytes do more than raise DecodeError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.encoding import encode
from p2pnode.core.fetch_messages import (
    MAX_CIDS,
    MAX_REQUEST_BYTES,
    Request,
    Status,
    decode_head,
    decode_request,
    encode_head,
    encode_request,
)
from p2pnode.errors import DecodeError
from p2pnode.limits import MAX_BLOCK_BYTES

ROOT = Cid.of(RAW, b"root")
LONGEST = Cid(1, RAW, b"\x00\x80\x01" + bytes(128))


@given(st.lists(st.binary(max_size=4).map(lambda data: Cid.of(RAW, data)), min_size=1, max_size=20))
def test_requests_round_trip(cids: list[Cid]) -> None:
    assert decode_request(encode_request(ROOT, cids)) == Request(ROOT, tuple(cids))


def test_the_largest_request_fits_its_limit() -> None:
    data = encode_request(LONGEST, [LONGEST] * MAX_CIDS)
    assert len(data) <= MAX_REQUEST_BYTES
    assert len(decode_request(data).cids) == MAX_CIDS


@pytest.mark.parametrize(
    "data",
    [
        encode({"cids": (), "root": ROOT.to_bytes()}),
        encode({"cids": (ROOT.to_bytes(),) * (MAX_CIDS + 1), "root": ROOT.to_bytes()}),
        encode({"cids": (b"no cid",), "root": ROOT.to_bytes()}),
        encode({"cids": (1,), "root": ROOT.to_bytes()}),
        encode({"cids": (ROOT.to_bytes(),)}),
        encode({"cids": (ROOT.to_bytes(),), "more": 1, "root": ROOT.to_bytes()}),
        encode((ROOT.to_bytes(),)),
        encode_request(ROOT, [ROOT]) + b"\0",
    ],
)
def test_a_malformed_request_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_request(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_request_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode_request(data)


@given(st.binary(max_size=8))
def test_any_bytes_are_a_head_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert encode_head(*decode_head(data)) == data


@pytest.mark.parametrize(
    ("status", "length", "valid"),
    [
        (Status.HAVE, 0, True),
        (Status.HAVE, MAX_BLOCK_BYTES, True),
        (Status.HAVE, MAX_BLOCK_BYTES + 1, False),
        (Status.MISSING, 0, True),
        (Status.MISSING, 1, False),
        (Status.BUSY, 1, False),
    ],
)
def test_heads(status: Status, length: int, valid: bool) -> None:
    if valid:
        assert decode_head(encode_head(status, length)) == (status, length)
    else:
        with pytest.raises(DecodeError):
            decode_head(encode_head(status, length))
