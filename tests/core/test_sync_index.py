"""The index against the plainest model there is: a sorted list."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.ids import RecordId
from p2pnode.core.sync_index import KEY_BYTES, SyncIndex, bound_between, fingerprint, sync_key

Entry = tuple[int, RecordId]
entries = st.tuples(st.integers(0, 40), st.binary(min_size=32, max_size=32).map(RecordId))
bounds = st.one_of(
    st.none(), st.binary(max_size=KEY_BYTES), st.builds(sync_key, st.integers(0, 41), st.just(bytes(32)))
)


def model_print(keys: list[bytes]) -> bytes:
    return fingerprint(sum(int.from_bytes(key[8:], "big") for key in keys) % 2**256, len(keys))


@given(st.lists(entries, max_size=60), st.lists(entries, max_size=30), bounds, bounds, st.integers(0, 2**32))
def test_any_history_gives_the_counts_and_fingerprints_of_a_sorted_list(
    initial: list[Entry], added: list[Entry], low: bytes | None, upper: bytes | None, seed: int
) -> None:
    index = SyncIndex(initial, block_keys=3)
    model = {sync_key(*entry) for entry in initial}
    for entry in added:
        assert index.add(*entry) == (sync_key(*entry) not in model)
        model.add(sync_key(*entry))
        assert index.fingerprint(b"", None) == model_print(sorted(model))
    for created, id in random.Random(seed).sample(added, len(added) // 2):
        assert index.discard(created, id) == (sync_key(created, id) in model)
        model.discard(sync_key(created, id))
    lower = low or b""
    if upper is not None and upper < lower:
        lower, upper = upper, lower
    inside = sorted(key for key in model if key >= lower and (upper is None or key < upper))
    assert index.count(lower, upper) == len(inside)
    assert index.fingerprint(lower, upper) == model_print(inside)
    assert index.keys(lower, upper, 1000) == inside
    assert index.keys(lower, upper, 2) == inside[:2]
    assert len(index) == len(model)
    assert all(key in index for key in model)
    assert bytes(KEY_BYTES) not in index or bytes(KEY_BYTES) in model


@given(st.sets(entries, min_size=1, max_size=80), st.integers(2, 16), st.floats(0, 1, exclude_max=True))
def test_a_split_covers_the_range_in_parts_of_nearly_equal_count(held: set[Entry], ways: int, offset: float) -> None:
    index = SyncIndex(held, block_keys=4)
    cuts = index.bounds(b"", None, ways=ways, offset=offset)
    assert len(cuts) <= ways
    assert cuts[-1] is None
    lower, counts = b"", []
    for cut in cuts:
        assert cut is None or cut > lower
        counts.append(index.count(lower, cut))
        lower = cut or b""
    assert sum(counts) == len(held)
    assert max(counts) <= len(held) / (ways - 1) + 1


@given(entries, entries)
def test_a_bound_separates_two_keys_and_is_as_short_as_possible(one: Entry, other: Entry) -> None:
    before, key = sorted((sync_key(*one), sync_key(*other)))
    if before == key:
        return
    bound = bound_between(before, key)
    assert before < bound <= key
    assert len(bound) == 1 or key[: len(bound) - 1] <= before


def test_the_fingerprint_is_the_one_of_the_protocol_document() -> None:
    index = SyncIndex([(5, RecordId(b"\xff" * 32)), (6, RecordId(bytes(31) + b"\x03"))])
    assert index.fingerprint(b"", None).hex() == fingerprint(2, 2).hex() == "4570f6723efc37ca45ecd575eeef825e"
