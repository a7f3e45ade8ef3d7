"""Maps of what a node has: they round-trip, and any other bytes are a DecodeError and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.encoding import encode
from p2pnode.core.have_messages import (
    MAX_ANSWER_BYTES,
    MAX_MAP_BYTES,
    MAX_PEERS,
    Extent,
    Holding,
    decode_ask,
    encode_ask,
    is_set,
    to_map,
)
from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError
from p2pnode.services.rarity import OwnMap, Rarity

ROOT = Cid.of(RAW, b"root")
LEAVES = [Cid.of(RAW, bytes([number])) for number in range(50)]


@given(st.lists(st.booleans(), max_size=100))
def test_a_map_has_the_bits_it_was_made_of(bits: list[bool]) -> None:
    made = to_map(bits)
    assert [is_set(made, at) for at in range(len(bits) + 20)] == bits + [False] * 20


def test_asking_and_answers_round_trip() -> None:
    assert decode_ask(encode_ask(ROOT)) == ROOT
    answer = Holding(Extent.SOME, b"\xff\x00", b"\x00\x01", (PeerId("12D3KooWabc"),))
    assert Holding.from_bytes(answer.to_bytes()) == answer
    largest = Holding(Extent.SOME, bytes(MAX_MAP_BYTES), bytes(MAX_MAP_BYTES), (PeerId("x" * 128),) * MAX_PEERS)
    assert len(largest.to_bytes()) <= MAX_ANSWER_BYTES
    assert Holding.from_bytes(largest.to_bytes()) == largest


@pytest.mark.parametrize(
    "fields",
    [
        {"coming": b"", "extent": 3, "have": b"", "peers": ()},
        {"coming": b"", "extent": True, "have": b"", "peers": ()},
        {"coming": b"", "extent": 1, "have": b"x", "peers": ()},
        {"coming": b"x", "extent": 2, "have": b"x", "peers": ()},
        {"coming": b"", "extent": 1, "have": b""},
        {"coming": b"", "extent": 1, "have": b"", "peers": ("a b",)},
        {"coming": b"", "extent": 1, "have": b"", "peers": ("a",) * (MAX_PEERS + 1)},
        {"coming": bytes(MAX_MAP_BYTES + 1), "extent": 1, "have": bytes(MAX_MAP_BYTES + 1), "peers": ()},
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        Holding.from_bytes(encode(fields))  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (decode_ask, Holding.from_bytes):
        try:
            decode(data)
        except DecodeError:
            continue


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.sets(st.sampled_from(LEAVES))), max_size=30))
def test_holders_are_counted_whatever_is_told_in_whatever_order(told: list[tuple[str, set[Cid] | None]]) -> None:
    rarity = Rarity(LEAVES)
    now: dict[str, set[Cid]] = {}
    for peer, held in told:
        now.pop(peer, None)
        if held is not None:
            now[peer] = held
            have, coming = OwnMap(LEAVES, list(held)[::2]).maps(list(held)[1::2])
            rarity.told(PeerId(peer), Holding(Extent.SOME, have, coming))
        else:
            rarity.told(PeerId(peer), None)
    for leaf in LEAVES:
        assert rarity.holders(leaf) == sum(leaf in held for held in now.values())
    assert bool(rarity) == bool(now)
    assert rarity.holders(ROOT) == 0


def test_a_map_longer_than_the_content_is_harmless() -> None:
    rarity = Rarity(LEAVES)
    rarity.told(PeerId("a"), Holding(Extent.SOME, b"\xff" * 100, b"\xff" * 100))
    assert rarity.holders(LEAVES[-1]) == 1 and rarity.has(PeerId("a"), LEAVES[0])
