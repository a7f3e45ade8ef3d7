"""Into which circles this node has just come, so that it says once what that means, also if it was stopped in between.

What concerns a member is told by comparing two views of a circle; whoever comes in has none from before. The mark is set in the
transaction that enters a circle and taken away in the one that keeps the welcome. Called by `services.join`, `services.bundle_import`,
`services.following` and `services.notices`.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2pnode.core.concerns import Concern, welcome
from p2pnode.core.ids import CircleId, PublicKey
from p2pnode.ports import Store, Tx
from p2pnode.services.views import Views

PREFIX = "newcomer/"
WELCOMES = frozenset({"member", "vouched", "one_voucher"})
"""What a welcome says once and for all of one's standing."""


def expect_welcome(tx: Tx, circle: CircleId) -> None:
    """Inside the transaction that enters a circle."""
    tx.set_meta(PREFIX + circle.hex(), b"1")


def is_newcomer(tx: Tx, circle: CircleId) -> bool:
    """Whether nothing was told yet about being a member there."""
    return tx.get_meta(PREFIX + circle.hex()) is not None


def forget_newcomer(tx: Tx, circle: CircleId) -> None:
    """It was told, or we left."""
    tx.set_meta(PREFIX + circle.hex(), None)


async def with_welcome(
    store: Store, views: Views, circle: CircleId, me: PublicKey, found: Sequence[Concern]
) -> list[Concern]:
    """What concerns us, begun with the welcome if that is due."""
    if not await store.read(lambda tx: is_newcomer(tx, circle)):
        return list(found)
    told = await views.ask(circle, lambda view: welcome(view, me))
    return [*told, *(one for one in found if not told or one.kind not in WELCOMES)]
