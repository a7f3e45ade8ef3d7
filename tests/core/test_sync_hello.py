"""Proofs of pseudonyms are worth something only between two peers, in one circle, at one time."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core import sync_hello as hello
from p2pnode.core.ids import CircleId, PeerId
from p2pnode.errors import DecodeError, PeerError
from tests.support.circles import key

CIRCLE, OTHER = CircleId(bytes(32)), CircleId(b"\x01" * 32)
ANN, BOB, EVE = PeerId("ann"), PeerId("bob"), PeerId("eve")
NONCE = bytes(16)


def test_a_proof_is_good_for_the_one_it_was_made_for() -> None:
    proof = hello.make_proof(key("a"), CIRCLE, prover=ANN, verifier=BOB, nonce=NONCE)
    assert hello.check_proof(proof, CIRCLE, prover=ANN, verifier=BOB, nonce=NONCE) == key("a").public


@pytest.mark.parametrize(
    ("circle", "prover", "verifier", "nonce"),
    [
        (OTHER, ANN, BOB, NONCE),
        (CIRCLE, EVE, BOB, NONCE),
        (CIRCLE, ANN, EVE, NONCE),
        (CIRCLE, BOB, ANN, NONCE),
        (CIRCLE, ANN, BOB, b"\x01" * 16),
    ],
)
def test_replayed_elsewhere_it_is_worth_nothing(
    circle: CircleId, prover: PeerId, verifier: PeerId, nonce: bytes
) -> None:
    proof = hello.make_proof(key("a"), CIRCLE, prover=ANN, verifier=BOB, nonce=NONCE)
    with pytest.raises(PeerError):
        hello.check_proof(proof, circle, prover=prover, verifier=verifier, nonce=nonce)
    with pytest.raises(PeerError):
        hello.check_proof(hello.Proof(key("b").public, proof.signature), CIRCLE, prover=ANN, verifier=BOB, nonce=NONCE)


def test_a_tag_names_a_circle_between_two_peers_only() -> None:
    tags = {
        hello.circle_tag(circle, nonce, one, other)
        for circle in (CIRCLE, OTHER)
        for nonce in (NONCE, b"\x01" * 16)
        for one, other in ((ANN, BOB), (BOB, ANN), (ANN, EVE))
    }
    assert len(tags) == 12
    assert all(len(tag) == 16 for tag in tags)


def test_frames_survive_the_wire() -> None:
    proof = hello.make_proof(key("a"), CIRCLE, prover=ANN, verifier=BOB, nonce=NONCE)
    assert hello.decode_hello(hello.encode_hello(hello.Hello(NONCE, NONCE))) == hello.Hello(NONCE, NONCE)
    assert hello.decode_proof(hello.encode_proof(proof)) == proof
    welcome = hello.Welcome(NONCE, proof)
    assert hello.decode_welcome(hello.encode_welcome(welcome)) == welcome
    assert hello.decode_welcome(hello.encode_refusal("busy")) == "busy"
    assert hello.decode_welcome(hello.encode_refusal("no_circle")) == "no_circle"


@given(st.binary(max_size=130))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    for decode in (hello.decode_hello, hello.decode_welcome, hello.decode_proof):
        with contextlib.suppress(DecodeError):
            decode(data)
