"""The frames of `/p2pnode/pair/1` and what they prove: pure bytes, no key exchange and no streams.

The side that enters the code begins (A), the side that shows it answers (B):

A  {v: 1, element}        B  {v: 1, element}, or {v: 1, refused}
A  {v: 1, confirm}        B  {v: 1, confirm, name}, or {v: 1, refused}
A  {v: 1, certificates}   B  {v: 1, done: 1}, or {v: 1, refused}

The elements are those of SPAKE2 on Ed25519 with the code's digits as password and the two peer IDs as identities. A confirms first: B
says nothing that depends on the code before it has seen that A knows it. Called by `services.devices_pairing`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from p2pnode.core import encoding
from p2pnode.core.device import MAX_CERTIFICATE_BYTES, Certificate, decode_certificate
from p2pnode.core.device_roles import NAME_CHARACTERS
from p2pnode.core.fields import array, integer, octets, optional_text, text
from p2pnode.core.keys import hkdf_sha256
from p2pnode.core.record import Value
from p2pnode.errors import DecodeError, RefusedError

PAIR_PROTOCOL = "/p2pnode/pair/1"
VERSION = 1
MAX_FRAME_BYTES = 4096
"""Bytes of any frame: two certificates fit, and a flood of them costs nothing."""
ELEMENT_BYTES = 33
"""Of SPAKE2: the side, and a point of Ed25519."""
CONFIRM_BYTES = 32
REFUSAL_CHARACTERS = 200
CHECK_DIGITS = 4
"""Of the number that both sides show in the end: for eyes, nothing depends on it."""
CERTIFICATES = 2
_INFO = b"p2pnode/pair/key/1"

Fields = Mapping[str, Value]


def encode_element(element: bytes) -> bytes:
    return _frame(element=element)


def encode_confirm(confirm: bytes, name: str = "") -> bytes:
    return _frame(confirm=confirm, name=name) if name else _frame(confirm=confirm)


def encode_certificates(certificates: Sequence[Certificate]) -> bytes:
    return _frame(certificates=tuple(one.data for one in certificates))


def encode_done() -> bytes:
    return _frame(done=1)


def encode_refused(why: str) -> bytes:
    return _frame(refused=why[:REFUSAL_CHARACTERS])


def read_element(data: bytes) -> bytes:
    """DecodeError on anything else, RefusedError when the other side says no; so do the next three."""
    return _sized(_fields(data), "element", ELEMENT_BYTES)


def read_confirm(data: bytes) -> tuple[bytes, str]:
    """The proof that the other side knows the code, and its name if it told one."""
    fields = _fields(data)
    return _sized(fields, "confirm", CONFIRM_BYTES), optional_text(fields, "name", most=NAME_CHARACTERS)


def read_certificates(data: bytes) -> tuple[Certificate, ...]:
    """The certificates of both machines."""
    items = array(_fields(data), "certificates", most=CERTIFICATES)
    if len(items) != CERTIFICATES:
        raise DecodeError(f"not {CERTIFICATES} certificates")
    parts = [octets({"certificate": item}, "certificate", most=MAX_CERTIFICATE_BYTES) for item in items]
    return tuple(map(decode_certificate, parts))


def read_done(data: bytes) -> None:
    integer(_fields(data), "done", least=1, most=1)


def confirmation(key: bytes, side: str) -> bytes:
    """What side "A" or "B" shows to prove that it got the same key out of SPAKE2."""
    return hkdf_sha256(key, salt=b"", info=_INFO + side.encode(), length=CONFIRM_BYTES)


def is_confirmed(key: bytes, side: str, shown: bytes) -> bool:
    return hmac.compare_digest(confirmation(key, side), shown)


def check_number(key: bytes) -> str:
    """Four digits that are the same on both sides of one pairing."""
    number = int.from_bytes(hkdf_sha256(key, salt=b"", info=_INFO + b"check", length=8), "big")
    return f"{number % 10**CHECK_DIGITS:0{CHECK_DIGITS}d}"


def _frame(**fields: Value) -> bytes:
    return encoding.encode({"v": VERSION, **fields})


def _fields(data: bytes) -> Fields:
    fields = encoding.decode_map(data, limit=MAX_FRAME_BYTES)
    if (version := integer(fields, "v")) != VERSION:
        raise DecodeError(f"pairing of version {version} is not known here")
    if "refused" in fields:
        raise RefusedError(text(fields, "refused", most=REFUSAL_CHARACTERS))
    return fields


def _sized(fields: Fields, name: str, size: int) -> bytes:
    value = octets(fields, name)
    if len(value) != size:
        raise DecodeError(f"{name} has {len(value)} bytes, not {size}")
    return value
