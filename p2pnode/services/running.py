"""One transfer while it is unfinished: who takes part in it, what of it is chosen, whether it is paused.

A value object: services.transfers lists them, services.transfer_course says what happens to one, services.wanted remembers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from p2pnode.core.ids import WorkId
from p2pnode.core.skeleton import MAX_CONTENT_BYTES
from p2pnode.errors import P2pnodeError
from p2pnode.ports import Content, Json, Work
from p2pnode.services.fetch import Fetching
from p2pnode.services.selection import Selection
from p2pnode.services.transfer import Transfer

OnProgress = Callable[[Json], None]


def limit_of(work: Work | None) -> int:
    """Bytes that who asks for this work takes: what its manifest says. A bare CID says nothing."""
    return MAX_CONTENT_BYTES if work is None else min(work.bytes, MAX_CONTENT_BYTES)


@dataclass(slots=True, eq=False)
class Running:
    """`wanted` is False as long as somebody only reads: that is not remembered, and not kept for good."""

    transfer: Transfer
    fetching: Fetching
    only: Selection
    wanted: bool
    works: dict[WorkId, Work] = field(default_factory=dict)
    by_cid: bool = False
    """Whether somebody asked for the bare CID: he takes any size."""
    paused: bool = False
    cancelled: bool = False
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    resumed: trio.Event = field(default_factory=trio.Event)
    complete: trio.Event = field(default_factory=trio.Event)
    over: trio.Event = field(default_factory=trio.Event)
    error: P2pnodeError | None = None
    content: Content | None = None
    watchers: list[OnProgress] = field(default_factory=list)
    remembered_seen: float | None = None

    @property
    def max_bytes(self) -> int:
        """What the most generous of those who take part takes: a false, too small number must not fail the others."""
        limits = [limit_of(work) for work in self.works.values()]
        return max([MAX_CONTENT_BYTES, *limits] if self.by_cid or not limits else limits)

    def joined(self, work: Work | None) -> None:
        """Somebody asked for this work, or for its CID."""
        if work is None:
            self.by_cid = True
        else:
            self.works[work.id] = work
        self.fetching.allow(self.max_bytes)
