"""One transaction of the store, as a type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

from p2pnode.core.cid import Cid
from p2pnode.core.ids import CircleId, PeerId, PublicKey, RecordId, WorkId
from p2pnode.core.record import Record
from p2pnode.core.stamp import HashedFile, KnownFile, Stamp
from p2pnode.ports.contents import Content, Damage, OutboxItem, Stock, Work


class Tx(Protocol):
    """One transaction. Synchronous: it runs on the store's thread. Leaving with an exception rolls everything back."""

    # records: a set per circle. Which of two to keep is the caller's rule (core.registers); the store only holds them.
    def record(self, id: RecordId) -> Record | None: ...
    def put_record(self, record: Record, *, own: bool = False) -> bool:
        """True if it was not held. Of two signatures over one body the bytewise smaller is kept. A stub stays one."""
        ...

    def drop_record(self, id: RecordId) -> None: ...
    def records(
        self,
        circle: CircleId,
        *,
        kinds: Sequence[str] = (),
        author: PublicKey | None = None,
        target: bytes | None = None,
        stubs: bool = False,
    ) -> list[Record]:
        """Sorted by (created, id); empty `kinds` = all. With `stubs` those too whose bodies were dropped (`Record.is_stub`)."""
        ...

    def record_keys(self, circle: CircleId, *, control: bool) -> Iterator[tuple[int, RecordId]]:
        """(created, id) of every record of the circle, stubs too, control kinds only or all but them, sorted: the sync index.

        To be read within the transaction.
        """
        ...

    def outlines(self, circle: CircleId) -> Iterator[Record]:
        """Every record of a circle that is kept whole, as a stub, in no order. To be read within the transaction."""
        ...

    def count_records(self, circle: CircleId, author: PublicKey) -> tuple[int, int]:
        """(registers, permanent records) of one author in a circle, stubs too."""
        ...

    def strip_records(self, ids: Iterable[RecordId]) -> None:
        """Drop the bodies of these records and keep them as stubs: ids, and what they are about. Own records stay whole."""
        ...

    def count_stubs(self, circle: CircleId, *, kinds: Sequence[str] = (), target: bytes | None = None) -> int:
        """How many records of a circle are stubs; of these kinds and about that target, if given."""
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
    def words_in_use(self, words: Sequence[str]) -> set[str]:
        """Those of these DHT words under which a public work that is here is provided."""
        ...

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
    def due_outbox(self, now: float, limit: int, kind: str | None = None) -> list[OutboxItem]:
        """What is due, the longest due first; of one kind, or of all."""
        ...

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
