"""What one's machines tell each other: marks, followed circles, the list of works, as a last-writer-wins set that the identity signs.

An entry is a key, a value (empty: taken back) and a time; of two for one key the later stands. Because the identity signs, a home server
carries entries from one desk to the next and can neither make nor change one. Sent between devices of one person only. Pure;
`services.devices_state` reads and applies it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from p2pnode.core import encoding
from p2pnode.core.device import MAX_CERTIFICATE_BYTES
from p2pnode.core.fields import array, digest, integer, octets, text
from p2pnode.core.ids import PublicKey
from p2pnode.core.keys import SIGNATURE_BYTES, KeyPair, verify
from p2pnode.core.records import MAX_SIGNED_BYTES
from p2pnode.errors import DecodeError

DEVICES_PROTOCOL = "/p2pnode/devices/1"
DOMAIN = b"p2pnode/device/state/1"
VERSION = 1
KEY_CHARACTERS = 200
"""A kind, a peer ID and 64 digits of an id."""
MAX_VALUE_BYTES = MAX_SIGNED_BYTES
"""The longest value is a circle's first charter, signed."""
MAX_ENTRIES = 5000
"""Entries in all: the set is sent whole when two machines differ."""
MAX_FRAME_BYTES = 64 << 10
MAX_FRAMES = 256
"""Frames of one side: all entries, a hundred and more charters among them, and a bound of 16 MiB on what a broken machine sends."""
FULL_FRAME_BYTES = 32 << 10
"""A frame is closed when it has grown beyond this."""
MAX_CERTIFICATES = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `stamp` in milliseconds since 1970, `data` the signed form."""

    identity: PublicKey
    key: str
    value: bytes
    stamp: int
    data: bytes


def sign_entry(pair: KeyPair, key: str, value: bytes, stamp: int) -> Entry:
    """Sign with the profile key. DecodeError when it has no valid form."""
    body = encoding.encode({"v": VERSION, "identity": pair.public, "key": key, "value": value, "stamp": stamp})
    return decode_entry(pair.sign(DOMAIN + body) + body)


def decode_entry(data: bytes) -> Entry:
    """An entry whose signature is right. DecodeError on anything else."""
    body = data[SIGNATURE_BYTES:]
    fields = encoding.decode_map(body, limit=MAX_VALUE_BYTES + 1024)
    if (version := integer(fields, "v")) != VERSION:
        raise DecodeError(f"an entry of version {version} is not known here")
    identity = PublicKey(digest(fields, "identity"))
    key = text(fields, "key", least=1, most=KEY_CHARACTERS)
    value = octets(fields, "value", most=MAX_VALUE_BYTES)
    if not verify(identity, DOMAIN + body, data[:SIGNATURE_BYTES]):
        raise DecodeError("the entry's signature is wrong")
    return Entry(identity, key, value, integer(fields, "stamp"), data)


def later(one: Entry, other: Entry) -> Entry:
    """Which of two about one key stands: the later one; of the same time the bytewise larger."""
    return max(one, other, key=lambda entry: (entry.stamp, entry.data))


def digest_of(parts: Iterable[bytes]) -> bytes:
    """32 bytes that are equal where two machines hold the same certificates and entries."""
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(part).digest() for part in parts))).digest()


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what one side holds, still undecoded; `more`: another frame follows."""

    certificates: tuple[bytes, ...]
    entries: tuple[bytes, ...]
    more: bool


def encode_hello(held: bytes) -> bytes:
    return encoding.encode({"v": VERSION, "digest": held})


def decode_hello(data: bytes) -> bytes:
    """The other side's digest. DecodeError."""
    return digest(encoding.decode_map(data, limit=MAX_FRAME_BYTES), "digest")


def encode_pages(certificates: Sequence[bytes], entries: Sequence[bytes]) -> list[bytes]:
    """All that one side holds, in frames; at least one."""
    pages: list[list[bytes]] = [[]]
    for entry in entries:
        if pages[-1] and sum(map(len, pages[-1])) + len(entry) > FULL_FRAME_BYTES:
            pages.append([])
        pages[-1].append(entry)
    if len(certificates) * MAX_CERTIFICATE_BYTES > FULL_FRAME_BYTES // 2 and pages[0]:
        pages.insert(0, [])
    last = len(pages) - 1
    return [
        encoding.encode(
            {
                "v": VERSION,
                "certificates": tuple(certificates) if number == 0 else (),
                "entries": tuple(page),
                "more": int(number < last),
            }
        )
        for number, page in enumerate(pages)
    ]


def decode_page(data: bytes) -> Page:
    """One frame. DecodeError."""
    fields = encoding.decode_map(data, limit=MAX_FRAME_BYTES)
    certificates = array(fields, "certificates", most=MAX_CERTIFICATES)
    entries = array(fields, "entries", most=MAX_ENTRIES)
    return Page(
        tuple(octets({"c": one}, "c", most=MAX_CERTIFICATE_BYTES) for one in certificates),
        tuple(octets({"e": one}, "e", most=MAX_FRAME_BYTES) for one in entries),
        bool(integer(fields, "more", most=1)),
    )
