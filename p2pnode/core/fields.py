"""Reading one field of a decoded map by its exact type: every reader of foreign maps says "missing" and "wrong type" alike.

Each function takes the map and the field's name and raises DecodeError, naming the field. Called by `core.records`, `core.charter`,
`core.manifest` and the messages of our protocols.
"""

from __future__ import annotations

from collections.abc import Mapping

from p2pnode.core.ids import ID_BYTES
from p2pnode.core.record import Value
from p2pnode.errors import DecodeError

Fields = Mapping[str, Value]


def text(fields: Fields, name: str, *, most: int | None = None, least: int = 0) -> str:
    """Text of `least` to `most` characters (code points)."""
    value = _get(fields, name)
    if not isinstance(value, str):
        raise DecodeError(f"{name} is not text")
    if len(value) < least:
        raise DecodeError(f"{name} is empty" if least == 1 else f"{name} is shorter than {least} characters")
    if most is not None and len(value) > most:
        raise DecodeError(f"{name} has {len(value)} characters, more than {most}")
    return value


def optional_text(fields: Fields, name: str, *, most: int) -> str:
    """As `text`; "" when the field is absent."""
    return text(fields, name, most=most) if name in fields else ""


def octets(fields: Fields, name: str, *, most: int | None = None) -> bytes:
    """Bytes, at most `most`."""
    value = _get(fields, name)
    if not isinstance(value, bytes):
        raise DecodeError(f"{name} is not bytes")
    if most is not None and len(value) > most:
        raise DecodeError(f"{name} has {len(value)} bytes, more than {most}")
    return value


def digest(fields: Fields, name: str) -> bytes:
    """Exactly 32 bytes."""
    value = octets(fields, name)
    if len(value) != ID_BYTES:
        raise DecodeError(f"{name} has {len(value)} bytes, not {ID_BYTES}")
    return value


def integer(fields: Fields, name: str, *, least: int = 0, most: int | None = None) -> int:
    """An integer within least..most."""
    value = _get(fields, name)
    if not isinstance(value, int):
        raise DecodeError(f"{name} is not an integer")
    if value < least or (most is not None and value > most):
        raise DecodeError(f"{name} is {value}, outside {least}..{'' if most is None else most}")
    return value


def mapping(fields: Fields, name: str) -> Fields:
    """A map."""
    value = _get(fields, name)
    if not isinstance(value, Mapping):
        raise DecodeError(f"{name} is not a map")
    return value


def array(fields: Fields, name: str, *, most: int) -> tuple[Value, ...]:
    """An array of at most `most` items; empty when the field is absent."""
    if name not in fields:
        return ()
    value = fields[name]
    if not isinstance(value, tuple):
        raise DecodeError(f"{name} is not an array")
    if len(value) > most:
        raise DecodeError(f"{name} has {len(value)} items, more than {most}")
    return value


def texts(fields: Fields, name: str, *, most: int, most_characters: int) -> tuple[str, ...]:
    """An array of non-empty texts; empty when the field is absent."""
    items = array(fields, name, most=most)
    return tuple(text({name: item}, name, least=1, most=most_characters) for item in items)


def _get(fields: Fields, name: str) -> Value:
    if name not in fields:
        raise DecodeError(f"the field {name} is missing")
    return fields[name]
