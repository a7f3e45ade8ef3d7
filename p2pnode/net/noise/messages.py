"""Noise's transport messages as bytes: two of length, then a sealed body (specification: libp2p noise, "Wire format").

Sans-IO: `Sealer` turns what is to be said into bytes for the wire, `Opener` the other way round. Each message is sealed under the next
number of its direction, so that a message that was changed, left out, repeated or moved does not open. After an error neither is
of any use: the connection has to be closed. Called by `session`.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

TAG_BYTES: Final = 16
LENGTH_BYTES: Final = 2
MAX_SEALED_BYTES: Final = (1 << 16) - 1
MAX_PLAIN_BYTES: Final = MAX_SEALED_BYTES - TAG_BYTES
MAX_MESSAGES: Final = (1 << 64) - 1
"""The number that Noise keeps for itself: no message is ever sealed under it."""

_NUMBER = Struct("<4xQ")
_LENGTH = Struct("!H")


class NoiseError(Exception):
    """The connection can carry nothing more. The text is for our log."""


class TamperedError(NoiseError):
    """A message does not open: it is not what the peer sealed, or not the next one."""


class MessageLengthError(NoiseError):
    """A message that is shorter than its own seal."""


class ExhaustedError(NoiseError):
    """Every number of this direction was used."""


class Sealer:
    """One direction's way out. `key` are 32 bytes of the handshake, `number` that of the next message."""

    __slots__ = ("_cipher", "_number")

    def __init__(self, key: bytes, number: int = 0) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._number = number

    def seal(self, data: bytes | memoryview) -> bytearray:
        """All of `data` as messages that are as long as may be; none if there is none. ExhaustedError."""
        sealed = bytearray(sealed_size(len(data)))
        self.seal_into(data, memoryview(sealed))
        return sealed

    def seal_into(self, data: bytes | memoryview, target: memoryview) -> int:
        """As `seal`, into the beginning of `target`, which has room for `sealed_size`: how many bytes were written."""
        plain, at = memoryview(data), 0
        for start in range(0, len(plain), MAX_PLAIN_BYTES):
            piece = plain[start : start + MAX_PLAIN_BYTES]
            if self._number >= MAX_MESSAGES:
                raise ExhaustedError("every message number was used")
            length = len(piece) + TAG_BYTES
            body = at + LENGTH_BYTES
            _LENGTH.pack_into(target, at, length)
            at = body + length
            self._cipher.encrypt_into(_NUMBER.pack(self._number), piece, None, target[body:at])
            self._number += 1
        return at


def sealed_size(count: int) -> int:
    """Bytes on the wire of `count` bytes."""
    messages = -(-count // MAX_PLAIN_BYTES)
    return count + messages * (LENGTH_BYTES + TAG_BYTES)


class Opener:
    """The other direction. Keeps what has arrived of one message, and never more."""

    __slots__ = ("_cipher", "_held", "_number")

    def __init__(self, key: bytes, number: int = 0) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._number = number
        self._held = bytearray()  # the beginning of a message, with its length

    @property
    def is_between_messages(self) -> bool:
        """Whether an end of the connection here cuts no message in two."""
        return not self._held

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """What the messages that are whole now say, one by one; the iterator must be used up before the next call, and before `data`
        changes. NoiseError at the first that is not in order."""
        view, at = memoryview(data), 0
        if self._held:
            at = self._take_missing(view)
            if at < 0:
                return
            held, self._held = self._held, bytearray()
            yield self._open(memoryview(held)[LENGTH_BYTES:])
        end = len(view)
        while end - at >= LENGTH_BYTES:
            body = at + LENGTH_BYTES
            length: int = _LENGTH.unpack_from(view, at)[0]
            if length > end - body:
                break
            at = body + length
            yield self._open(view[body:at])
        if at < end:
            self._held += view[at:]
            self._held_length()

    def _take_missing(self, view: memoryview) -> int:
        """Complete the held message; how many bytes of `view` that took, -1 if it still misses some."""
        at = 0
        if len(self._held) < LENGTH_BYTES:
            at = LENGTH_BYTES - len(self._held)
            self._held += view[:at]
        missing = LENGTH_BYTES + self._held_length() - len(self._held)
        self._held += view[at : at + missing]
        return at + missing if at + missing <= len(view) else -1

    def _held_length(self) -> int:
        """What the held message announces; refused at once if it cannot be, and not when its bytes have come."""
        if len(self._held) < LENGTH_BYTES:
            return TAG_BYTES
        length: int = _LENGTH.unpack_from(self._held)[0]
        if length < TAG_BYTES:
            raise MessageLengthError(f"a message of {length} bytes")
        return length

    def _open(self, sealed: memoryview) -> bytes:
        if len(sealed) < TAG_BYTES:
            raise MessageLengthError(f"a message of {len(sealed)} bytes")
        if self._number >= MAX_MESSAGES:
            raise ExhaustedError("every message number was used")
        try:
            plain = self._cipher.decrypt(_NUMBER.pack(self._number), sealed, None)
        except InvalidTag:
            raise TamperedError("a message that does not open") from None
        self._number += 1
        return plain
