"""What a store says: places, contents and their damage, works of the catalogue, files to be fetched. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2pnode.core.cid import Cid
from p2pnode.core.ids import CircleId, PeerId, PublicKey, WorkId
from p2pnode.core.record import Record


@dataclass(frozen=True, slots=True)
class Place:
    """Where a leaf's bytes lie: an absolute path, and whether the store owns that file (else it is the user's)."""

    path: str
    offset: int
    length: int
    owned: bool


@dataclass(frozen=True, slots=True)
class Content:
    """What the store knows of one DAG. `state`: building and partial are unfinished; complete has every block."""

    id: int
    root: Cid | None
    state: Literal["building", "partial", "complete"]
    base: str
    owned: bool
    public: bool
    size: int
    files: int
    damaged: int = 0
    """Leaves and nodes that went bad; then `state` is partial, also when every block was here once."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a content that are not right any more. `reason`: gone, short, changed or unreadable; `path` is "" for a database row."""

    root: Cid
    path: str
    owned: bool
    offset: int
    length: int
    reason: str
    found: float


@dataclass(frozen=True, slots=True)
class Checked:
    """One step of a verification: where the next one begins (None: the end), what was read, what was found damaged or well again."""

    next: tuple[int, int, int] | None
    bytes: int
    blocks: int
    damaged: tuple[Damage, ...]
    mended: int


@dataclass(frozen=True, slots=True)
class Stock:
    """One content as it weighs on the store. `files_bytes` are owned files, `rows_bytes` its rows (shared ones count for each).

    `in_place`: it lies in files of the user's too; `copies`: (peer, when it proved to hold it).
    """

    root: Cid
    state: Literal["partial", "complete"]
    files_bytes: int
    rows_bytes: int
    in_place: bool
    owned: bool
    pinned: bool
    used: float
    path: str
    damaged: int
    copies: tuple[tuple[PeerId, float], ...]

    @property
    def bytes(self) -> int:
        """Bytes that the store owns for it."""
        return self.files_bytes + self.rows_bytes


@dataclass(frozen=True, slots=True)
class Work:
    """One row of the catalogue. `state`: own = published here, kept = fetched and pinned, heard = only its manifest is known.

    `manifest` is the newest manifest record that we hold; `json` members that search answers need are columns here.
    """

    id: WorkId
    manifest: Record
    root: Cid
    title: str
    kind: str
    creators: tuple[str, ...]
    licence: str
    bytes: int
    files: int
    state: Literal["own", "kept", "heard"]
    private: bool
    circle: CircleId
    author: PublicKey
    added: float


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """Something to be told to the network, committed together with what it tells. `kind`: provide or gossip."""

    id: int
    kind: str
    payload: bytes
    attempts: int
    due: float


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file to be fetched: path relative to the content's base, its size and its leaves (cid, offset, length) in order.

    `inline` are (offset, bytes) that interior nodes carry themselves: they fill what the leaves leave open.
    """

    path: str
    size: int
    leaves: tuple[tuple[Cid, int, int], ...]
    inline: tuple[tuple[int, bytes], ...] = ()
