"""The messages in tests/vectors/frames.json, made by hand from the protocol's pages: what is valid is read, what is not is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from p2pnode.core import fetch_messages, gossip_frame, invite, search_messages, sync_hello, sync_messages
from p2pnode.core.ids import CircleId, PeerId, RecordId
from p2pnode.core.sync_index import SyncIndex, fingerprint
from p2pnode.core.sync_messages import KeyRange
from p2pnode.core.sync_salted import SaltedIndex
from p2pnode.core.words import word_key
from p2pnode.errors import DecodeError
from p2pnode.net.lan import service_type
from p2pnode.services.sync import circle_key
from tests.core.make_frame_vectors import ANNA, BEN, PLACE, written

VECTORS = json.loads(PLACE.read_text(encoding="utf-8"))


def decode_join(data: bytes) -> object:
    return invite.decode_request(data, inviter=PeerId(ANNA), joiner=PeerId(BEN))


DECODERS: dict[str, Callable[[bytes], object]] = {
    "sync": sync_messages.decode_frame,
    "gossip": gossip_frame.decode_frame,
    "fetch_request": fetch_messages.decode_request,
    "fetch_head": fetch_messages.decode_head,
    "search_question": search_messages.decode_question,
    "search_answer": search_messages.decode_answer,
    "join_request": decode_join,
}
CASES = [
    pytest.param(protocol, what, bytes.fromhex(case["hex"]), id=f"{protocol}-{what}-{case['name']}")
    for protocol in DECODERS
    for what in ("valid", "invalid")
    for case in VECTORS[protocol][what]
]


def of(protocol: str, name: str) -> bytes:
    (found,) = [case["hex"] for case in VECTORS[protocol]["valid"] if case["name"] == name]
    return bytes.fromhex(found)


@pytest.mark.parametrize(("protocol", "what", "data"), CASES)
def test_valid_ones_are_read_and_others_refused(protocol: str, what: str, data: bytes) -> None:
    if what == "valid":
        DECODERS[protocol](data)
        return
    with pytest.raises(DecodeError):
        DECODERS[protocol](data)


def test_the_file_is_what_its_script_writes() -> None:
    assert PLACE.read_text(encoding="utf-8") == written()


def test_what_sync_frames_say() -> None:
    frame = sync_messages.decode_frame(of("sync", "rest: a fingerprint, a gap, ids; the second bound shares a byte"))
    said = (KeyRange(b"", b"\x07\x01", b"\xf1" * 16), KeyRange(b"\x07\x05", None, (RecordId(b"\x03" * 32),)))
    assert (frame.kind, frame.ranges) == (sync_messages.REST, said)
    encoded, taken = sync_messages.encode_ranges(sync_messages.REST, said)
    assert (encoded, taken) == (of("sync", "rest: a fingerprint, a gap, ids; the second bound shares a byte"), 2)
    assert sync_messages.encode_bye(cut=True) == of("sync", "bye, cut")
    again = sync_messages.decode_frame(of("sync", "empty, last, again"))
    assert (again.last, bool(again.flags & sync_messages.AGAIN), bool(again.flags & sync_messages.MORE)) == (
        True,
        True,
        False,
    )


def test_what_other_messages_say() -> None:
    request = fetch_messages.decode_request(of("fetch_request", "two blocks, one of them the root"))
    assert request.cids[0] == request.root and len(request.cids) == 2
    assert fetch_messages.encode_request(request.root, request.cids) == of(
        "fetch_request", "two blocks, one of them the root"
    )
    assert fetch_messages.decode_head(of("fetch_head", "have, 2 MiB")) == (fetch_messages.Status.HAVE, 2 << 20)
    question = search_messages.decode_question(of("search_question", "by words"))
    assert search_messages.encode_question(question) == of("search_question", "by words")
    (found,) = search_messages.decode_answer(of("search_answer", "one work"))
    assert found.kind == "manifest"
    assert search_messages.encode_answer([found]) == of("search_answer", "one work")
    assert list(gossip_frame.encode_frames(gossip_frame.decode_frame(of("gossip", "two records")))) == [
        of("gossip", "two records")
    ]


def test_the_introduction_of_sync() -> None:
    told: dict[str, Any] = VECTORS["hello"]
    circle = CircleId(bytes.fromhex(told["circle"]))
    anna, ben = PeerId(told["initiator"]), PeerId(told["responder"])
    hello = sync_hello.decode_hello(bytes.fromhex(told["hello"]))
    assert sync_hello.circle_tag(circle, hello.nonce, anna, ben) == hello.tag
    welcome = sync_hello.decode_welcome(bytes.fromhex(told["welcome"]))
    assert isinstance(welcome, sync_hello.Welcome)
    key = sync_hello.check_proof(welcome.proof, circle, prover=ben, verifier=anna, nonce=hello.nonce)
    assert key.hex() == told["key_of_responder"]
    proof = sync_hello.decode_proof(bytes.fromhex(told["proof"]))
    key = sync_hello.check_proof(proof, circle, prover=anna, verifier=ben, nonce=welcome.nonce)
    assert key.hex() == told["key_of_initiator"]
    for data in told["invalid_hellos"].values():
        with pytest.raises(DecodeError):
            sync_hello.decode_hello(bytes.fromhex(data))


def test_an_invite() -> None:
    told: dict[str, Any] = VECTORS["invite"]
    read = invite.parse_invite(told["link"])
    assert invite.encode_invite(read) == told["link"]
    assert (read.name, read.peer, read.expires) == tuple(told["fields"][name] for name in ("name", "peer", "expires"))
    assert invite.secret_digest(read.secret).hex() == told["kept_by_the_inviter"]


def test_keys_topics_and_fingerprints() -> None:
    told: dict[str, Any] = VECTORS["derived"]
    circle = CircleId(bytes.fromhex(told["circle"]))
    assert gossip_frame.circle_topic(circle) == told["topic"]
    assert circle_key(circle).hex() == told["circle_key"]
    assert service_type(told["network"]) == told["lan_service"]
    assert word_key(told["word"]).hex() == told["word_key"]
    index = SyncIndex((7, RecordId(bytes.fromhex(id))) for id in told["ids"])
    assert index.fingerprint(b"", None).hex() == told["fingerprint"]
    assert fingerprint(0, 0).hex() == told["fingerprint_of_nothing"]
    two = SyncIndex([(5, RecordId(bytes.fromhex(told["ids"][0]))), (6, RecordId(bytes.fromhex(told["ids"][1])))])
    assert SaltedIndex(two, b"\xf1" * 16).fingerprint(b"", None).hex() == told["fingerprint_salted"]
