"""Invites into a circle: the link that one person hands to another, and the messages that redeem it over `/p2pnode/join/1`.

A link carries where the inviter's node is, which circle it opens, and a one-time secret of 16 bytes. Whoever holds it can join, so it
is handed over by a private way and ends by itself. Who learns what: the secret travels only inside the encrypted stream to
the very peer that the link names; that peer learns which pseudonym sits at the joiner's peer ID, nobody else does. The request is
signed by the new pseudonym over both peer IDs, so it cannot be replayed from elsewhere. Pure: `services.join` does the talking.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from p2pnode.core import encoding
from p2pnode.core.fields import array, digest, integer, octets, text, texts
from p2pnode.core.ids import CircleId, PeerId, PublicKey
from p2pnode.core.keys import SIGNATURE_BYTES, KeyPair, verify
from p2pnode.core.record import Record, Value
from p2pnode.core.records import MAX_SIGNED_BYTES, decode_signed, encode_signed
from p2pnode.errors import DecodeError, UsageError

JOIN_PROTOCOL = "/p2pnode/join/1"
SCHEME = "p2pnode:invite/"
VERSION = 1
SECRET_BYTES = 16
INVITE_LIFETIME_S = 7 * 86_400
"""A forgotten link must not open a circle for ever."""
MAX_ADDRESSES = 8
MAX_ADDRESS_CHARACTERS = 300
MAX_PEER_CHARACTERS = 100
MAX_NAME_CHARACTERS = 100
MAX_LINK_CHARACTERS = 6_000
"""Eight long addresses and a name in the widest script, in base32; a link must still fit a message or a QR code or two."""
MAX_REQUEST_BYTES = 1 << 10
MAX_ANSWER_BYTES = 64 << 10
"""A charter of 24 KiB and the vouches that lead from a steward to the new member."""
MAX_ANSWER_RECORDS = 32
_JOIN_DOMAIN = b"p2pnode/join/1"
_SECRET_DOMAIN = b"p2pnode/invite/1"


@dataclass(frozen=True, slots=True)
class Invite:
    """A link, read. `expires` in seconds since 1970; `addresses` are multiaddrs of `peer`; `name` is what its maker calls the circle."""

    salt: bytes
    circle: CircleId
    name: str
    peer: PeerId
    addresses: tuple[str, ...]
    secret: bytes
    expires: int


def encode_invite(invite: Invite) -> str:
    """The link."""
    body = encoding.encode(
        {
            "v": VERSION,
            "salt": invite.salt,
            "circle": invite.circle,
            "name": invite.name,
            "peer": invite.peer,
            "addresses": invite.addresses[:MAX_ADDRESSES],
            "secret": invite.secret,
            "expires": invite.expires,
        }
    )
    return SCHEME + base64.b32encode(body).decode().lower().rstrip("=")


def parse_invite(link: str) -> Invite:
    """Read a link as somebody pasted it (blanks and line breaks are forgiven). UsageError says what is wrong with it."""
    joined = "".join(link.split())
    hint = "ask for the link again and paste all of it"
    if not joined.lower().startswith(SCHEME):
        raise UsageError("this is not an invite", hint=f"an invite begins with {SCHEME}")
    if len(joined) > MAX_LINK_CHARACTERS:
        raise UsageError("this invite is too long to be one", hint=hint)
    encoded = joined[len(SCHEME) :].upper()
    try:
        body = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
        if base64.b32encode(body).decode().rstrip("=") != encoded:
            raise DecodeError("its last character carries stray bits")
        return _invite(_fields(body))
    except ValueError as error:
        raise UsageError("this invite is damaged: some of its characters are missing or foreign", hint=hint) from error
    except DecodeError as error:
        raise UsageError(f"this invite is damaged: {error.message}", hint=hint) from error


def _fields(body: bytes) -> Mapping[str, Value]:
    try:
        return encoding.decode_map(body)
    except DecodeError as error:
        raise DecodeError("it was cut short, or changed on its way") from error


def _invite(fields: Mapping[str, Value]) -> Invite:
    if integer(fields, "v") != VERSION:
        raise DecodeError("it was made by a newer version of p2pnode")
    addresses = texts(fields, "addresses", most=MAX_ADDRESSES, most_characters=MAX_ADDRESS_CHARACTERS)
    if any(not address.startswith("/") for address in addresses):
        raise DecodeError("one of its addresses is no multiaddr")
    return Invite(
        salt=digest(fields, "salt"),
        circle=CircleId(digest(fields, "circle")),
        name=text(fields, "name", most=MAX_NAME_CHARACTERS),
        peer=_peer(fields),
        addresses=addresses,
        secret=_secret(fields),
        expires=integer(fields, "expires"),
    )


def secret_digest(secret: bytes) -> bytes:
    """What the inviter's node keeps of a secret: enough to know it again, too little to make the link."""
    return hashlib.sha256(_SECRET_DOMAIN + secret).digest()


