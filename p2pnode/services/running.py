"""One transfer while it is unfinished: who takes part in it, what of it is chosen, whether it is paused; and how that is remembered.

A value object of services.transfers, which does everything that happens to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.ids import WORK_PREFIX, WorkId, id_text, parse_id
from p2pnode.core.skeleton import MAX_CONTENT_BYTES
from p2pnode.errors import DecodeError, P2pnodeError
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


@dataclass(frozen=True, slots=True)
class Remembered:
    """What of an unfinished transfer outlives the node: one small JSON value a root."""

    works: tuple[WorkId, ...]
    by_cid: bool
    only: Selection
    paused: bool
    last_seen: float | None

    @classmethod
    def of(cls, running: Running) -> Remembered:
        """As it is now."""
        return cls(tuple(running.works), running.by_cid, running.only, running.paused, running.transfer.last_seen)

    def to_bytes(self) -> bytes:
        """JSON."""
        shown = {
            "works": [id_text(WORK_PREFIX, work) for work in self.works],
            "by_cid": self.by_cid,
            "only": None if self.only is None else list(self.only),
            "paused": self.paused,
            "last_seen": self.last_seen,
        }
        return json.dumps(shown).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Remembered:
        """DecodeError if it is not what `to_bytes` wrote. An older form named one work."""
        try:
            shown = json.loads(data)
            works = shown["works"] if "works" in shown else [shown["work"]]
            only, seen = shown.get("only"), shown.get("last_seen")
            return cls(
                tuple(WorkId(parse_id(WORK_PREFIX, work)) for work in works if work is not None),
                bool(shown.get("by_cid", works == [None])),
                None if only is None else tuple(str(path) for path in only),
                bool(shown.get("paused", False)),
                None if seen is None else float(seen),
            )
        except (ValueError, KeyError, TypeError, AttributeError, P2pnodeError) as error:
            raise DecodeError(f"an unfinished transfer cannot be read: {error}") from error


def key_of(prefix: str, root: Cid) -> str:
    """The name under which it is remembered."""
    return prefix + str(root)
