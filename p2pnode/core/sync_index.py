"""The sorted set of (created, id) that two nodes compare, with the fingerprint of any range of it.

Pure data in memory, one index per circle and phase; it knows no records and never touches the disk. `services.admission` keeps it
equal to the store, `core.reconcile` asks it. A key is 40 bytes, `created` (8 bytes, big-endian) before the id, so that the order of
bytes is the order of (created, id) and a bound may be any prefix of a key.

Keys lie in blocks of bounded size; counts and sums before each block are kept and rebuilt lazily behind the first block that
changed. So an insert moves at most one block, and a fingerprint adds the ids of at most two.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from p2pnode.core.ids import ID_BYTES, RecordId

CREATED_BYTES = 8
KEY_BYTES = CREATED_BYTES + ID_BYTES
FINGERPRINT_BYTES = 16
"""128 bits: an accident is out of question; crafted collisions are the salted digest's business (design 4.5)."""
BLOCK_KEYS = 64
"""Keys in a freshly built block; it is split at twice as many. Small enough to add up, large enough that few blocks are counted."""

_MODULUS = 1 << (ID_BYTES * 8)

Fingerprint = Callable[[int, int], bytes]
"""(sum of the ids mod 2^256, their count) -> 16 bytes. An argument only so that tests can make collisions common."""


def fingerprint(total: int, count: int) -> bytes:
    """First 16 bytes of SHA-256(sum, 32 bytes big-endian || count, 8 bytes big-endian)."""
    return hashlib.sha256(total.to_bytes(ID_BYTES, "big") + count.to_bytes(8, "big")).digest()[:FINGERPRINT_BYTES]


def sync_key(created: int, id: RecordId) -> bytes:
    """The 40 bytes under which a record is compared."""
    return created.to_bytes(CREATED_BYTES, "big") + id


def key_id(key: bytes) -> RecordId:
    return RecordId(key[CREATED_BYTES:])


def bound_between(before: bytes, key: bytes) -> bytes:
    """The shortest prefix of `key` that sorts after `before` (which sorts before `key`): a short bound to send."""
    for length in range(1, KEY_BYTES):
        if key[:length] > before:
            return key[:length]
    return key


