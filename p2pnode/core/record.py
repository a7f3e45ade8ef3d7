"""A signed record as every other room sees it. Decoding, encoding and verifying live in `core.records`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from p2pnode.core.ids import CircleId, PublicKey, RecordId

Value = int | str | bytes | tuple["Value", ...] | Mapping[str, "Value"]
"""What a record's field may hold: integers, text, bytes, arrays and maps of these. No floats, booleans or nil."""

PROFILE, MANIFEST, CHARTER, VOUCH = "profile", "manifest", "charter", "vouch"
PROPOSAL, BALLOT, SEAL, WITHDRAW = "proposal", "ballot", "seal", "withdraw"
CUT, FORK = "cut", "fork"
REGISTER_KINDS = frozenset({VOUCH, BALLOT, PROFILE})
"""Kinds where a newer record of (circle, author, kind, target) replaces an older one; all others are permanent."""
CONTROL_KINDS = frozenset({CHARTER, VOUCH, SEAL, CUT})
"""Kinds that decide who belongs to a circle: they are synced before the rest."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record whose body decoded and whose signature verified.

    Where a circle is over its cap, some are kept as *stubs*: `body` and `sig` are empty and `fields` are circle, kind, author,
    target, seq and created (`v` is 0). What decides whether a record is kept reads no more than those; nothing else is ever given a stub.

    `body` is the canonical msgpack map, `sig` 64 bytes beside it, `id` = SHA-256 of the domain-separated body, `fields` the
    decoded map. Equality is by id: two valid signatures over one body are the same record.
    """

    id: RecordId
    body: bytes
    sig: bytes
    fields: Mapping[str, Value]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def is_stub(self) -> bool:
        """Whether only what it is about is known here, not what it says."""
        return not self.body

    @property
    def kind(self) -> str:
        kind = self.fields["kind"]
        assert isinstance(kind, str)
        return kind

    @property
    def circle(self) -> CircleId:
        return CircleId(self._bytes("circle"))

    @property
    def author(self) -> PublicKey:
        return PublicKey(self._bytes("author"))

    @property
    def target(self) -> bytes:
        return self._bytes("target")

    @property
    def seq(self) -> int:
        return self._int("seq")

    @property
    def created(self) -> int:
        """Seconds since 1970, UTC, as its author claims."""
        return self._int("created")

    @property
    def day(self) -> int:
        """The UTC day of `created`, counted from 1970."""
        return self.seq >> 16

    def _bytes(self, name: str) -> bytes:
        value = self.fields[name]
        assert isinstance(value, bytes)
        return value

    def _int(self, name: str) -> int:
        value = self.fields[name]
        assert isinstance(value, int)
        return value
