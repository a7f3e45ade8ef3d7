"""Certificates of a person's devices: the identity says of a host key what that machine may do in the person's company.

A certificate is signed by the profile key and names a peer ID, so whoever copies it has nothing: the connection proves the key. Of two
for one device the higher `seq` stands; one without roles is a revocation. Certificates go between the devices of one person and
nowhere else: shown to others they would tie a name to an IP address. Pure; `services.devices` keeps and sends them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2pnode.core import encoding
from p2pnode.core.device_roles import NAME_CHARACTERS
from p2pnode.core.fields import digest, integer, text, texts
from p2pnode.core.ids import PeerId, PublicKey
from p2pnode.core.keys import SIGNATURE_BYTES, KeyPair, verify
from p2pnode.errors import DecodeError

DOMAIN = b"p2pnode/device/1"
"""Stands before the signed body, so that no other signature of the profile key can pass for a certificate."""
VERSION = 1
MAX_CERTIFICATE_BYTES = 768
"""Ours have about 250; room for roles that later versions add."""
MAX_PEER_CHARACTERS = 100
"""A peer ID has 52."""
MAX_ROLES = 16
ROLE_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an identity says of one device; `data` is the signed form. Without roles it is a revocation."""

    identity: PublicKey
    peer: PeerId
    name: str
    roles: tuple[str, ...]
    seq: int
    data: bytes

    @property
    def revoked(self) -> bool:
        return not self.roles

    def allows(self, role: str) -> bool:
        return role in self.roles


def certify(key: KeyPair, peer: PeerId, name: str, roles: Iterable[str], *, seq: int) -> Certificate:
    """Sign a certificate with the profile key; no roles revoke. `seq`: seconds since 1970, higher than the last one's."""
    body = encoding.encode(
        {"v": VERSION, "identity": key.public, "peer": peer, "name": name, "roles": tuple(sorted(roles)), "seq": seq}
    )
    return decode_certificate(key.sign(DOMAIN + body) + body)


def decode_certificate(data: bytes) -> Certificate:
    """A certificate whose signature is right. DecodeError on anything else; roles that we do not know are kept."""
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise DecodeError(f"a certificate of {len(data)} bytes is over the limit of {MAX_CERTIFICATE_BYTES}")
    signature, body = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
    fields = encoding.decode_map(body)
    if (version := integer(fields, "v")) != VERSION:
        raise DecodeError(f"a certificate of version {version} is not known here")
    if "roles" not in fields:
        raise DecodeError("the field roles is missing")  # without this, leaving it out would revoke
    identity = PublicKey(digest(fields, "identity"))
    roles = texts(fields, "roles", most=MAX_ROLES, most_characters=ROLE_CHARACTERS)
    if list(roles) != sorted(set(roles)):
        raise DecodeError("the roles are not in order, or one stands twice")
    name = text(fields, "name", least=1, most=NAME_CHARACTERS)
    peer = PeerId(text(fields, "peer", least=1, most=MAX_PEER_CHARACTERS))
    if not verify(identity, DOMAIN + body, signature):
        raise DecodeError("the certificate's signature is wrong")
    return Certificate(identity, peer, name, roles, integer(fields, "seq"), data)


def standing(one: Certificate, other: Certificate) -> Certificate:
    """Which of two about one device counts: the higher `seq`; of equal ones a revocation, then the bytewise smaller."""
    return max(one, other, key=lambda c: (c.seq, c.revoked, bytes(255 - byte for byte in c.data)))
