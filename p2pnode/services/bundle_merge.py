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
MAX_CONTROL_BYTES = 32 * MIB
"""Bytes of charters, vouches and seals of one circle that are sorted: 140,000 vouches, in some 80 MB of memory; of more the first."""


@dataclass(slots=True)
class Merged:
    """What became of one circle's records.

    `unknown` are of authors whom nobody introduces, `rejected` are no records of this circle, `beyond` are control records over
    MAX_CONTROL_BYTES.
    """

    new: int = 0
    rejected: int = 0
    unknown: int = 0
    beyond: int = 0


Pages = Callable[[], Iterable[Callable[[], list[bytes]]]]
"""The pages of a circle, as functions that read one: blocking, and they may be read again."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a record says of itself, as far as its order needs it; not verified. No more is held: there may be very many."""

    author: PublicKey
    introduces: tuple[PublicKey, ...]
    genesis: bool
    data: bytes


async def merge_circle(admission: Admission, circle: CircleId, pages: Pages) -> Merged:
    """Let in what the rules allow. NotFoundError if we are not in that circle; StoreError."""
    merged = Merged()
    control: list[_Claim] = []
    size = 0
    for page in pages():
        for claim in await trio.to_thread.run_sync(_claims, page, circle, True, merged):
            size += len(claim.data)
            if size <= MAX_CONTROL_BYTES:
                control.append(claim)
            else:
                merged.beyond += 1
    held = await admission.circle_set(circle)
    ordered = await trio.to_thread.run_sync(_in_order, control, held.known)
    await _admit(admission, circle, ordered, merged)
    known = (await admission.circle_set(circle)).known
    merged.unknown += sum(claim.author not in known and not claim.genesis for claim in control)
    del control, ordered
    for page in pages():
        claims = await trio.to_thread.run_sync(_claims, page, circle, False, None)
        ours = [claim.data for claim in claims if claim.author in known]
        merged.unknown += len(claims) - len(ours)
        await _admit(admission, circle, ours, merged)
    return merged


async def _admit(admission: Admission, circle: CircleId, records: Sequence[bytes], merged: Merged) -> None:
    for at in range(0, len(records), ADMIT_RECORDS):
        admitted = await admission.admit(records[at : at + ADMIT_RECORDS], circle, SOURCE)
        merged.new += len(admitted.new)
        merged.rejected += admitted.rejected


def _claims(page: Callable[[], list[bytes]], circle: CircleId, control: bool, merged: Merged | None) -> list[_Claim]:
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
            introduced = introduces(record) if control else ()
            found.append(_Claim(record.author, introduced, is_genesis(record, circle), data))
    return found


def _in_order(claims: Sequence[_Claim], known: Iterable[PublicKey]) -> list[bytes]:
    """Those whose authors are introduced by somebody before them; linear, however they lie."""
    by_author: dict[PublicKey, list[_Claim]] = {}
    ordered: list[bytes] = []
    waiting: list[PublicKey] = list(known)
    for claim in claims:
        if claim.genesis:
            ordered.append(claim.data)
            waiting.extend(claim.introduces)
        else:
            by_author.setdefault(claim.author, []).append(claim)
    while waiting:
        for claim in by_author.pop(waiting.pop(), ()):
            ordered.append(claim.data)
            waiting.extend(claim.introduces)
    return ordered
