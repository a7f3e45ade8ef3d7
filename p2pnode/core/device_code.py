"""The short code that pairs two machines: four characters that say which node is meant, and six digits that are secret.

The first part is a digest of the peer ID: it lets the other side find the node among its peers, and whoever makes a peer ID to fit gains
one guess at the digits, no more. Pure; the digits come from the caller's random source. Called by `services.devices_pairing`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from p2pnode.core.ids import PeerId
from p2pnode.errors import UsageError

DOMAIN = b"p2pnode/pair/plate/1"
PLATE_CHARACTERS = 4
"""20 bits: enough to tell one node from the others in sight."""
SECRET_DIGITS = 6
"""A million codes and three tries: three in a million for whoever guesses. What is typed must stay short."""

_SHAPE = re.compile(rf"([a-z2-7]{{{PLATE_CHARACTERS}}})[- ]?([0-9]{{3}})[- ]?([0-9]{{3}})")


@dataclass(frozen=True, slots=True)
class Code:
    """A code in its two parts. Its repr keeps the secret."""

    plate: str
    secret: str

    def __str__(self) -> str:
        half = SECRET_DIGITS // 2
        return f"{self.plate}-{self.secret[:half]}-{self.secret[half:]}"

    def __repr__(self) -> str:
        return f"Code({self.plate}-...)"

    @property
    def password(self) -> bytes:
        """What SPAKE2 gets: the digits alone."""
        return self.secret.encode()


def plate_of(peer: PeerId) -> str:
    """The part of a code that says whose it is."""
    return base64.b32encode(hashlib.sha256(DOMAIN + peer.encode()).digest()).decode().lower()[:PLATE_CHARACTERS]


def make_code(peer: PeerId, number: int) -> Code:
    """A code for this node; `number` is random, below a million."""
    if not 0 <= number < 10**SECRET_DIGITS:
        raise ValueError(f"a code has {SECRET_DIGITS} digits")
    return Code(plate_of(peer), f"{number:0{SECRET_DIGITS}d}")


def parse_code(text: str) -> Code:
    """What a person typed. UsageError if it cannot be a code."""
    match = _SHAPE.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(
            "this is no pairing code",
            hint="it looks like k7qm-482-913; the other machine shows it: p2pnode device pair",
        )
    return Code(match[1], match[2] + match[3])
