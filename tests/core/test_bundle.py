"""The bundle's index and pages: round trips, and that no bytes do more than raise DecodeError."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core import encoding
from p2pnode.core.bundle import (
    MAX_CIRCLES,
    PageRef,
    decode_index,
    decode_records,
    decode_roots,
    encode_index,
    encode_records,
    encode_roots,
)
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import NO_CIRCLE, CircleId
from p2pnode.errors import DecodeError

VECTORS = Path(__file__).parent.parent / "vectors" / "bundle.json"
digests = st.binary(min_size=32, max_size=32)
circle_pages = st.builds(
    PageRef,
    st.just("circle"),
    st.sampled_from([CircleId(bytes([n]) * 32) for n in range(1, 9)]),
    digests.map(lambda digest: Cid.v1(RAW, digest)),
)
other_pages = st.builds(
    PageRef, st.sampled_from(["works", "contents"]), st.just(NO_CIRCLE), digests.map(lambda digest: Cid.v1(RAW, digest))
)


@given(st.lists(circle_pages | other_pages, max_size=30))
def test_an_index_round_trips(pages: list[PageRef]) -> None:
    assert decode_index(encode_index(pages)).pages == tuple(pages)


@given(st.lists(st.binary(max_size=300), max_size=30), st.lists(digests, max_size=30))
def test_pages_round_trip(records: list[bytes], roots: list[bytes]) -> None:
    assert decode_records(encode_records(records)) == records
    cids = [Cid.v1(RAW, root) for root in roots]
    assert decode_roots(encode_roots(cids)) == cids


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (decode_index, decode_records, decode_roots):
        with contextlib.suppress(DecodeError):
            decode(data)


def test_what_is_no_index() -> None:
    good = {"circle": bytes(32), "kind": "works", "page": bytes(32)}
    many = [good | {"kind": "circle", "circle": number.to_bytes(32, "big")} for number in range(1, MAX_CIRCLES + 2)]
    for fields in (
        {"kind": "bundle", "pages": (), "v": 2},
        {"kind": "other", "pages": (), "v": 1},
        {"kind": "bundle", "pages": (good | {"kind": "circle"},), "v": 1},
        {"kind": "bundle", "pages": (good | {"circle": b"\1" * 32},), "v": 1},
        {"kind": "bundle", "pages": (good | {"page": b""},), "v": 1},
        {"kind": "bundle", "pages": (b"",), "v": 1},
        {"kind": "bundle", "pages": tuple(many), "v": 1},
    ):
        with pytest.raises(DecodeError):
            decode_index(encoding.encode(fields))  # type: ignore[arg-type]


def test_vectors() -> None:
    for vector in json.loads(VECTORS.read_text()):
        block = bytes.fromhex(vector["block"])
        assert str(Cid.of(RAW, block)) == vector["cid"]
        if vector["is"] == "index":
            pages = [
                PageRef(p["kind"], CircleId(bytes.fromhex(p["circle"])), Cid.parse(p["page"])) for p in vector["pages"]
            ]
            assert encode_index(pages) == block and decode_index(block).pages == tuple(pages)
        elif vector["is"] == "records":
            assert encode_records([bytes.fromhex(r) for r in vector["records"]]) == block
        else:
            assert encode_roots([Cid.parse(r) for r in vector["roots"]]) == block
