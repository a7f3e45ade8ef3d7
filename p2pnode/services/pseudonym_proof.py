"""The first three frames of a sync session: name the circle without telling strangers, prove pseudonyms both ways.

See `core.sync_hello` for the bytes and decision note 0005 for why peer IDs are signed. Called by `services.sync` and `sync_server`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import trio

from p2pnode.core.ids import CircleId, PeerId, PublicKey
from p2pnode.core.keys import KeyPair
from p2pnode.core.sync_hello import (
    MAX_HELLO_BYTES,
    NONCE_BYTES,
    Hello,
    Refusal,
    Welcome,
    check_proof,
    circle_tag,
    decode_hello,
    decode_proof,
    decode_welcome,
    encode_hello,
    encode_proof,
    encode_refusal,
    encode_welcome,
    make_proof,
)
from p2pnode.errors import NetworkError
from p2pnode.ports import Stream
from p2pnode.services.framing import receive_frame, send_frame

HELLO_S = 10.0
"""For each frame of the introduction: there is nothing to compute or to load."""


async def introduce(stream: Stream, own: PeerId, circle: CircleId, key: KeyPair) -> PublicKey | Refusal:
    """Begin a session about a circle: the peer's proven pseudonym, or why it does not take part. PeerError if it lies."""
    peer, nonce = stream.peer, secrets.token_bytes(NONCE_BYTES)
    await send_frame(stream, encode_hello(Hello(nonce, circle_tag(circle, nonce, own, peer))))
    answer = decode_welcome(await _frame(stream))
    if not isinstance(answer, Welcome):
        return answer
    theirs = check_proof(answer.proof, circle, prover=peer, verifier=own, nonce=nonce)
    ours = make_proof(key, circle, prover=own, verifier=peer, nonce=answer.nonce)
    await send_frame(stream, encode_proof(ours))
    return theirs


async def listen(stream: Stream, own: PeerId, circles: Iterable[CircleId]) -> tuple[Hello, CircleId | None]:
    """The other side of it, first: what the peer said, and which of these circles it means."""
    hello = decode_hello(await _frame(stream))
    meant = (circle for circle in circles if circle_tag(circle, hello.nonce, stream.peer, own) == hello.tag)
    return hello, next(meant, None)


async def refuse(stream: Stream, why: Refusal) -> None:
    """Then no."""
    await send_frame(stream, encode_refusal(why))


async def welcome(stream: Stream, own: PeerId, circle: CircleId, key: KeyPair, hello: Hello) -> PublicKey:
    """Or yes: the peer's proven pseudonym. PeerError if it lies."""
    peer, nonce = stream.peer, secrets.token_bytes(NONCE_BYTES)
    ours = make_proof(key, circle, prover=own, verifier=peer, nonce=hello.nonce)
    await send_frame(stream, encode_welcome(Welcome(nonce, ours)))
    return check_proof(decode_proof(await _frame(stream)), circle, prover=peer, verifier=own, nonce=nonce)


async def _frame(stream: Stream) -> bytes:
    frame = None
    with trio.move_on_after(HELLO_S):
        frame = await receive_frame(stream, MAX_HELLO_BYTES)
    if frame is None:
        raise NetworkError("the peer ended the session before it began, or was silent")
    return frame
