"""Canonical msgpack: one value has exactly one encoding, so that a signed body can be compared by its bytes.

The rules (protocol, "Canonical"): map keys are ASCII text, unique and sorted by their bytes; integers lie within 0..2^53-1 and take
the shortest form; bytes are bin, text is str and valid UTF-8; no floats, booleans, nil or extension types. The decoder never
normalises text, since Unicode tables differ between versions of Python. It decodes, looks at every value, encodes again
and refuses what differs. Called by `core.records` and by every protocol message of ours; never reads a clock or a file.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgpack

from p2pnode.core.record import Value
from p2pnode.errors import DecodeError

MAX_INTEGER = 2**53 - 1
"""The largest integer every language reads exactly (a double's mantissa)."""
MAX_DEPTH = 16
"""Nested arrays and maps: the deepest record of ours has five, and a bound keeps recursion harmless."""
MAX_ENCODED_BYTES = 1 << 20
"""Bytes that `decode` looks at when the caller gives no smaller limit: the largest frame of any protocol of ours."""


def encode(value: Value) -> bytes:
    """The canonical bytes of a value. DecodeError, naming the rule, when the value has no canonical form."""
    try:
        return _pack(_canonical(value, 0))
    except UnicodeEncodeError as error:
        raise DecodeError("a text holds half of a surrogate pair and has no UTF-8 form") from error


def decode(data: bytes, *, limit: int = MAX_ENCODED_BYTES) -> Value:
    """The value of canonical bytes; arrays become tuples. DecodeError on anything else, and nothing but DecodeError."""
    if len(data) > limit:
        raise DecodeError(f"{len(data)} bytes are over the limit of {limit}")
    try:
        value = msgpack.unpackb(data, raw=False, use_list=False, strict_map_key=True, ext_hook=_no_extension)
    except DecodeError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise DecodeError(f"not msgpack: {type(error).__name__}") from error
    canonical = _canonical(value, 0)
    if _pack(canonical) != data:
        raise DecodeError(
            "not canonical: keys out of order or repeated, or a number or length not in its shortest form"
        )
    return canonical


def decode_map(data: bytes, *, limit: int = MAX_ENCODED_BYTES) -> Mapping[str, Value]:
    """As `decode`, for the common case that the whole is a map."""
    value = decode(data, limit=limit)
    if not isinstance(value, Mapping):
        raise DecodeError("the whole is not a map")
    return value


def _pack(value: Value) -> bytes:
    packed = msgpack.packb(value, use_bin_type=True)
    assert isinstance(packed, bytes)
    return packed


def _no_extension(code: int, data: bytes) -> None:
    raise DecodeError(f"extension type {code} is not allowed")


def _canonical(value: object, depth: int) -> Value:
    """The same value with maps in key order. Exact types only: a bool is an int to Python, never to us."""
    kind = type(value)
    if kind is int:
        assert isinstance(value, int)
        if not 0 <= value <= MAX_INTEGER:
            raise DecodeError(f"the integer {str(value)[:24]} is outside 0..2^53-1")
        return value
    if kind is str or kind is bytes:
        assert isinstance(value, str | bytes)
        return value
    if depth >= MAX_DEPTH:
        raise DecodeError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, tuple | list):
        return tuple(_canonical(item, depth + 1) for item in value)
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str or not key.isascii():
                raise DecodeError("a map key is not ASCII text")
        return {key: _canonical(value[key], depth + 1) for key in sorted(value)}
    raise DecodeError(f"a value of type {kind.__name__} is not allowed")