# ---------------------------------------------------------------- the two messages


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """Joiner -> inviter: the secret of the link and the pseudonym that wants the vouch. `decode_request` checked the signature."""

    circle: CircleId
    secret: bytes
    key: PublicKey


UNKNOWN, USED, EXPIRED, NOT_MEMBER = "unknown", "used", "expired", "not_member"
REFUSALS: Final[Mapping[str, str]] = {
    UNKNOWN: "the inviter's node does not know this invite",
    USED: "this invite was used up by others",
    EXPIRED: "this invite has expired",
    NOT_MEMBER: "the inviter is no longer in this circle",
}
"""Why a join is refused, in our own words: the other side sends the code only, never text for our screen."""


@dataclass(frozen=True, slots=True)
class JoinAccepted:
    """Inviter -> joiner: records to start with (charters first, then vouches from a steward to the joiner) and peers to ask next."""

    records: tuple[Record, ...]
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JoinRefused:
    """Inviter -> joiner: no, and the code of why."""

    code: str

    @property
    def words(self) -> str:
        """The reason for people; a code that we do not know says so."""
        return REFUSALS.get(self.code, "the inviter's node refused without a reason that this version knows")


def encode_request(key: KeyPair, circle: CircleId, secret: bytes, *, inviter: PeerId, joiner: PeerId) -> bytes:
    """A join request, signed by the new pseudonym for exactly this pair of peers."""
    signature = key.sign(_signed_part(circle, secret, key.public, inviter, joiner))
    return encoding.encode({"v": VERSION, "circle": circle, "secret": secret, "key": key.public, "sig": signature})


def decode_request(data: bytes, *, inviter: PeerId, joiner: PeerId) -> JoinRequest:
    """Read a request that came from peer `joiner` to us, `inviter`. DecodeError if malformed or not signed for this pair."""
    fields = encoding.decode_map(data, limit=MAX_REQUEST_BYTES)
    if integer(fields, "v") != VERSION:
        raise DecodeError("a join request of an unknown version")
    circle, secret = CircleId(digest(fields, "circle")), _secret(fields)
    key, signature = PublicKey(digest(fields, "key")), octets(fields, "sig", most=SIGNATURE_BYTES)
    if not verify(key, _signed_part(circle, secret, key, inviter, joiner), signature):
        raise DecodeError("the join request is not signed by its key for these two peers")
    return JoinRequest(circle, secret, key)


def encode_answer(answer: JoinAccepted | JoinRefused) -> bytes:
    """The answer's bytes. Records past the limits are left out from the end: sync brings them."""
    if isinstance(answer, JoinRefused):
        return encoding.encode({"v": VERSION, "refused": answer.code})
    records: list[Value] = []
    room = MAX_ANSWER_BYTES - (MAX_ADDRESSES * MAX_ADDRESS_CHARACTERS * 4) - (1 << 10)
    for signed in map(encode_signed, answer.records[:MAX_ANSWER_RECORDS]):
        room -= len(signed) + 5
        if room < 0:
            break
        records.append(signed)
    addresses = tuple(address[:MAX_ADDRESS_CHARACTERS] for address in answer.addresses[:MAX_ADDRESSES])
    return encoding.encode({"v": VERSION, "records": tuple(records), "addresses": addresses})


def decode_answer(data: bytes) -> JoinAccepted | JoinRefused:
    """Read an answer. DecodeError if it or any record in it is malformed or badly signed."""
    fields = encoding.decode_map(data, limit=MAX_ANSWER_BYTES)
    if integer(fields, "v") != VERSION:
        raise DecodeError("a join answer of an unknown version")
    if "refused" in fields:
        return JoinRefused(text(fields, "refused", most=32))
    items = array(fields, "records", most=MAX_ANSWER_RECORDS)
    records = tuple(decode_signed(octets({"r": item}, "r", most=MAX_SIGNED_BYTES)) for item in items)
    return JoinAccepted(records, texts(fields, "addresses", most=MAX_ADDRESSES, most_characters=MAX_ADDRESS_CHARACTERS))


def _signed_part(circle: CircleId, secret: bytes, key: PublicKey, inviter: PeerId, joiner: PeerId) -> bytes:
    return _JOIN_DOMAIN + encoding.encode((circle, secret, key, inviter, joiner))


def _peer(fields: Mapping[str, Value]) -> PeerId:
    return PeerId(text(fields, "peer", least=1, most=MAX_PEER_CHARACTERS))


def _secret(fields: Mapping[str, Value]) -> bytes:
    secret = octets(fields, "secret")
    if len(secret) != SECRET_BYTES:
        raise DecodeError(f"its secret has {len(secret)} bytes, not {SECRET_BYTES}")
    return secret