class SyncIndex:
    """A mutable sorted set of keys. A range is [lower, upper) over bounds; b"" is the beginning, None the end."""

    def __init__(
        self,
        keys: Iterable[tuple[int, RecordId]] = (),
        *,
        print_of: Fingerprint = fingerprint,
        block_keys: int = BLOCK_KEYS,
    ) -> None:
        ordered = sorted({sync_key(created, id) for created, id in keys})
        self._print_of = print_of
        self._split_at = 2 * block_keys
        self._blocks = [ordered[start : start + block_keys] for start in range(0, len(ordered), block_keys)]
        self._firsts = [block[0] for block in self._blocks]
        self._totals = [_total(block) for block in self._blocks]  # the ids of one block, added up
        self._counts: list[int] = [
            0
        ]  # keys before block i; one entry more than there are blocks, up to _clean of them true
        self._sums: list[int] = [0]  # ids before block i, added up
        self._length = len(ordered)

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: bytes) -> bool:
        at = self._block_of(key)
        if at < 0:
            return False
        block = self._blocks[at]
        place = bisect_left(block, key)
        return place < len(block) and block[place] == key

    def add(self, created: int, id: RecordId) -> bool:
        """True if it was not in the set."""
        key = sync_key(created, id)
        if not self._blocks:
            self._blocks, self._firsts, self._totals, self._length = [[key]], [key], [_as_int(key)], 1
            return True
        at = max(0, self._block_of(key))
        block = self._blocks[at]
        place = bisect_left(block, key)
        if place < len(block) and block[place] == key:
            return False
        block.insert(place, key)
        self._firsts[at] = block[0]
        self._totals[at] += _as_int(key)
        self._length += 1
        if len(block) > self._split_at:
            self._split(at)
        self._forget_behind(at)
        return True

    def discard(self, created: int, id: RecordId) -> bool:
        """True if it was in the set."""
        key = sync_key(created, id)
        if key not in self:
            return False
        at = self._block_of(key)
        block = self._blocks[at]
        del block[bisect_left(block, key)]
        self._totals[at] -= _as_int(key)
        if block:
            self._firsts[at] = block[0]
        else:
            del self._blocks[at], self._firsts[at], self._totals[at]
        self._length -= 1
        self._forget_behind(at)
        return True

    def count(self, lower: bytes, upper: bytes | None) -> int:
        """How many keys lie in the range."""
        return self._before(upper)[0] - self._before(lower)[0]

    def fingerprint(self, lower: bytes, upper: bytes | None) -> bytes:
        """The 16 bytes that stand for the ids in the range."""
        count_low, sum_low = self._before(lower)
        count_high, sum_high = self._before(upper)
        return self._print_of((sum_high - sum_low) % _MODULUS, count_high - count_low)

    def keys(self, lower: bytes, upper: bytes | None, limit: int) -> list[bytes]:
        """At most `limit` keys of the range, in order."""
        found: list[bytes] = []
        for key in self._from(lower):
            if len(found) == limit or (upper is not None and key >= upper):
                break
            found.append(key)
        return found

    def bounds(self, lower: bytes, upper: bytes | None, *, ways: int, offset: float) -> list[bytes | None]:
        """Upper bounds that cut the range into at most `ways` parts of nearly equal count, the last of them `upper`.

        `offset` in [0, 1) moves all cuts: the first part has that share of a whole part's keys, the last has the rest.
        """
        first = self._before(lower)[0]
        count = self._before(upper)[0] - first
        width = count / max(1, ways - 1)
        ranks = {first + int(width * (offset + step)) for step in range(max(0, ways - 1))}
        cuts: list[bytes | None] = []
        for rank in sorted(ranks):
            if first < rank < first + count:
                cuts.append(bound_between(self._at(rank - 1), self._at(rank)))
        return [*cuts, upper]

    def _block_of(self, key: bytes) -> int:
        """The last block whose first key is not after `key`; -1 if there is none."""
        at = bisect_left(self._firsts, key)
        return at if at < len(self._firsts) and self._firsts[at] == key else at - 1

    def _before(self, bound: bytes | None) -> tuple[int, int]:
        """(count, sum) of the keys before a bound."""
        self._add_up()
        if bound is None:
            return self._counts[-1], self._sums[-1]
        at = self._block_of(bound)
        if at < 0:
            return 0, 0
        block = self._blocks[at]
        place = bisect_left(block, bound)
        # A key as one integer is created * 2^256 + id: what lies above 2^256 falls away when the sum is reduced.
        return self._counts[at] + place, self._sums[at] + _total(block[:place])

    def _at(self, rank: int) -> bytes:
        self._add_up()
        at = bisect_left(self._counts, rank + 1) - 1
        return self._blocks[at][rank - self._counts[at]]

    def _from(self, lower: bytes) -> Iterator[bytes]:
        at = max(0, self._block_of(lower))
        for number, block in enumerate(self._blocks[at:]):
            yield from block[bisect_left(block, lower) :] if number == 0 else block

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        halves = [block[: len(block) // 2], block[len(block) // 2 :]]
        self._blocks[at : at + 1] = halves
        self._firsts[at : at + 1] = [half[0] for half in halves]
        self._totals[at : at + 1] = [_total(half) for half in halves]

    def _forget_behind(self, at: int) -> None:
        del self._counts[at + 1 :], self._sums[at + 1 :]

    def _add_up(self) -> None:
        for at in range(len(self._counts) - 1, len(self._blocks)):
            self._counts.append(self._counts[at] + len(self._blocks[at]))
            self._sums.append((self._sums[at] + self._totals[at]) % _MODULUS)


def _as_int(key: bytes) -> int:
    return int.from_bytes(key, "big")


def _total(keys: list[bytes]) -> int:
    return sum(map(_as_int, keys))
