"""Bitswap's messages: what others write is read, what we write is what they read, and nothing that comes can do more than be refused."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.bitswap_messages import (
    MAX_ENTRIES,
    MAX_FIELDS,
    MAX_MESSAGE_BYTES,
    PROTOCOL_100,
    PROTOCOL_110,
    Entry,
    Presence,
    RawBlock,
    Want,
    block_cid,
    decode_message,
    encode_answer,
    encode_wants,
)
from p2pnode.core.cid import DAG_PB, RAW, SHA2_256, Cid, encode_varint
from p2pnode.errors import DecodeError
from p2pnode.limits import MAX_BLOCK_BYTES

LEAF = Cid.of(RAW, b"leaf")
NODE_V0 = Cid(0, DAG_PB, b"\x12\x20" + hashlib.sha256(b"node").digest())
CIDS = st.binary(max_size=8).map(lambda data: Cid.of(RAW, data)) | st.just(NODE_V0)
ENTRIES = st.builds(
    Entry, CIDS, st.integers(0, 2**31 - 1), st.just(False), st.sampled_from(Want), st.booleans()
) | st.builds(Entry, CIDS, st.integers(0, 9), st.just(True))


def field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + encode_varint(len(value)) + value


@given(st.lists(ENTRIES, max_size=20), st.booleans())
def test_wants_come_back(entries: list[Entry], full: bool) -> None:
    message = decode_message(encode_wants(entries, full=full))
    assert (list(message.entries), message.full) == (entries, full)


@given(st.lists(st.binary(max_size=300), max_size=10), st.lists(st.builds(Presence, CIDS, st.booleans()), max_size=10))
def test_answers_come_back(datas: list[bytes], presences: list[Presence]) -> None:
    blocks = [(Cid.of(RAW, data), data) for data in datas]
    message = decode_message(encode_answer(blocks, presences))
    assert [(block_cid(block), block.data) for block in message.blocks] == blocks
    assert list(message.presences) == presences


@given(st.binary(max_size=400))
def test_rubbish_is_refused_or_read_and_nothing_else(data: bytes) -> None:
    try:
        message = decode_message(data)
        for block in message.blocks:
            block_cid(block)
    except DecodeError:
        pass


@given(st.data())
def test_damaged_messages_are_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(
        encode_wants([Entry(LEAF), Entry(NODE_V0, 7)]) + encode_answer([(LEAF, b"leaf")], [Presence(LEAF, False)])
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        decode_message(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def test_the_bytes_are_those_of_the_specification() -> None:
    """Written by hand from the protobuf definition: field numbers and wire types do not follow from our own reader."""
    cid = LEAF.to_bytes()
    entry = b"\x0a\x24" + cid + b"\x10\x05" + b"\x20\x01" + b"\x28\x01"
    assert encode_wants([Entry(LEAF, 5, want=Want.HAVE, send_dont_have=True)], full=True) == (
        b"\x0a" + bytes([len(entry) + 4]) + b"\x0a" + bytes([len(entry)]) + entry + b"\x10\x01"
    )
    assert encode_answer([(LEAF, b"leaf")], [Presence(LEAF, False), Presence(LEAF, True)]) == (
        b"\x1a\x0c\x0a\x04\x01\x55\x12\x20\x12\x04leaf"
        + b"\x22\x28\x0a\x24" + cid + b"\x10\x01"
        + b"\x22\x26\x0a\x24" + cid
    )  # fmt: skip


def test_older_versions_get_what_they_understand() -> None:
    blocks, presences = [(NODE_V0, b"node")], [Presence(LEAF, False)]
    assert encode_answer(blocks, presences, protocol=PROTOCOL_100) == b"\x12\x04node"
    assert encode_answer([], presences, protocol=PROTOCOL_110) == b""
    (block,) = decode_message(b"\x12\x04node").blocks
    assert block_cid(block) == NODE_V0
    (block,) = decode_message(encode_answer(blocks, presences, protocol=PROTOCOL_110)).blocks
    assert block_cid(block) == NODE_V0


@pytest.mark.parametrize(
    ("block", "cid"),
    [
        (RawBlock(1, RAW, 0x13, 64, b"x"), Cid(1, RAW, b"\x13\x40" + hashlib.sha512(b"x").digest())),
        (RawBlock(1, RAW, 0x1E, 32, b"x"), Cid(1, RAW, b"\x1e\x20" + blake3(b"x").digest())),
        (RawBlock(1, 0x71, SHA2_256, 32, b"x"), Cid(1, 0x71, b"\x12\x20" + hashlib.sha256(b"x").digest())),
    ],
)
def test_blocks_of_every_hash_that_we_check_are_known_by_their_bytes(block: RawBlock, cid: Cid) -> None:
    assert block_cid(block) == cid


@pytest.mark.parametrize(
    "block",
    [
        RawBlock(1, RAW, SHA2_256, 20, b"x"),  # a truncated digest
        RawBlock(1, RAW, 0x11, 20, b"x"),  # sha1
        RawBlock(1, RAW, 0, 1, b"x"),  # identity: nobody need send it
        RawBlock(2, RAW, SHA2_256, 32, b"x"),
        RawBlock(0, RAW, SHA2_256, 32, b"x"),
    ],
)
def test_blocks_that_nobody_may_send_are_refused(block: RawBlock) -> None:
    with pytest.raises(DecodeError):
        block_cid(block)


def test_negative_priorities_and_unknown_fields_are_read() -> None:
    entry = field(1, LEAF.to_bytes()) + b"\x10" + b"\xff" * 9 + b"\x01" + field(9, b"new") + b"\x50\x01"
    message = decode_message(field(1, field(1, entry)) + b"\x28" + b"\xff" * 9 + b"\x01" + field(12, b"new"))
    assert message.entries == (Entry(LEAF, -1),) and message.pending_bytes == 0


def test_an_entry_whose_cid_we_cannot_read_costs_only_itself() -> None:
    strange = field(1, field(1, b"\x02\x55\x12\x00"))  # CID version 2
    assert decode_message(field(1, strange + field(1, field(1, LEAF.to_bytes())))).entries == (Entry(LEAF),)
    assert decode_message(field(4, field(1, b"\x07"))).presences == ()


def test_what_is_over_a_limit_is_refused_or_passed_over() -> None:
    entry = field(1, field(1, LEAF.to_bytes()))
    assert len(decode_message(field(1, entry * (MAX_ENTRIES + 5))).entries) == MAX_ENTRIES
    assert len(decode_message(field(4, field(1, LEAF.to_bytes())) * (MAX_ENTRIES + 5)).presences) == MAX_ENTRIES
    assert len(decode_message(field(2, b"x") * (MAX_ENTRIES + 5)).blocks) == MAX_ENTRIES
    with pytest.raises(DecodeError, match="fields"):
        decode_message(b"\x28\x00" * (MAX_FIELDS + 1))
    with pytest.raises(DecodeError, match="limit"):
        decode_message(bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(DecodeError, match="limit"):
        decode_message(field(2, bytes(MAX_BLOCK_BYTES + 1)))
    assert len(decode_message(field(2, bytes(MAX_BLOCK_BYTES))).blocks) == 1
