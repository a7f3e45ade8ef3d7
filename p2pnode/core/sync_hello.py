"""How a sync session begins: which circle is meant, and who in it the two sides are.

HELLO    initiator  version 1 (1 byte), nonce (16), tag (16)
WELCOME  responder  status 0 (1 byte), nonce (16), key (32), signature (64); or one byte: 1 = no such circle, 2 = busy
PROOF    initiator  key (32), signature (64)

The tag is the beginning of SHA-256("p2pnode/sync/1" || circle || nonce || initiator || responder): who does not hold that circle learns
nothing from it; who holds it learns that we do. Each side signs with its pseudonym in the circle: a domain, the circle, both peer IDs and
the *other's* nonce. Peer IDs are authenticated by the connection, so a proof is of no use to anybody else or at any
other time. Pure bytes; `services.pseudonym_proof` exchanges them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from p2pnode.core.ids import ID_BYTES, CircleId, PeerId, PublicKey
from p2pnode.core.keys import SIGNATURE_BYTES, KeyPair, verify
from p2pnode.errors import DecodeError, PeerError

VERSION = 1
NONCE_BYTES = 16
TAG_BYTES = 16
TAG_DOMAIN = b"p2pnode/sync/1"
PROOF_DOMAIN = b"p2pnode/pseudonym/proof/1"
MAX_HELLO_BYTES = 1 + NONCE_BYTES + ID_BYTES + SIGNATURE_BYTES
"""The longest of the three frames."""

Refusal = Literal["no_circle", "busy"]
_HERE = 0
_REFUSALS: dict[int, Refusal] = {1: "no_circle", 2: "busy"}


@dataclass(frozen=True, slots=True)
class Hello:
    """What the initiator says first."""

    nonce: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """A pseudonym and its signature; worth nothing before `check_proof`."""

    key: PublicKey
    signature: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """The responder's answer where it has the circle."""

    nonce: bytes
    proof: Proof


def circle_tag(circle: CircleId, nonce: bytes, initiator: PeerId, responder: PeerId) -> bytes:
    """16 bytes that name a circle to those who know it."""
    return hashlib.sha256(TAG_DOMAIN + circle + nonce + _peers(initiator, responder)).digest()[:TAG_BYTES]


def encode_hello(hello: Hello) -> bytes:
    return bytes([VERSION]) + hello.nonce + hello.tag


def decode_hello(data: bytes) -> Hello:
    """DecodeError on anything else."""
    if len(data) != 1 + NONCE_BYTES + TAG_BYTES or data[0] != VERSION:
        raise DecodeError("not a hello of sync version 1")
    return Hello(data[1 : 1 + NONCE_BYTES], data[1 + NONCE_BYTES :])


def encode_welcome(welcome: Welcome) -> bytes:
    return bytes([_HERE]) + welcome.nonce + encode_proof(welcome.proof)


def encode_refusal(why: Refusal) -> bytes:
    return bytes(code for code, name in _REFUSALS.items() if name == why)


def decode_welcome(data: bytes) -> Welcome | Refusal:
    """DecodeError on anything else."""
    if len(data) == 1 and data[0] in _REFUSALS:
        return _REFUSALS[data[0]]
    if not data or data[0] != _HERE or len(data) != MAX_HELLO_BYTES:
        raise DecodeError("not an answer to a hello")
    return Welcome(data[1 : 1 + NONCE_BYTES], decode_proof(data[1 + NONCE_BYTES :]))


def encode_proof(proof: Proof) -> bytes:
    return proof.key + proof.signature


def decode_proof(data: bytes) -> Proof:
    """DecodeError on anything else; the signature is not looked at."""
    if len(data) != ID_BYTES + SIGNATURE_BYTES:
        raise DecodeError("not the proof of a pseudonym")
    return Proof(PublicKey(data[:ID_BYTES]), data[ID_BYTES:])


def make_proof(key: KeyPair, circle: CircleId, *, prover: PeerId, verifier: PeerId, nonce: bytes) -> Proof:
    """Sign with our pseudonym; `nonce` is the verifier's."""
    return Proof(key.public, key.sign(_signed(circle, prover, verifier, nonce)))


def check_proof(proof: Proof, circle: CircleId, *, prover: PeerId, verifier: PeerId, nonce: bytes) -> PublicKey:
    """The pseudonym that the prover holds. PeerError if it does not."""
    if not verify(proof.key, _signed(circle, prover, verifier, nonce), proof.signature):
        raise PeerError("the peer did not prove its pseudonym")
    return proof.key


def _signed(circle: CircleId, prover: PeerId, verifier: PeerId, nonce: bytes) -> bytes:
    return PROOF_DOMAIN + circle + nonce + _peers(prover, verifier)


def _peers(one: PeerId, other: PeerId) -> bytes:
    return b"".join(bytes([len(peer)]) + peer.encode() for peer in (one, other))
