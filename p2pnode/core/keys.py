"""Key pairs that sign records, and how one secret seed yields a separate name for every circle.

Everything derives from the 32-byte identity seed by HKDF-SHA256 (RFC 5869), so 24 words bring all names back. The libp2p host key
is *not* among them: it is random and replaceable, and must never tell who its owner is. Called by `services.circles` and
`local.identity`; never touches a file. PyNaCl (libsodium) is the one signer and verifier in this program: a second
one would disagree about some odd key for ever.
"""

from __future__ import annotations

import hashlib
import hmac

import nacl.exceptions
from nacl.bindings import crypto_sign_open
from nacl.signing import SigningKey

from p2pnode.core.ids import PublicKey

SEED_BYTES = 32
SIGNATURE_BYTES = 64
PUBLIC_KEY_BYTES = 32
PROFILE_INFO = b"p2pnode/profile/1"
PSEUDONYM_INFO = b"p2pnode/pseudonym/1"
_HASH_BYTES = hashlib.sha256().digest_size
_MAX_BLOCKS = 255


class KeyPair:
    """An Ed25519 key pair from a 32-byte seed. Its repr shows the public half only."""

    __slots__ = ("_signing", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes")
        self._signing = SigningKey(seed)
        self.public = PublicKey(bytes(self._signing.verify_key))

    @property
    def seed(self) -> bytes:
        """The secret 32 bytes."""
        return bytes(self._signing)

    def sign(self, message: bytes) -> bytes:
        """64 bytes of signature; the caller puts a domain in front of the message."""
        return bytes(self._signing.sign(message).signature)

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public.hex()})"


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether libsodium accepts it: no small-order or non-canonical key, no S beyond the group's order."""
    if len(key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, key)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.CryptoError):
        return False
    return True


def profile_key(seed: bytes) -> KeyPair:
    """The name of a person outside of any circle, from the identity seed."""
    return KeyPair(hkdf_sha256(_checked(seed), salt=b"", info=PROFILE_INFO, length=SEED_BYTES))


def pseudonym(seed: bytes, salt: bytes) -> KeyPair:
    """The name of a person in the circle whose charter has this 32-byte salt. No record links two of them."""
    if len(salt) != SEED_BYTES:
        raise ValueError(f"a circle's salt has {SEED_BYTES} bytes")
    return KeyPair(hkdf_sha256(_checked(seed), salt=salt, info=PSEUDONYM_INFO, length=SEED_BYTES))


def hkdf_sha256(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256: extract, then expand to `length` bytes (at most 8160)."""
    if not 0 < length <= _MAX_BLOCKS * _HASH_BYTES:
        raise ValueError("HKDF-SHA256 yields 1 to 8160 bytes")
    pseudorandom = hmac.digest(salt or bytes(_HASH_BYTES), secret, "sha256")
    output = block = b""
    for number in range(1, -(-length // _HASH_BYTES) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes([number]), "sha256")
        output += block
    return output[:length]


def _checked(seed: bytes) -> bytes:
    if len(seed) != SEED_BYTES:
        raise ValueError(f"an identity seed has {SEED_BYTES} bytes")
    return seed
