"""Records: nothing but DecodeError from any bytes; what is unknown is kept; replays and signature games (attacks 11, 12, 13)."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.encoding import encode
from p2pnode.core.record import Value
from p2pnode.core.records import (
    MAX_SIGNED_BYTES,
    SIGNATURE_DOMAIN,
    decode_signed,
    encode_signed,
    make,
    new_work_target,
    question_id,
    record_cid,
    record_id,
    seq_of,
    smaller_signature,
)
from p2pnode.core.understanding import is_understood
from p2pnode.errors import DecodeError, UsageError
from tests.core.examples import ANN, BEN, CIRCLE, NOW, OTHER_CIRCLE, WORK, ballot, names, proposal, texts, values


@given(reason=texts, choice=st.sampled_from(["approve", "reject", "abstain"]), counter=st.integers(0, 65535))
def test_round_trip(reason: str, choice: str, counter: int) -> None:
    record = ballot(choice=choice, reason=reason, counter=counter)
    again = decode_signed(encode_signed(record))
    assert again == record
    assert again.fields == record.fields
    assert again.fields["reason"] == unicodedata.normalize("NFC", reason)
    assert (again.circle, again.author, again.target, again.day) == (CIRCLE, ANN.public, WORK, NOW // 86_400)


@given(patch=st.dictionaries(names, values, max_size=3))
def test_a_proposal_with_any_patch_round_trips(patch: dict[str, Value]) -> None:
    record = proposal(patch={name: "x" if isinstance(v, str) else v for name, v in patch.items() if _plain(v)})
    assert decode_signed(encode_signed(record)) == record


def _plain(value: Value) -> bool:
    return isinstance(value, int | bytes)


@given(st.binary(max_size=300))
def test_any_bytes_raise_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_signed(data)


@given(st.data())
def test_any_change_of_a_signed_record_raises_decode_error(data: st.DataObject) -> None:
    wire = bytearray(encode_signed(ballot(reason="why")))
    at, bit = data.draw(st.integers(0, len(wire) - 1)), data.draw(st.integers(0, 7))
    wire[at] ^= 1 << bit
    with pytest.raises(DecodeError):
        decode_signed(bytes(wire))


@given(st.dictionaries(names, values, max_size=9))
def test_well_signed_maps_of_anything_decode_or_raise_decode_error(fields: dict[str, Value]) -> None:
    """The signature does not make an author harmless: a body of any shape is survived."""
    for kind in ("ballot", "manifest", "charter", "proposal", "profile", "vouch", "seal", "withdraw", "new"):
        merged: dict[str, Value] = {
            "v": 1,
            "kind": kind,
            "circle": CIRCLE,
            "author": ANN.public,
            "seq": seq_of(NOW, 0),
            "target": WORK,
            "created": NOW,
            **fields,
        }
        body = encode(merged)
        try:
            record = decode_signed(ANN.sign(SIGNATURE_DOMAIN + body) + body)
        except DecodeError:
            continue
        assert is_understood(record) in (True, False)


def test_ids_are_what_the_protocol_says() -> None:
    record = ballot()
    assert record.id == hashlib.sha256(b"p2pnode/rec/1" + record.body).digest() == record_id(record.body)
    assert record_cid(record.id).digest == record.id
    assert str(record_cid(record.id)).startswith("bafkrei")
    packed = encode((CIRCLE, "list", WORK, b"", {}))
    assert question_id(CIRCLE, "list", WORK, b"", {}) == hashlib.sha256(b"p2pnode/q/1" + packed).digest()
    assert new_work_target(bytes(16)) == hashlib.sha256(b"p2pnode/new/1" + bytes(16)).digest()


def test_the_same_question_has_one_id_whoever_asks() -> None:
    assert proposal(ANN).target == proposal(BEN).target
    others = [
        question_id(OTHER_CIRCLE, "list", WORK, b"", {}),
        question_id(CIRCLE, "flag", WORK, b"", {}),
        question_id(CIRCLE, "list", CIRCLE, b"", {}),
        question_id(CIRCLE, "list", WORK, WORK, {}),
        question_id(CIRCLE, "list", WORK, b"", {"a": 1}),
    ]
    assert len({*others, proposal().target}) == 6


def test_a_signature_does_not_pass_under_another_body_or_key() -> None:
    """P6 and attack 11: a replay into another circle, target or seq needs a new signature."""
    mine = ballot()
    for other in (ballot(circle=OTHER_CIRCLE), ballot(target=CIRCLE), ballot(counter=1), ballot(BEN), ballot(days=1)):
        with pytest.raises(DecodeError):
            decode_signed(mine.sig + other.body)


def test_of_two_signatures_the_bytewise_smaller_is_kept() -> None:
    one, other = b"\x01" + bytes(63), b"\x00" + b"\xff" * 63
    assert smaller_signature(one, other) == smaller_signature(other, one) == other


def test_unknown_kinds_keys_and_versions_are_kept_and_not_counted() -> None:
    new = make(ANN, "custody", circle=CIRCLE, target=WORK, seq=seq_of(NOW, 0), created=NOW, share=3)
    assert decode_signed(encode_signed(new)).fields["share"] == 3
    assert not is_understood(new)
    more = make(
        ANN, "ballot", circle=CIRCLE, target=WORK, seq=seq_of(NOW, 0), created=NOW, choice="approve", reason="", mood=1
    )
    assert decode_signed(encode_signed(more)).fields["mood"] == 1
    assert is_understood(more), "an unknown key is ignored, not the record that carries it"
    assert not is_understood(proposal(class_="merge"))
    assert is_understood(proposal(class_="takedown"))


@pytest.mark.parametrize(
    ("kind", "limit"), [("custody", 2048), ("proposal", 16384), ("manifest", 16384), ("charter", 24576)]
)
def test_size_limits_to_the_byte(kind: str, limit: int) -> None:
    def fields(padding: int) -> dict[str, Any]:
        pad = "x" * padding
        if kind == "proposal":
            patch = {"p": pad}
            question = question_id(CIRCLE, "edit", WORK, b"", patch)
            return {"target": question, "class": "edit", "subject": WORK, "base": b"", "patch": patch, "reason": ""}
        by_kind: dict[str, dict[str, Any]] = {
            "custody": {"pad": pad},
            "manifest": {"base": WORK, "work": {"pad": pad}},
            "charter": {"circle": CIRCLE, "target": CIRCLE, "base": WORK, "salt": WORK, "charter": {"pad": pad}},
        }
        return by_kind[kind]

    def build(padding: int) -> bytes:
        return make(
            ANN, kind, **({"circle": CIRCLE, "target": WORK, "seq": seq_of(NOW, 0), "created": NOW} | fields(padding))
        ).body

    near = limit - 600
    fits = near + limit - len(build(near))
    assert len(build(fits)) == limit
    with pytest.raises(UsageError):
        build(fits + 1)


def test_a_huge_input_is_refused_before_anything_is_read() -> None:
    with pytest.raises(DecodeError, match="over the limit"):
        decode_signed(bytes(MAX_SIGNED_BYTES + 1))


def test_seq_and_created_agree_at_the_edges_of_a_day() -> None:
    midnight = NOW // 86_400 * 86_400
    for created in (midnight, midnight + 86_399):
        make(ANN, "withdraw", circle=CIRCLE, target=WORK, seq=seq_of(created, 65535), created=created)
    with pytest.raises(UsageError, match="different days"):
        make(ANN, "withdraw", circle=CIRCLE, target=WORK, seq=seq_of(midnight, 0), created=midnight - 1)


@pytest.mark.parametrize("created", [0, 4_102_444_800, 2**53 - 1])
def test_times_from_1970_to_the_end_of_seq_decode(created: int) -> None:
    record = make(ANN, "withdraw", circle=CIRCLE, target=WORK, seq=seq_of(created, 0), created=created)
    assert decode_signed(encode_signed(record)).created == created


def test_the_writer_says_what_is_wrong() -> None:
    with pytest.raises(UsageError, match="ballot cannot be written"):
        ballot(choice="maybe")
    with pytest.raises(UsageError, match="surrogate"):
        ballot(reason="\ud800")
