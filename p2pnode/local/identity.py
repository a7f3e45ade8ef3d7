"""The identity on disk: one secret seed in `identity.key`, from which every name of its owner derives, and `host.key` beside it.

Created at the first start, for its owner's eyes only, with a passphrase if one is given (scrypt, then ChaCha20-Poly1305). 24 words bring
it back on another machine. `host.key` is a seed of its own: the peer ID it makes can be thrown away without losing a name, and
tells nobody whose node it is. Called by the daemon at start and by `p2pnode identity`; never talks to anybody and never
asks for a passphrase: that is the caller's part. File format: protocol, "Key files".
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2pnode.core.keys import SEED_BYTES
from p2pnode.errors import DecodeError, RefusedError, UsageError
from p2pnode.local.keyfile import create_secret, read_secret, replace_secret

IDENTITY_FORMAT = "p2pnode identity"
HOST_FORMAT = "p2pnode host key"
FORMAT_VERSION = 1
SCRYPT_LOG_N = 16
"""2^16 x 8 x 128 bytes = 64 MiB and some tenths of a second: what a small home server can still afford."""
MAX_SCRYPT_LOG_N = 20
"""A file that asks for more than 1 GiB is refused, not obeyed."""
SCRYPT_R, SCRYPT_P = 8, 1
SALT_BYTES, NONCE_BYTES = 16, 12
BACKUP_WORDS = 24
_SEAL_DOMAIN = b"p2pnode/identity/1"
_TAG_BYTES = 16
_KEY_FILE = re.compile(rf'\s*\{{\s*"format":\s*"(?:{IDENTITY_FORMAT}|{HOST_FORMAT})"'.encode())


@dataclass(frozen=True, slots=True)
class Opened:
    """An identity read from its file: the seed, and whether a passphrase guards it."""

    seed: bytes
    sealed: bool

    def __repr__(self) -> str:
        return f"Opened(sealed={self.sealed})"  # never the seed: reprs end in logs


def load_or_create(path: Path, passphrase: str | None = None) -> tuple[bytes, bool]:
    """(seed, whether it was created just now). A new file is sealed when a passphrase is given. Errors as `open_identity`."""
    if not path.exists() and create_secret(path, _identity_file(os.urandom(SEED_BYTES), passphrase)):
        return open_identity(path, passphrase).seed, True
    return open_identity(path, passphrase).seed, False


def open_identity(path: Path, passphrase: str | None = None) -> Opened:
    """Read the seed.

    NotFoundError without a file; RefusedError if a passphrase is missing or wrong, or if others may read the file; DecodeError if
    the file is damaged. A passphrase given for an unsealed file is ignored.
    """
    content = _read_json(path, IDENTITY_FORMAT)
    if "seed" in content:
        return Opened(_bytes(path, content, "seed", SEED_BYTES), False)
    if passphrase is None:
        raise RefusedError(
            f"{path} is locked with a passphrase and none was given",
            hint="give it at the prompt or in P2PNODE_PASSPHRASE",
        )
    return Opened(_unseal(path, content, passphrase), True)


def is_key_file(head: bytes) -> bool:
    """Whether a file that begins so (some 64 bytes) is an identity or a host key, under whatever name: nothing to publish."""
    return _KEY_FILE.match(head) is not None


def is_sealed(path: Path) -> bool:
    """Whether opening it takes a passphrase. Errors as `open_identity`, but for the passphrase."""
    return "seed" not in _read_json(path, IDENTITY_FORMAT)


def check_identity(path: Path) -> None:
    """See that the file is an identity, or one behind a passphrase, which alone can tell more. Errors as `open_identity`."""
    content = _read_json(path, IDENTITY_FORMAT)
    if "seed" in content:
        _bytes(path, content, "seed", SEED_BYTES)
    else:
        _sealed_parts(path, content)


def change_passphrase(path: Path, old: str | None, new: str | None) -> None:
    """Seal the identity with another passphrase, or unseal it (`new` None). Errors as `open_identity`."""
    replace_secret(path, _identity_file(open_identity(path, old).seed, new))


def load_or_create_host_key(path: Path) -> bytes:
    """The 32-byte seed of the libp2p host key, created when there is none. Errors as `open_identity`."""
    if not path.exists():
        create_secret(path, _plain_file(HOST_FORMAT, os.urandom(SEED_BYTES)))
    return _bytes(path, _read_json(path, HOST_FORMAT), "seed", SEED_BYTES)


def sealed_file(seed: bytes, passphrase: str | None) -> bytes:
    """What a file holds that keeps a seed behind a passphrase, for a backup. UsageError if the passphrase is empty."""
    return _identity_file(seed, passphrase or "")


def identity_file(seed: bytes) -> bytes:
    """What an identity file without a passphrase holds."""
    return _plain_file(IDENTITY_FORMAT, seed)


def plain_host_key(seed: bytes) -> bytes:
    """What a host key file holds."""
    return _plain_file(HOST_FORMAT, seed)


# ---------------------------------------------------------------- 24 words


def backup_words(seed: bytes) -> str:
    """The seed as 24 English words (BIP-39, with its checksum)."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes")
    return str(_mnemonic().to_mnemonic(seed))


