"""Provider records: the contract of both stores."""

from __future__ import annotations

import pytest

from p2pnode.core.ids import PeerId
from p2pnode.store.node_store import NodeStore
from p2pnode.store.providers import RECORD_LIFE_S, ProviderTable
from tests.store.samples import NOW

K, L, M = (bytes([n]) * 32 for n in range(3))


def peer(name: object) -> PeerId:
    return PeerId(f"12D3Koo{name}")


async def totals(store: NodeStore) -> tuple[int, int]:
    """(records, peers) as counted by hand, after checking that the kept numbers agree."""

    def count(db):  # type: ignore[no-untyped-def]
        rows = db.execute("SELECT count(*) FROM providers").fetchone()[0]
        assert db.execute("SELECT value FROM totals WHERE name = 'providers'").fetchone()[0] == rows
        peers = dict(db.execute("SELECT id, kept FROM provider_peers").fetchall())
        assert peers == dict(db.execute("SELECT peer, count(*) FROM providers GROUP BY peer").fetchall())
        return rows, len(peers)

    return await store.engine.read(count)  # type: ignore[no-any-return]


@pytest.mark.trio
async def test_providers_come_back_latest_first_until_they_expire(store: NodeStore) -> None:
    records = store.provider_records
    assert await records.add(K, peer("a"), ["/dns/a"], NOW)
    assert await records.add(K, peer("b"), [], NOW + 1)
    assert await records.add(L, peer("a"), ["/dns/a2"], NOW + 2)
    assert await records.get(K, NOW + 2) == [(peer("b"), []), (peer("a"), ["/dns/a2"])]
    assert await records.get(M, NOW) == []
    assert await records.add(K, peer("a"), [], NOW + 10)  # renewed, addresses kept
    assert await records.get(K, NOW + RECORD_LIFE_S + 1) == [(peer("a"), ["/dns/a2"])]
    assert await records.get(K, NOW + RECORD_LIFE_S + 10) == []


@pytest.mark.trio
async def test_a_key_keeps_who_came_first_until_a_place_is_free(store: NodeStore) -> None:
    records = ProviderTable(store.engine, max_per_key=2)
    assert [await records.add(K, peer(n), [], NOW) for n in range(3)] == [True, True, False]
    assert await records.add(K, peer(0), [], NOW + 60)
    assert not await records.add(K, peer(2), [], NOW + RECORD_LIFE_S - 1)
    assert await records.add(K, peer(2), [], NOW + RECORD_LIFE_S)
    assert {p for p, _ in await records.get(K, NOW + RECORD_LIFE_S)} == {peer(0), peer(2)}


@pytest.mark.trio
async def test_a_full_table_shares_fairly(store: NodeStore) -> None:
    records = ProviderTable(store.engine, max_providers=6)
    keys = [bytes([n]) * 32 for n in range(20)]
    for n in range(6):
        assert await records.add(keys[n], peer("greedy"), [], NOW + n)
    assert not await records.add(keys[6], peer("greedy"), [], NOW + 6)
    for n in range(2):
        assert await records.add(keys[n], peer("modest"), [], NOW + 7)
        assert await records.add(keys[n], peer("third"), [], NOW + 7)
    assert await totals(store) == (6, 3)
    assert not await records.add(keys[9], peer("modest"), [], NOW + 8)  # everybody has two now
    assert await records.add(keys[9], peer("fourth"), [], NOW + 8)
    assert not await records.add(keys[10], peer("fourth"), [], NOW + 8)
    assert await totals(store) == (6, 4)
    held = [n for n in range(6) if peer("greedy") in {p for p, _ in await records.get(keys[n], NOW + 9)}]
    assert 0 not in held  # the greedy peer's oldest went first


@pytest.mark.trio
async def test_a_crowd_of_newcomers_does_not_churn_a_full_table(store: NodeStore) -> None:
    records = ProviderTable(store.engine, max_providers=3)
    for n in range(3):
        assert await records.add(K, peer(n), [], NOW)
    for n in range(3, 20):
        assert not await records.add(L, peer(n), [], NOW)
    assert await totals(store) == (3, 3)


@pytest.mark.trio
async def test_expired_records_make_room(store: NodeStore) -> None:
    records = ProviderTable(store.engine, max_providers=5)
    for n in range(5):
        assert await records.add(bytes([n]) * 32, peer(n), [], NOW)
    assert await records.add(L, peer("late"), ["/dns/late"], NOW + RECORD_LIFE_S)
    assert await totals(store) == (1, 1)


@pytest.mark.trio
async def test_nonsense_is_refused(store: NodeStore) -> None:
    records = store.provider_records
    assert not await records.add(b"", peer("a"), [], NOW)
    assert not await records.add(bytes(65), peer("a"), [], NOW)
    assert not await records.add(K, PeerId(""), [], NOW)
    assert not await records.add(K, PeerId("p" * 1000), [], NOW)
    assert await records.add(K, peer("a"), ["x" * 1000, "/dns/a", "/dns/a"], NOW)
    assert await records.get(K, NOW) == [(peer("a"), ["/dns/a"])]
