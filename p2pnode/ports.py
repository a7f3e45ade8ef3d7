"""The ports: what the services need from the world, as types only.

`store` and `net` implement them; `services` know nothing else. Times are seconds since 1970 (UTC, float) from a WallClock unless
a name says otherwise; monotonic time is trio's. Every method may raise the classes of `p2pnode.errors` and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Container, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from p2pnode.core.cid import Cid
from p2pnode.core.ids import CircleId, PeerId, PublicKey, RecordId, WorkId
from p2pnode.core.record import Record
from p2pnode.core.stamp import HashedFile, KnownFile, Stamp

T = TypeVar("T")
Direction = Literal["inbound", "outbound"]


class WallClock(Protocol):
    """Seconds since 1970 (UTC)."""

    def __call__(self) -> float: ...


# ---------------------------------------------------------------- network


class Stream(Protocol):
    """One ordered stream of bytes to one authenticated peer. A reset or a lost connection is a NetworkError, never an end."""

    @property
    def peer(self) -> PeerId: ...
    async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...
    async def receive_some(self, max_bytes: int) -> bytes:
        """At least one byte, at most `max_bytes`; b"" at the clean end."""
        ...

    async def send_eof(self) -> None: ...
    async def aclose(self) -> None: ...
    async def reset(self) -> None:
        """Give up both directions at once: the other side sees a NetworkError."""
        ...


@dataclass(frozen=True, slots=True)
class PeerView:
    """A connected peer. `rtt_ms` is None until measured; `agent` is hostile text; `protocols` what identify told."""

    peer: PeerId
    addresses: tuple[str, ...]
    direction: Direction
    agent: str
    rtt_ms: float | None
    protocols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerEvent:
    """A peer came (identify done: `protocols` known) or its last connection went."""

    peer: PeerId
    connected: bool
    protocols: tuple[str, ...] = ()


class ContentRouting(Protocol):
    """Who has a content, by a DHT that is not ours. Keys are multihashes, the same as in CIDs of them."""

    async def provide(self, multihash: bytes) -> int:
        """As Network.provide."""
        ...

    async def find_providers(self, multihash: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        """As Network.find_providers."""
        ...


@dataclass(frozen=True, slots=True)
class Ban:
    """A peer that is refused for a while. `until` in seconds since 1970; `reason` is the last straw."""

    peer: PeerId
    until: float
    reason: str


class Network(Protocol):
    """Peers, streams, the DHT and gossip. Keys of the DHT are 32-byte SHA-256 digests."""

    @property
    def peer_id(self) -> PeerId: ...
    @property
    def ipfs(self) -> ContentRouting | None:
        """The DHT of IPFS; None while it is switched off."""
        ...

    def addresses(self) -> list[str]:
        """Own listening multiaddrs (wildcards resolved), each ending in /p2p/PEER_ID."""
        ...

    def peers(self) -> list[PeerView]: ...
    def peer_events(self) -> AbstractAsyncContextManager[AsyncIterator[PeerEvent]]:
        """Events from the moment of entering; first one `connected` for each peer that is connected already."""
        ...

    async def connect(self, address: str) -> PeerId:
        """Dial a multiaddr that ends in /p2p/ID. UsageError if malformed, NetworkError (why, in words) if unreachable."""
        ...

    async def disconnect(self, peer: PeerId) -> None: ...
    async def open_stream(self, peer: PeerId, protocol: str, *, timeout_s: float = 10.0) -> Stream:
        """A new stream; dials the peer by address book and DHT when it is not connected. NetworkError if it does not work out."""
        ...

    def serve(self, protocol: str, handle: Callable[[Stream], Awaitable[None]], *, streams_per_peer: int = 8) -> None:
        """Answer a protocol. When `handle` returns the stream is closed; when it raises, it is reset and logged."""
        ...

    async def provide(self, key: bytes) -> int:
        """Tell the DHT that we provide `key`. How many peers hold the record now (0: alone; try again later)."""
        ...

    def unprovide(self, key: bytes) -> None:
        """Answer no longer that we provide `key`; what others were told they forget within a day."""
        ...

    async def find_providers(self, key: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        """Peers that provide `key`, without ourselves; their addresses enter the address book."""
        ...

    async def join_topic(
        self, topic: str, validate: Callable[[PeerId, bytes], bool], deliver: Callable[[PeerId, bytes], None]
    ) -> None:
        """Subscribe. `validate` (synchronous: forwarder, data) decides what is relayed; `deliver` gets what it accepted, once."""
        ...

    async def leave_topic(self, topic: str) -> None: ...
    async def publish(self, topic: str, data: bytes) -> None: ...
    def favour(self, members: Callable[[], Container[PeerId]]) -> None:
        """`members` tells who proved to be one of us: their connections are the last to go when places are short."""
        ...

    @property
    def meter(self) -> Meter:
        """What goes over the wire."""
        ...

    def penalise(self, peer: PeerId, points: int, reason: str) -> None:
        """Count misbehaviour; at 100 points a peer is disconnected and banned for a while. Bans are timed and listed."""
        ...

    def banned(self) -> list[Ban]:
        """Bans in force, the soonest over first."""
        ...

    def lift_ban(self, peer: PeerId) -> bool:
        """End a ban now and forget the peer's points. Whether it was banned."""
        ...


