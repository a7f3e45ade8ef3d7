"""Which circles are kin: forks of one another, which share a salt, so that everybody has the same name in them.

Any other circle with the salt of one of ours was made by somebody who wants to know our name in it. Called wherever a circle is
entered whose charter somebody handed us: by an invite, a bundle, a paired machine, or word of a fork.
"""

from __future__ import annotations

from p2pnode.core.charter import Charter
from p2pnode.core.ids import CircleId, RecordId
from p2pnode.ports import Tx


def is_kin(tx: Tx, charter: Charter) -> bool:
    """Whether a circle that has the salt of others of ours is their fork, or their parent; one with a salt of its own is."""
    same = [other for other in tx.circles() if tx.circle_salt(other) == charter.salt and other != charter.circle]
    parents = {first.parent for other in same if (first := first_charter(tx, other)) is not None}
    return not same or charter.parent in same or charter.circle in parents or charter.parent in parents - {None}


def first_charter(tx: Tx, circle: CircleId) -> Charter | None:
    """The charter with which a circle began, if it is here."""
    record = tx.record(RecordId(circle))
    return Charter.of(record) if record is not None else None
