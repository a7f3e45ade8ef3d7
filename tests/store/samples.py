"""Small records, works and trees for the store's tests. Signatures are made up: the store never looks at them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from p2pnode.core.cid import DAG_PB, RAW, Cid
from p2pnode.core.ids import NO_CIRCLE, CircleId, PublicKey, RecordId, WorkId
from p2pnode.core.record import Record
from p2pnode.ports import WantedFile, Work

DAY = 86_400
NOW = 20_000 * DAY + 3_600.0


class Clock:
    """A clock that a test turns by hand."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def key(name: object) -> PublicKey:
    return PublicKey(digest("key", name))


def circle(name: object) -> CircleId:
    return CircleId(digest("circle", name))


def record(
    kind: str = "ballot",
    *,
    circle: bytes = NO_CIRCLE,
    author: bytes = key("ada"),
    target: bytes = digest("target"),
    created: int = int(NOW),
    counter: int = 0,
    sig: bytes = bytes(64),
    **fields: Any,
) -> Record:
    """A record with the columns that the store looks at; equal arguments give the same id."""
    values = {
        "v": 1, "kind": kind, "circle": circle, "author": author, "target": target,
        "created": created, "seq": created // DAY << 16 | counter, **fields,
    }  # fmt: skip
    body = msgpack.packb(dict(sorted(values.items())), use_bin_type=True)
    return Record(RecordId(hashlib.sha256(b"p2pnode/rec/1" + body).digest()), body, sig, values)


def work(title: str = "A tale", *, number: int = 0, **changes: Any) -> Work:
    """A work whose id follows from title and number."""
    manifest = record("manifest", target=digest(title, number), counter=number)
    values: dict[str, Any] = {
        "id": WorkId(manifest.id), "manifest": manifest, "root": Cid.of(DAG_PB, digest(title, number)), "title": title,
        "kind": "text", "creators": ("Ada",), "licence": "CC0-1.0", "bytes": 10, "files": 1, "state": "own",
        "private": False, "circle": NO_CIRCLE, "author": key("ada"), "added": NOW + number,
    }  # fmt: skip
    return Work(**{**values, **changes})


def bytes_of(size: int, seed: object = 0) -> bytes:
    """Repeatable bytes that do not repeat within themselves."""
    return hashlib.shake_128(repr(seed).encode()).digest(size)


@dataclass(frozen=True)
class Tree:
    """A folder cut into leaves: what a fetch asks for, and every block of it."""

    root: Cid
    node: bytes
    files: tuple[WantedFile, ...]
    leaves: dict[Cid, bytes]
    contents: dict[str, bytes]

    @property
    def blocks(self) -> list[tuple[Cid, bytes]]:
        return [(self.root, self.node)]

    @property
    def size(self) -> int:
        return sum(len(data) for data in self.contents.values())


def tree(contents: dict[str, bytes], *, leaf_bytes: int = 100_000) -> Tree:
    """Leaves of `leaf_bytes` (over the small limit of 64 KiB), the last of each file shorter."""
    leaves: dict[Cid, bytes] = {}
    files = []
    for path, data in contents.items():
        pieces = []
        for offset in range(0, len(data), leaf_bytes):
            leaf = data[offset : offset + leaf_bytes]
            leaves[cid := Cid.of(RAW, leaf)] = leaf
            pieces.append((cid, offset, len(leaf)))
        files.append(WantedFile(path, len(data), tuple(pieces)))
    node = msgpack.packb([[path, digest(data)] for path, data in contents.items()])
    return Tree(Cid.of(DAG_PB, node), node, tuple(files), leaves, dict(contents))


def titles(works: Sequence[Work]) -> list[str]:
    return [work.title for work in works]
