"""The sorted set of (created, id) that two nodes compare, with the fingerprint of any range of it.

Pure data in memory, one index per circle and phase; it knows no records and never touches the disk. `services.admission` keeps it
equal to the store, `core.reconcile` asks it. A key is 40 bytes, `created` (8 bytes, big-endian) before the id, so that the order of
bytes is the order of (created, id) and a bound may be any prefix of a key.

Keys lie one behind the other in blocks of bounded size, each one string of bytes that never changes: a million keys take 46 MiB, and
a copy of the index only a list more. Counts and sums before each block are kept and rebuilt lazily behind the first block that
changed. So an insert writes at most one block anew, and a fingerprint adds the ids of at most two.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from p2pnode.core.ids import ID_BYTES, RecordId

CREATED_BYTES = 8
KEY_BYTES = CREATED_BYTES + ID_BYTES
WORDS_A_KEY = KEY_BYTES // 8
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
    """A sorted set of (created, id). Ranges are [lower, upper) over bytes; b"" is the beginning, None the end."""

    def __init__(
        self,
        keys: Iterable[tuple[int, RecordId]] = (),
        *,
        in_order: bool = False,
        print_of: Fingerprint = fingerprint,
        block_keys: int = BLOCK_KEYS,
    ) -> None:
        """With `in_order` the keys come sorted, each once, and are not held beside the blocks."""
        self._print_of = print_of
        self._split_at = 2 * block_keys * KEY_BYTES
        ordered = keys if in_order else sorted(set(keys))
        self._blocks = list(_blocks(ordered, block_keys))
        self._firsts = [block[:KEY_BYTES] for block in self._blocks]
        self._totals = [_total(block) for block in self._blocks]  # the ids of one block, added up
        self._counts: list[int] = [
            0
        ]  # keys before block i; one entry more than there are blocks, up to _clean of them true
        self._sums: list[int] = [0]  # ids before block i, added up
        self._length = sum(map(len, self._blocks)) // KEY_BYTES

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: bytes) -> bool:
        at = self._block_of(key)
        if at < 0:
            return False
        block = self._blocks[at]
        place = _place(block, key)
        return block[place : place + KEY_BYTES] == key

    def add(self, created: int, id: RecordId) -> bool:
        """True if it was not in the set."""
        key = sync_key(created, id)
        if not self._blocks:
            self._blocks, self._firsts, self._totals, self._length = [key], [key], [_total(key)], 1
            return True
        at = max(0, self._block_of(key))
        block = self._blocks[at]
        place = _place(block, key)
        if block[place : place + KEY_BYTES] == key:
            return False
        self._put(at, block[:place] + key + block[place:])
        self._totals[at] += _total(key)
        self._length += 1
        if len(self._blocks[at]) > self._split_at:
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
        place = _place(block, key)
        self._totals[at] -= _total(key)
        if len(block) > KEY_BYTES:
            self._put(at, block[:place] + block[place + KEY_BYTES :])
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

    def pieces(self, lower: bytes, upper: bytes | None) -> Iterator[bytes]:
        """The keys of the range one behind the other, in pieces."""
        first = self._block_of(lower)
        last = len(self._blocks) - 1 if upper is None else self._block_of(upper)
        for at in range(max(0, first), last + 1):
            block = self._blocks[at]
            start = _place(block, lower) if at == first else 0
            end = _place(block, upper) if upper is not None and at == last else len(block)
            if start < end:
                yield block if (start, end) == (0, len(block)) else block[start:end]

    def _take_over(self, other: SyncIndex) -> None:
        """Become a copy of another index."""
        self._print_of, self._split_at, self._length = other._print_of, other._split_at, other._length
        self._blocks, self._firsts, self._totals = other._blocks[:], other._firsts[:], other._totals[:]
        self._counts, self._sums = other._counts[:], other._sums[:]

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
        place = _place(block, bound)
        return self._counts[at] + place // KEY_BYTES, self._sums[at] + _total(block[:place])

    def _at(self, rank: int) -> bytes:
        self._add_up()
        at = bisect_left(self._counts, rank + 1) - 1
        place = (rank - self._counts[at]) * KEY_BYTES
        return self._blocks[at][place : place + KEY_BYTES]

    def _from(self, lower: bytes) -> Iterator[bytes]:
        at = max(0, self._block_of(lower))
        for number in range(at, len(self._blocks)):
            block = self._blocks[number]
            for place in range(_place(block, lower) if number == at else 0, len(block), KEY_BYTES):
                yield block[place : place + KEY_BYTES]

    def _put(self, at: int, block: bytes) -> None:
        self._blocks[at], self._firsts[at] = block, block[:KEY_BYTES]

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        middle = len(block) // KEY_BYTES // 2 * KEY_BYTES
        halves = [block[:middle], block[middle:]]
        self._blocks[at : at + 1] = halves
        self._firsts[at : at + 1] = [half[:KEY_BYTES] for half in halves]
        self._totals[at : at + 1] = [_total(half) for half in halves]

    def _forget_behind(self, at: int) -> None:
        del self._counts[at + 1 :], self._sums[at + 1 :]

    def _add_up(self) -> None:
        for at in range(len(self._counts) - 1, len(self._blocks)):
            self._counts.append(self._counts[at] + len(self._blocks[at]) // KEY_BYTES)
            self._sums.append((self._sums[at] + self._totals[at]) % _MODULUS)


def _blocks(keys: Iterable[tuple[int, RecordId]], block_keys: int) -> Iterator[bytes]:
    block: list[bytes] = []
    for created, id in keys:
        block.append(sync_key(created, id))
        if len(block) == block_keys:
            yield b"".join(block)
            block.clear()
    if block:
        yield b"".join(block)


def _place(block: bytes, bound: bytes) -> int:
    """Where in a block the first key stands that is not before `bound`, in bytes."""
    low, high = 0, len(block) // KEY_BYTES
    while low < high:
        middle = (low + high) // 2
        if block[middle * KEY_BYTES : (middle + 1) * KEY_BYTES] < bound:
            low = middle + 1
        else:
            high = middle
    return low * KEY_BYTES


def _total(block: bytes) -> int:
    """The ids of a block, added up: as columns of 64 bits, which takes half the time of adding long integers."""
    words: tuple[int, ...] = _words(len(block)).unpack(block)
    high, upper, lower, low = (sum(words[column::WORDS_A_KEY]) for column in range(1, WORDS_A_KEY))
    return (high << 192) + (upper << 128) + (lower << 64) + low


@cache  # a size for every count of keys that fit a block
def _words(size: int) -> struct.Struct:
    return struct.Struct(f">{size // 8}Q")
