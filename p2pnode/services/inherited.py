"""Records of a circle together with what it inherited, for the journeys that look a record up instead of asking a view.

What is inherited lies in the store as pieces of a cut, not as rows of its own. A circle that is no fork costs one query that finds
nothing. Called inside transactions.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pnode.core.charter import Charter
from p2pnode.core.cut import inherited
from p2pnode.core.ids import CircleId, PublicKey, RecordId
from p2pnode.core.record import CHARTER, CUT, Record
from p2pnode.errors import DecodeError
from p2pnode.ports import Tx


def inherited_records(tx: Tx, circle: CircleId) -> Sequence[Record]:
    """What a circle inherits, read as its own; nothing while a piece is missing."""
    pieces = tx.records(circle, kinds=(CUT,))
    genesis = tx.record(RecordId(circle)) if pieces else None
    if genesis is None or genesis.kind != CHARTER:
        return ()
    try:
        return inherited(Charter.of(genesis), pieces).records
    except DecodeError:
        return ()


def records_of(
    tx: Tx, circle: CircleId, kind: str, *, author: PublicKey | None = None, target: bytes | None = None
) -> list[Record]:
    """As `Tx.records`, of one kind, inherited ones first."""
    brought = (
        record
        for record in inherited_records(tx, circle)
        if record.kind == kind and author in (None, record.author) and target in (None, record.target)
    )
    return [*brought, *tx.records(circle, kinds=(kind,), author=author, target=target)]


def inherited_targets(tx: Tx, low: bytes, high: bytes, kind: str) -> list[bytes]:
    """Targets in this inclusive range of what our circles inherited, of one kind: for shortened ids."""
    return [
        record.target
        for circle in tx.circles()
        for record in inherited_records(tx, circle)
        if record.kind == kind and low <= record.target <= high
    ]
