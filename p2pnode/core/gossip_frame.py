"""What one gossip message of a circle carries: 1 to 64 signed records, at most 64 KiB.

A byte of version, then each record behind its length in two bytes, big-endian. Records are not looked into here.
Called by `services.gossip`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from p2pnode.core.ids import CIRCLE_PREFIX, CircleId, id_text
from p2pnode.core.records import MAX_SIGNED_BYTES
from p2pnode.errors import DecodeError
from p2pnode.limits import KIB

VERSION = 1
MAX_FRAME_BYTES = 64 * KIB
"""A message is relayed whole by every node that likes it."""
MAX_RECORDS = 64
"""Each costs every node one verification."""
_LENGTH_BYTES = 2


def circle_topic(circle: CircleId) -> str:
    """The topic on which a circle's records are gossiped."""
    return f"/p2pnode/circle/{id_text(CIRCLE_PREFIX, circle)}/1"


def encode_frames(records: Sequence[bytes]) -> Iterator[bytes]:
    """As few frames as these signed records need, in order."""
    frame, count = bytearray([VERSION]), 0
    for record in records:
        assert 0 < len(record) <= MAX_SIGNED_BYTES, "not a signed record"
        if count == MAX_RECORDS or len(frame) + _LENGTH_BYTES + len(record) > MAX_FRAME_BYTES:
            yield bytes(frame)
            frame, count = bytearray([VERSION]), 0
        frame += len(record).to_bytes(_LENGTH_BYTES, "big") + record
        count += 1
    if count:
        yield bytes(frame)


def decode_frame(data: bytes) -> tuple[bytes, ...]:
    """The signed records, not yet decoded. DecodeError on anything else."""
    if len(data) > MAX_FRAME_BYTES:
        raise DecodeError(f"a gossip message of {len(data)} bytes is over the limit of {MAX_FRAME_BYTES}")
    if data[:1] != bytes([VERSION]):
        raise DecodeError("a gossip message of another version")
    records: list[bytes] = []
    at = 1
    while at < len(data):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        if not start < at <= len(data):
            raise DecodeError("a gossip message ends in the middle of a record")
        records.append(data[start:at])
    if not 0 < len(records) <= MAX_RECORDS:
        raise DecodeError(f"a gossip message carries 1 to {MAX_RECORDS} records, not {len(records)}")
    return tuple(records)