def seed_from_words(text: str) -> bytes:
    """The seed of 24 words as somebody typed them: case, commas and numbering are forgiven. UsageError names the bad word."""
    words = [word for word in (part.strip(".,;:)").lower() for part in text.split()) if word and not word.isdigit()]
    mnemonic = _mnemonic()
    known = set(mnemonic.wordlist)
    for at, word in enumerate(words, 1):
        if word not in known:
            raise UsageError(f"word {at}, {word[:20]!r}, is not one of the backup words", hint=_nearest(word, known))
    if len(words) != BACKUP_WORDS:
        raise UsageError(f"a backup has {BACKUP_WORDS} words, not {len(words)}")
    try:
        return bytes(mnemonic.to_entropy(words))
    except (ValueError, LookupError) as error:
        raise UsageError(
            "these 24 words do not belong together: their checksum does not fit",
            hint="look for two words that changed places, or one that looks like another",
        ) from error


def restore(path: Path, words: str, passphrase: str | None = None, *, replace: bool = False) -> bool:
    """Write the identity that the words name; False if that very identity is there already.

    RefusedError if another identity is there and `replace` is false; UsageError for bad words. An existing file that cannot be
    opened with this passphrase counts as another identity.
    """
    seed = seed_from_words(words)
    if create_secret(path, _identity_file(seed, passphrase)):
        return True
    try:
        if open_identity(path, passphrase).seed == seed:
            return False
    except (RefusedError, DecodeError) as error:
        if not replace:
            raise RefusedError(
                f"{path} holds an identity that cannot be compared: {error.message}", hint="move that file away first"
            ) from error
    if not replace:
        raise RefusedError(f"{path} holds another identity already", hint="back that one up and move its file away")
    replace_secret(path, _identity_file(seed, passphrase))
    return True


def _mnemonic() -> Any:
    from mnemonic import Mnemonic  # reads its word list: only backups pay for it

    return Mnemonic("english")


def _nearest(word: str, known: set[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, sorted(known), n=3)
    return f"did you mean {' or '.join(near)}?" if near else "they are common English words; look at your copy again"


# ---------------------------------------------------------------- file format


def _identity_file(seed: bytes, passphrase: str | None) -> bytes:
    if passphrase is None:
        return _plain_file(IDENTITY_FORMAT, seed)
    if not passphrase:
        raise UsageError("the passphrase is empty", hint="leave it out to have none")
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    key = _stretch(passphrase, salt, SCRYPT_LOG_N)
    return _dump(
        {
            "format": IDENTITY_FORMAT,
            "version": FORMAT_VERSION,
            "kdf": "scrypt",
            "log_n": SCRYPT_LOG_N,
            "salt": salt.hex(),
            "cipher": "chacha20-poly1305",
            "nonce": nonce.hex(),
            "sealed": ChaCha20Poly1305(key).encrypt(nonce, seed, _SEAL_DOMAIN).hex(),
        }
    )


def _plain_file(format_name: str, seed: bytes) -> bytes:
    return _dump({"format": format_name, "version": FORMAT_VERSION, "seed": seed.hex()})


def _dump(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _unseal(path: Path, content: dict[str, Any], passphrase: str) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    log_n, salt, nonce, sealed = _sealed_parts(path, content)
    try:
        return ChaCha20Poly1305(_stretch(passphrase, salt, log_n)).decrypt(nonce, sealed, _SEAL_DOMAIN)
    except InvalidTag as error:
        raise RefusedError(
            f"the passphrase does not open {path}",
            hint="check the keyboard layout and the shift lock; without it only the 24 words bring the identity back",
        ) from error


def _sealed_parts(path: Path, content: dict[str, Any]) -> tuple[int, bytes, bytes, bytes]:
    """Cost, salt, nonce, and the sealed seed. DecodeError if the file cannot have been sealed by us."""
    log_n = content.get("log_n")
    if content.get("kdf") != "scrypt" or content.get("cipher") != "chacha20-poly1305":
        raise _damaged(path, "it is sealed in a way that this version does not know")
    if type(log_n) is not int or not 1 <= log_n <= MAX_SCRYPT_LOG_N:
        raise _damaged(path, "its scrypt cost is out of range")
    salt, nonce = _bytes(path, content, "salt", SALT_BYTES), _bytes(path, content, "nonce", NONCE_BYTES)
    return log_n, salt, nonce, _bytes(path, content, "sealed", SEED_BYTES + _TAG_BYTES)


def _stretch(passphrase: str, salt: bytes, log_n: int) -> bytes:
    from unicodedata import normalize

    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    secret = normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    return Scrypt(salt=salt, length=32, n=1 << log_n, r=SCRYPT_R, p=SCRYPT_P).derive(secret)


def _read_json(path: Path, format_name: str) -> dict[str, Any]:
    try:
        content = json.loads(read_secret(path))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "it is not JSON") from error
    if not isinstance(content, dict) or content.get("format") != format_name:
        raise _damaged(path, f"it is not a {format_name} file")
    if content.get("version") != FORMAT_VERSION:
        raise _damaged(path, "it was written by another version of p2pnode")
    return content


def _bytes(path: Path, content: dict[str, Any], name: str, count: int) -> bytes:
    value = content.get(name)
    try:
        data = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        data = b""
    if len(data) != count:
        raise _damaged(path, f"its {name} is not {count} bytes in hexadecimal")
    return data


def _damaged(path: Path, why: str) -> DecodeError:
    return DecodeError(
        f"{path} cannot be used: {why}",
        hint="put a copy of it back, or move it away and restore from your 24 words: p2pnode identity restore",
    )
