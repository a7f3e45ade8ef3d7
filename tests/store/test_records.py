"""Records, circles and sequence numbers: the contract of both stores."""

from __future__ import annotations

import pytest

from p2pnode.core.ids import prefix_range
from p2pnode.store.node_store import NodeStore
from tests.store.samples import DAY, NOW, Clock, circle, digest, key, record

C, D = circle("c"), circle("d")


@pytest.mark.trio
async def test_a_record_comes_back_as_it_was_put(store: NodeStore) -> None:
    one = record(circle=C, choice="approve", list=(1, "ü", b"\0"), map={"a": 1})
    assert await store.write(lambda tx: tx.put_record(one)) is True
    assert await store.write(lambda tx: tx.put_record(one)) is False
    held = await store.read(lambda tx: tx.record(one.id))
    assert held is not None
    assert (held.id, held.body, held.sig, dict(held.fields)) == (one.id, one.body, one.sig, dict(one.fields))


@pytest.mark.trio
@pytest.mark.parametrize("order", [(b"\1", b"\2"), (b"\2", b"\1")])
async def test_of_two_signatures_the_smaller_is_kept(store: NodeStore, order: tuple[bytes, bytes]) -> None:
    for first in order:
        await store.write(lambda tx, sig=first * 64: tx.put_record(record(sig=sig)))  # type: ignore[misc]
    held = await store.read(lambda tx: tx.record(record().id))
    assert held is not None and held.sig == b"\1" * 64


@pytest.mark.trio
async def test_records_are_filtered_and_sorted_by_time_then_id(store: NodeStore) -> None:
    ballots = [record(circle=C, created=int(NOW) - n // 2, counter=n) for n in range(6)]
    vouch = record("vouch", circle=C, author=key("bo"), created=5)
    elsewhere = record(circle=D)
    await store.write(lambda tx: [tx.put_record(r) for r in (*ballots, vouch, elsewhere)])
    by_time = sorted([*ballots, vouch], key=lambda r: (r.created, r.id))
    assert await store.read(lambda tx: tx.records(C)) == by_time
    assert await store.read(lambda tx: tx.records(C, kinds=["vouch", "seal"])) == [vouch]
    assert await store.read(lambda tx: tx.records(C, author=key("bo"))) == [vouch]
    assert await store.read(lambda tx: tx.records(C, author=key("bo"), kinds=["ballot"])) == []
    assert await store.read(lambda tx: tx.records(D, target=elsewhere.target)) == [elsewhere]
    assert await store.read(lambda tx: tx.records(C, target=digest("other"))) == []
    await store.write(lambda tx: tx.drop_record(vouch.id))
    assert await store.read(lambda tx: tx.records(C, kinds=["vouch"])) == []


@pytest.mark.trio
async def test_the_sync_index_keeps_control_records_apart(store: NodeStore) -> None:
    control = [record(kind, circle=C, created=9 - n) for n, kind in enumerate(("charter", "vouch", "seal"))]
    others = [record(kind, circle=C, created=n) for n, kind in enumerate(("ballot", "proposal", "something-new"))]
    await store.write(lambda tx: [tx.put_record(r) for r in control + others])
    assert await store.read(lambda tx: list(tx.record_keys(C, control=True))) == sorted(
        (r.created, r.id) for r in control
    )
    assert await store.read(lambda tx: list(tx.record_keys(C, control=False))) == sorted(
        (r.created, r.id) for r in others
    )
    assert await store.read(lambda tx: list(tx.record_keys(D, control=False))) == []


@pytest.mark.trio
async def test_short_ids_find_records_and_targets(store: NodeStore) -> None:
    made = [record(circle=C, counter=n, target=digest(n // 2)) for n in range(40)]
    await store.write(lambda tx: [tx.put_record(r) for r in made])
    everything = prefix_range("")
    assert await store.read(lambda tx: tx.find_records(*everything)) == sorted(made, key=lambda r: r.id)[:16]
    assert await store.read(lambda tx: tx.find_records(made[3].id, made[3].id, kinds=["ballot"])) == [made[3]]
    assert await store.read(lambda tx: tx.find_records(made[3].id, made[3].id, kinds=["vouch"])) == []
    targets = sorted({r.target for r in made})
    assert await store.read(lambda tx: tx.find_targets(*everything, kinds=["ballot"])) == targets[:16]
    assert await store.read(lambda tx: tx.find_targets(targets[2], targets[3], kinds=["ballot"])) == targets[2:4]
    assert await store.read(lambda tx: tx.find_targets(*everything, kinds=["vouch"])) == []


@pytest.mark.trio
async def test_seq_never_repeats_even_when_the_clock_goes_back(store: NodeStore) -> None:
    times = [NOW, NOW, NOW + 5, NOW - 3 * DAY, NOW - 3 * DAY, NOW + DAY, NOW, 0.0]
    given = [await store.write(lambda tx, now=now: tx.next_seq(key("ada"), now)) for now in times]  # type: ignore[misc]
    seqs = [seq for seq, _ in given]
    assert seqs == sorted(set(seqs))
    assert all(seq >> 16 == created // DAY for seq, created in given)
    assert given[0] == (20_000 << 16, int(NOW))
    assert given[2] == ((20_000 << 16) + 2, int(NOW) + 5)
    assert given[3][1] == 20_000 * DAY  # the clock says three days ago: the first moment of the day that seq must name
    assert await store.write(lambda tx: tx.next_seq(key("bo"), NOW)) == (20_000 << 16, int(NOW))


@pytest.mark.trio
async def test_seq_goes_on_after_our_own_records_that_came_back_by_sync(store: NodeStore) -> None:
    await store.write(lambda tx: tx.put_record(record(circle=C, counter=7)))
    assert (await store.write(lambda tx: tx.next_seq(key("ada"), NOW)))[0] == (20_000 << 16) + 8


@pytest.mark.trio
async def test_a_full_day_goes_on_in_the_next(store: NodeStore) -> None:
    await store.write(lambda tx: tx.put_record(record(circle=C, counter=0xFFFF)))
    seq, created = await store.write(lambda tx: tx.next_seq(key("ada"), NOW))
    assert (seq, created) == (20_001 << 16, 20_001 * DAY)


@pytest.mark.trio
async def test_leaving_a_circle_keeps_only_our_own_records(store: NodeStore, clock: Clock) -> None:
    own, foreign, elsewhere = record(circle=C, counter=1), record(circle=C, author=key("bo")), record(circle=D)
    await store.write(lambda tx: tx.put_record(own))
    await store.write(lambda tx: tx.put_record(own, own=True))  # held already: it becomes ours all the same
    await store.write(lambda tx: [tx.put_record(r) for r in (foreign, elsewhere)])
    await store.write(lambda tx: (tx.add_circle(D, b"d" * 32, NOW), tx.add_circle(C, b"c" * 32, NOW + 1)))
    assert await store.read(lambda tx: tx.circles()) == [D, C]
    assert await store.read(lambda tx: tx.circle_salt(C)) == b"c" * 32
    await store.write(lambda tx: tx.remove_circle(C))
    assert await store.read(lambda tx: tx.circles()) == [D]
    assert await store.read(lambda tx: tx.circle_salt(C)) is None
    assert await store.read(lambda tx: tx.records(C)) == [own]
    assert await store.read(lambda tx: tx.records(D)) == [elsewhere]
