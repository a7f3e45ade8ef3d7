"""Records of a bundle go through the one door, in an order in which it can let them in, whatever order the file has.

Who may write is known by following charters and vouches from the circle's beginning; so these are sorted first, by what they *claim*
(the door verifies), and records of authors who are not known then are counted and passed over. What is held in memory is bounded.
Called by services.bundle_import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import trio

from p2pnode.core.admission import belongs, introduces, is_genesis
from p2pnode.core.ids import CircleId, PeerId, PublicKey
from p2pnode.core.keys import SIGNATURE_BYTES
from p2pnode.core.record import CONTROL_KINDS, Record
from p2pnode.core.records import decode_body, record_id
from p2pnode.errors import DecodeError
from p2pnode.limits import MIB
from p2pnode.services.admission import Admission

SOURCE = PeerId("bundle")
"""Where the door is told that records came from; no peer has such an ID."""
ADMIT_RECORDS = 256
"""Records given to the door at a time: others wait some ten milliseconds for a turn."""
MAX_CONTROL_BYTES = 64 * MIB
"""Bytes of charters, vouches and seals of one circle that are sorted: 200,000 vouches; of more the first."""


@dataclass(slots=True)
class Merged:
    """What became of one circle's records. `unknown` are of authors whom nobody introduces; `rejected` are no records of this circle."""

    new: int = 0
    rejected: int = 0
    unknown: int = 0


Pages = Callable[[], Iterable[Callable[[], list[bytes]]]]
"""The pages of a circle, as functions that read one: blocking, and they may be read again."""


async def merge_circle(admission: Admission, circle: CircleId, pages: Pages) -> Merged:
    """Let in what the rules allow. NotFoundError if we are not in that circle; StoreError."""
    merged = Merged()
    control: list[tuple[Record, bytes]] = []
    size = 0
    for page in pages():
        for record, data in await trio.to_thread.run_sync(_claims, page, circle, True, merged):
            size += len(data)
            if size <= MAX_CONTROL_BYTES:
                control.append((record, data))
    held = await admission.circle_set(circle)
    ordered = await trio.to_thread.run_sync(_in_order, control, circle, held.known)
    await _admit(admission, circle, ordered, merged)
    known = (await admission.circle_set(circle)).known
    merged.unknown += sum(1 for record, _ in control if record.author not in known and not is_genesis(record, circle))
    for page in pages():
        claims = await trio.to_thread.run_sync(_claims, page, circle, False, None)
        ours = [data for record, data in claims if record.author in known]
        merged.unknown += len(claims) - len(ours)
        await _admit(admission, circle, ours, merged)
    return merged


async def _admit(admission: Admission, circle: CircleId, records: Sequence[bytes], merged: Merged) -> None:
    for at in range(0, len(records), ADMIT_RECORDS):
        admitted = await admission.admit(records[at : at + ADMIT_RECORDS], circle, SOURCE)
        merged.new += len(admitted.new)
        merged.rejected += admitted.rejected


def _claims(
    page: Callable[[], list[bytes]], circle: CircleId, control: bool, merged: Merged | None
) -> list[tuple[Record, bytes]]:
    """Records of a page that are well formed and of this circle, control kinds only or all but them; signatures are not looked at."""
    found = []
    for data in page():
        try:
            body = data[SIGNATURE_BYTES:]
            record = Record(record_id(body), body, data[:SIGNATURE_BYTES], decode_body(body))
        except DecodeError:
            record = None
        if record is None or not belongs(record, circle):
            if merged is not None:
                merged.rejected += 1
        elif (record.kind in CONTROL_KINDS) is control:
            found.append((record, data))
    return found


def _in_order(records: Sequence[tuple[Record, bytes]], circle: CircleId, known: Iterable[PublicKey]) -> list[bytes]:
    """Those whose authors are introduced by somebody before them; linear, however they lie."""
    by_author: dict[PublicKey, list[tuple[Record, bytes]]] = {}
    ordered: list[bytes] = []
    waiting: list[PublicKey] = list(known)
    for record, data in records:
        if is_genesis(record, circle):
            ordered.append(data)
            waiting.extend(introduces(record))
        else:
            by_author.setdefault(record.author, []).append((record, data))
    while waiting:
        for record, data in by_author.pop(waiting.pop(), ()):
            ordered.append(data)
            waiting.extend(introduces(record))
    return ordered