class Meter(Protocol):
    """Counts and paces every byte of the network, headers included."""

    def counted(self) -> tuple[int, int]:
        """Bytes up and down since the start."""
        ...

    def limit(self, up: int, down: int) -> None:
        """Bytes a second from now on; 0: no limit."""
        ...


class Traffic(Protocol):
    """What the person allows the node to move. Whoever moves a work's bytes, either way, asks before each piece of work."""

    def waiting_reason(self) -> str | None:
        """Why they have to wait, in words ("the month's budget of 50 GB is used up; it begins anew on 1 December"); None: they may go.

        Records, votes and the DHT do not ask: a share of every budget is kept for them.
        """
        ...

    async def allowed(self) -> None:
        """Return when they may go."""
        ...


# ---------------------------------------------------------------- store


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


class Tx(Protocol):
    """One transaction. Synchronous: it runs on the store's thread. Leaving with an exception rolls everything back."""

    # records: a set per circle. Which of two to keep is the caller's rule (core.registers); the store only holds them.
    def record(self, id: RecordId) -> Record | None: ...
    def put_record(self, record: Record, *, own: bool = False) -> bool:
        """True if it was not held. Of two signatures over one body the bytewise smaller is kept."""
        ...

    def drop_record(self, id: RecordId) -> None: ...
    def records(
        self,
        circle: CircleId,
        *,
        kinds: Sequence[str] = (),
        author: PublicKey | None = None,
        target: bytes | None = None,
    ) -> list[Record]:
        """Sorted by (created, id); empty `kinds` = all."""
        ...

    def record_keys(self, circle: CircleId, *, control: bool) -> list[tuple[int, RecordId]]:
        """(created, id) of every record of the circle, control kinds only or all but them, sorted: the sync index."""
        ...

    def find_records(self, low: bytes, high: bytes, *, kinds: Sequence[str] = ()) -> list[Record]:
        """Records whose id lies in this inclusive range, at most 16: for shortened ids."""
        ...

    def find_targets(self, low: bytes, high: bytes, *, kinds: Sequence[str]) -> list[bytes]:
        """Distinct targets in this inclusive range, at most 16: for shortened question ids and keys."""
        ...

    def next_seq(self, author: PublicKey, now: float) -> tuple[int, int]:
        """(seq, created) for our own next record: day x 2^16 + a counter that never repeats, even after the clock went back."""
        ...

    # circles that we are in
    def circles(self) -> list[CircleId]: ...
    def add_circle(self, circle: CircleId, salt: bytes, now: float) -> None: ...
    def remove_circle(self, circle: CircleId) -> None:
        """Forget the circle and its records (own records stay, so that seq never repeats)."""
        ...

    def circle_salt(self, circle: CircleId) -> bytes | None: ...

    # catalogue
    def put_work(self, work: Work, *, summary: str, tags: Sequence[str], words: Sequence[str]) -> None:
        """Insert or replace by id; the full-text index follows. `words` are the DHT words it is provided under."""
        ...

    def set_work_state(self, id: WorkId, state: Literal["own", "kept", "heard"]) -> None: ...
    def drop_work(self, id: WorkId) -> None: ...
    def work(self, id: WorkId) -> Work | None: ...
    def find_works(self, low: bytes, high: bytes) -> list[Work]: ...
    def works(self, *, states: Sequence[str] = ("own", "kept"), limit: int = 1000, offset: int = 0) -> list[Work]: ...
    def works_with_root(self, root: Cid) -> list[Work]: ...
    def search(self, text: str, *, limit: int, public_only: bool = False) -> list[Work]:
        """Full-text match of every word of `text` as a prefix, case- and accent-folded, best first, in title, creators, summary, tags."""
        ...

    def count_works(self) -> int: ...

    # content
    def content(self, root: Cid) -> Content | None: ...
    def content_files(self, root: Cid, limit: int) -> list[tuple[str, int]]:
        """(relative path, size) of the files that a content has, or was chosen to have, in the order they were added."""
        ...

    def held_bytes(self, root: Cid) -> int:
        """Bytes of its files that are here and verified: all of a complete content, some of a partial one."""
        ...

    def begin_content(self, base: str, *, owned: bool, public: bool) -> int:
        """A new content in state building, whose files lie under the absolute path `base`; unfinished ones go at the next open."""
        ...

    def add_file(self, content: int, path: str, size: int, mtime_ns: int) -> int:
        """A file by its path relative to the base ("" = the base is the file)."""
        ...

    def add_leaves(self, content: int, file: int, leaves: Iterable[tuple[Cid, int, int]]) -> None:
        """(cid, offset, length) of leaves that lie in that file."""
        ...

    def add_blocks(self, content: int, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        """Interior nodes and small leaves: kept as rows."""
        ...

    def complete_content(self, content: int, root: Cid, *, size: int, files: int) -> int:
        """Building -> complete. If `root` is complete already, its places are joined and the older content's id is returned."""
        ...

    def drop_building(self, content: int) -> None:
        """Give up a content that is still in state building; anything further on stays."""
        ...

    # publishing: many files at once, and files that were hashed before (core.stamp says which of them may be believed)
    def keep_building(self, content: int) -> None:
        """A content in state building is to be found again after a stop; else the next open drops it."""
        ...

    def add_files(self, content: int, files: Sequence[HashedFile]) -> list[int]:
        """Files with all of their leaves, or those that begin; their row ids, in order."""
        ...

    def known_files(self, bases: Sequence[int], paths: Sequence[str]) -> list[KnownFile | None]:
        """What is known of files by their relative paths: of each in the first base that has it."""
        ...

    def known_leaves(self, file: int, offset: int, limit: int) -> list[tuple[Cid, int, int]]:
        """(cid, offset, length) of a file's leaves from `offset` on, in order."""
        ...

    def adopt_files(self, content: int, files: Sequence[int]) -> None:
        """Files of an unfinished content now belong to this one."""
        ...

    def copy_files(self, content: int, files: Sequence[int]) -> None:
        """Files of another content also belong to this one, with their leaves."""
        ...

    def settle_file(self, file: int, stamp: Stamp) -> None:
        """A file was read again and is as it was: this is how it looks."""
        ...

    def drop_file(self, file: int) -> None:
        """Take back a file of an unfinished content."""
        ...

    def in_place(self, path: str) -> list[int]:
        """Bases of complete contents that lie at this absolute path in the user's own files, newest first."""
        ...

    def count_files(self, base: int) -> int: ...
    def set_aside(self, content: int, earlier: int | None) -> int:
        """All files of an unfinished content go to `earlier`, or stay when there is none: the base that has them now."""
        ...

    def forget_place(self, root: Cid, path: str) -> bool:
        """What lies at this path in the user's files no longer counts for that content. False: nothing else held it, it is gone."""
        ...

    def set_public(self, root: Cid, public: bool) -> None: ...
    def forget_content(self, root: Cid) -> list[str]:
        """Drop rows that nothing else uses; the owned files, which the store unlinks itself after the commit."""
        ...

    def has(self, cids: Iterable[Cid]) -> set[Cid]: ...
    def stored_bytes(self) -> int:
        """Bytes that the store owns (rows and owned files), the number which quota limits."""
        ...

    # keeping
    def stock(self, root: Cid | None = None) -> list[Stock]:
        """Every content that the store owns bytes of, or the one of that root; unfinished ones too."""
        ...

    def damage(self, root: Cid, limit: int) -> list[Damage]:
        """What of that content is damaged, at most `limit`, oldest first."""
        ...

    def damaged_roots(self) -> list[Cid]:
        """Contents of which something is damaged."""
        ...

    def sample(self, root: Cid, count: int) -> list[Cid]:
        """Some leaves of a complete content, at random."""
        ...

    def checkable_bytes(self, root: Cid | None) -> int:
        """Bytes that a verification of one content, or of all, reads."""
        ...

    def saw_copy(self, root: Cid, peer: PeerId, now: float) -> None:
        """That peer gave a verified block of a content that is held here."""
        ...

    def lost_copy(self, root: Cid, peer: PeerId) -> None:
        """That peer was asked and has it no more."""
        ...

    def set_used(self, root: Cid, now: float) -> None:
        """Somebody fetched, opened or was served it."""
        ...

    # pins, outbox, small things
    def pin(self, root: Cid) -> None: ...
    def unpin(self, root: Cid) -> None: ...
    def pinned(self, root: Cid) -> bool: ...
    def enqueue(self, kind: str, payload: bytes, due: float) -> int: ...
    def due_outbox(self, now: float, limit: int) -> list[OutboxItem]: ...
    def retry_outbox(self, id: int, due: float) -> None: ...
    def done_outbox(self, id: int) -> None: ...
    def drop_outbox(self, kind: str, payload: bytes) -> None:
        """One item of that payload is not to be told any more; another's stays."""
        ...

    def get_meta(self, key: str) -> bytes | None: ...
    def set_meta(self, key: str, value: bytes | None) -> None:
        """Small named values (a kept port, a pending invite as `join/...`); None deletes."""
        ...

    def meta_with_prefix(self, prefix: str) -> list[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file to be fetched: path relative to the content's base, its size and its leaves (cid, offset, length) in order.

    `inline` are (offset, bytes) that interior nodes carry themselves: they fill what the leaves leave open.
    """

    path: str
    size: int
    leaves: tuple[tuple[Cid, int, int], ...]
    inline: tuple[tuple[int, bytes], ...] = ()


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


Json = dict[str, Any]
"""A JSON object as the control socket carries it."""
Emit = Callable[[str, Json], None]
"""Tells an event by its name and data; never waits, never raises."""
