"""The address book: the contract of both stores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.core.ids import PeerId
from p2pnode.store.addresses import MAX_ADDRESSES, Known, PeerAddresses, merged
from p2pnode.store.node_store import NodeStore
from tests.store.samples import Clock

A, B, C, D = (PeerId(f"12D3Koo{name}") for name in "ABCD")


@pytest.mark.trio
async def test_what_answered_comes_first_and_hearsay_behind(store: NodeStore, clock: Clock) -> None:
    book = store.address_book
    await book.remember(A, ["/ip4/1.1.1.1/tcp/1", "/ip4/1.1.1.1/tcp/2"], answered=False)
    assert await book.addresses(A) == ["/ip4/1.1.1.1/tcp/1", "/ip4/1.1.1.1/tcp/2"]
    assert await book.recent(10) == []
    await book.remember(A, ["/ip4/1.1.1.1/tcp/2"], answered=True)
    clock.now += 1
    await book.remember(A, ["/dns/new/tcp/3"], answered=False)
    assert await book.addresses(A) == ["/ip4/1.1.1.1/tcp/2", "/dns/new/tcp/3", "/ip4/1.1.1.1/tcp/1"]
    assert await book.recent(10) == [(A, await book.addresses(A))]
    assert await book.addresses(B) == []


@pytest.mark.trio
async def test_recent_is_ordered_by_the_last_answer(store: NodeStore, clock: Clock) -> None:
    for peer in (A, B, C, A):
        clock.now += 1
        await store.address_book.remember(peer, [f"/dns/{peer}"], answered=True)
    await store.address_book.remember(D, ["/dns/d"], answered=False)
    assert [peer for peer, _ in await store.address_book.recent(10)] == [A, C, B]
    assert [peer for peer, _ in await store.address_book.recent(1)] == [A]


@pytest.mark.trio
async def test_a_full_book_forgets_who_never_answered_then_the_oldest_answer(store: NodeStore, clock: Clock) -> None:
    book = PeerAddresses(store.engine, clock, max_peers=3)
    for peer, answered in ((A, True), (B, False), (C, True)):
        clock.now += 1
        await book.remember(peer, ["/dns/x"], answered=answered)
    await book.remember(D, ["/dns/x"], answered=True)
    assert [bool(await book.addresses(peer)) for peer in (A, B, C, D)] == [True, False, True, True]
    clock.now += 1
    await book.remember(B, ["/dns/x"], answered=True)
    assert [bool(await book.addresses(peer)) for peer in (A, B, C, D)] == [False, True, True, True]
    for n in range(20):
        await book.remember(PeerId(f"stranger{n}"), ["/dns/x"], answered=False)
    assert [bool(await book.addresses(peer)) for peer in (B, C, D)] == [True, True, True]


@pytest.mark.trio
async def test_a_crowd_of_made_up_addresses_displaces_no_answer(store: NodeStore) -> None:
    book = store.address_book
    await book.remember(A, ["/dns/true"], answered=True)
    await book.remember(A, [f"/dns/{n}" for n in range(100)], answered=False)
    held = await book.addresses(A)
    assert (held[0], len(held)) == ("/dns/true", MAX_ADDRESSES)


@pytest.mark.trio
async def test_nonsense_is_ignored(store: NodeStore) -> None:
    book = store.address_book
    await book.remember(A, [], answered=True)
    await book.remember(A, ["", "x" * 10_000, "/dns/\ud800"], answered=True)
    await book.remember(PeerId("p" * 1000), ["/dns/x"], answered=True)
    assert await book.recent(10) == []


@given(
    st.lists(st.tuples(st.lists(st.sampled_from("abcdefghijklmnopqrstuvw"), max_size=20), st.booleans()), max_size=20)
)
def test_addresses_stay_distinct_bounded_and_ordered(calls: list[tuple[list[str], bool]]) -> None:
    known: Known = []
    for time, (addresses, answered) in enumerate(calls, start=1):
        known = merged(known, addresses, float(time) if answered else 0.0)
        assert len(known) <= MAX_ADDRESSES
        assert len({address for address, _ in known}) == len(known)
        assert [at for _, at in known] == sorted((at for _, at in known), reverse=True)
        if answered and addresses:
            assert known[0] == (addresses[0], float(time))
