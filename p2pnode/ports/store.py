"""What the services need of the store: transactions, blocks, contents on their way in; and the small books beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from p2pnode.core.cid import Cid
from p2pnode.core.ids import PeerId
from p2pnode.ports.contents import Checked, Content, Damage, WantedFile
from p2pnode.ports.tx import Tx

T = TypeVar("T")


class Incoming(Protocol):
    """A content that is being fetched. Bytes reach the disk before the index says so; what was verified survives a restart."""

    @property
    def missing(self) -> list[Cid]:
        """Leaves of the chosen files that are not held yet, in file order, each once."""
        ...

    @property
    def chosen(self) -> frozenset[int]:
        """Indices of the files that have room, of earlier tries too."""
        ...

    def lacks(self, cid: Cid) -> bool:
        """Whether it is one of `missing`."""
        ...

    async def put_leaf(self, cid: Cid, data: bytes) -> None:
        """A leaf that the caller verified; written to every place that wants it."""
        ...

    async def checkpoint(self) -> None:
        """fsync and commit what arrived since the last one; called by put_leaf itself every few megabytes."""
        ...

    async def choose(self, files: Collection[int]) -> None:
        """These files (indices) are wanted too: their leaves count as missing now. RefusedError over quota or the disk's floor."""
        ...

    async def finish(self, files: Collection[int] | None = None) -> Content:
        """Checkpoint, make files read-only, move to the final name, state complete. StoreError if a leaf is missing.

        With `files` (indices) only these, and the state stays partial: a part of the content is shown, and more may come.
        """
        ...


class Store(Protocol):
    """Everything a node keeps."""

    async def write(self, work: Callable[[Tx], T], *, durable: bool = True) -> T:
        """Run `work` in one transaction; with `durable` it is on the disk (fsync) when this returns."""
        ...

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on a consistent snapshot; it must not change anything."""
        ...

    def read_in_thread(self, work: Callable[[Tx], T]) -> T:
        """As `read`, for whoever computes in a worker thread and cannot wait for another: blocks, so never on the event loop."""
        ...

    async def read_block(self, cid: Cid, *, public_only: bool = False) -> bytes | None:
        """A block's bytes, hashed before they are returned; None if not held (or not public). ChangedError if its file changed."""
        ...

    async def read_blocks(
        self, cids: Sequence[Cid], *, public_only: bool = False, max_bytes: int
    ) -> list[bytes | None]:
        """As `read_block`, for the first of `cids`, at least one, until they are `max_bytes` together: one hop for many small ones.

        It stops before a block that cannot be read; the error comes when that one stands first.
        """
        ...

    async def public_sizes(self, cids: Sequence[Cid]) -> list[int | None]:
        """Bytes of each block that a public content holds, None for the others. From the index: a file may have changed since."""
        ...

    async def start_incoming(
        self,
        root: Cid,
        name: str,
        blocks: Iterable[tuple[Cid, bytes]],
        files: Sequence[WantedFile],
        *,
        folders: Sequence[str] = (),
        chosen: Collection[int] | None = None,
    ) -> Incoming:
        """Begin or resume fetching `root` into the library folder under `name` (made unique and safe). RefusedError over quota.

        `files` are all there are; only the `chosen` ones (indices; None: all) get room, and their leaves are missing. `folders` are
        made even when no file lies in them. The content is public: what is fetched is served onward.
        """
        ...

    async def verify_some(self, position: tuple[int, int, int], *, root: Cid | None, max_bytes: int) -> Checked:
        """Hash what is held from `position` on ((0, -1, 0): the beginning), of one content or of all, until about `max_bytes`."""
        ...

    async def look_again(self, root: Cid | None) -> int:
        """Look whether what is marked as damaged is right again (a disk that is back, a file that was restored); how much is."""
        ...

    def watch_damage(self, tell: Callable[[Sequence[Damage]], None]) -> None:
        """Hear of everything that is found damaged, however it is found."""
        ...

    def when_full(self, make_room: Callable[[int, Cid], Awaitable[bool]]) -> None:
        """Ask for room (so many bytes, for that content) before a fetch is refused for want of it; True: try again."""
        ...

    async def note_used(self) -> None:
        """Bring to the disk which contents were fetched, read or served since the last call."""
        ...

    def free_bytes(self) -> int:
        """Bytes that the disk of the library has free; OSError becomes 0."""
        ...


class AddressBook(Protocol):
    """Addresses of peers that ever answered; survives restarts; at most 10,000 peers, oldest answer evicted first."""

    async def remember(self, peer: PeerId, addresses: Sequence[str], *, answered: bool) -> None: ...
    async def addresses(self, peer: PeerId) -> list[str]: ...
    async def recent(self, limit: int) -> list[tuple[PeerId, list[str]]]:
        """Peers that answered, most recent first."""
        ...


class ProviderRecords(Protocol):
    """What others told our DHT server: key -> providers. On disk, at most 20 a key and 1 M in all, a fair share a peer once full."""

    async def add(self, key: bytes, peer: PeerId, addresses: Sequence[str], now: float) -> bool: ...
    async def get(self, key: bytes, now: float) -> list[tuple[PeerId, list[str]]]: ...
