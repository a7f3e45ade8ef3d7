"""The node's memory for peers: who is cut when it is full, and that nothing is ever counted twice or left behind."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.errors import NetworkError
from p2pnode.net.budget import Account, Budget, Ledger, Share
from p2pnode.net.network import Libp2pNetwork
from p2pnode.ports import Stream
from tests.support.net import NodeNet, link, networks, round_trip, until

LARGEST: Callable[[Account], float] = lambda account: account.held  # noqa: E731


def accounts(ledger: Ledger, count: int) -> tuple[list[Account], list[int]]:
    cut: list[int] = []
    return [ledger.open(lambda n=n: cut.append(n)) for n in range(count)], cut  # type: ignore[misc]


def test_the_largest_holder_is_cut() -> None:
    ledger = Ledger(100, LARGEST)
    (a, b, c), cut = accounts(ledger, 3)
    a.add(30)
    b.add(50)
    c.add(20)
    assert cut == []
    a.add(1)
    assert cut == [1] and ledger.held == 51 and ledger.ended == 1


def test_who_stood_still_longest_is_cut_from_what_is_to_be_sent() -> None:
    budget = Budget()
    budget.outgoing.limit = 100
    cut: list[str] = []
    stalled = Share(budget, lambda: cut.append("stalled")).outgoing
    busy = Share(budget, lambda: cut.append("busy")).outgoing
    stalled.add(20)
    for _ in range(10):
        busy.add(70)
        busy.remove(70)
    busy.add(85)
    assert cut == ["stalled"] and budget.outgoing.held == 85


def test_a_closed_account_counts_nothing() -> None:
    ledger = Ledger(100, LARGEST)
    (a, b), cut = accounts(ledger, 2)
    a.add(60)
    a.close()
    a.add(60)
    a.remove(10)
    a.close()
    assert ledger.held == a.held == 0 and ledger.accounts == {b}
    assert cut == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-60, 60)), max_size=200))
def test_the_sum_is_the_sum(steps: list[tuple[int, int]]) -> None:
    ledger = Ledger(100, LARGEST)
    opened, _ = accounts(ledger, 5)
    for number, change in steps:
        (opened[number].add if change > 0 else opened[number].remove)(abs(change))
        assert ledger.held == sum(account.held for account in ledger.accounts) <= ledger.limit
        assert all(account.held >= 0 for account in opened)


async def _never_read(stream: Stream) -> None:
    await stream.send_all(b"!")
    await trio.sleep_forever()


async def _fill(attacker: Libp2pNetwork, victim: Libp2pNetwork, streams: int) -> None:
    """As much as the windows of so many unread streams take."""
    async with trio.open_nursery() as nursery:

        async def fill() -> None:
            try:
                stream = await attacker.open_stream(victim.peer_id, "/test/unread/1")
                await stream.receive_some(1)
                await stream.send_all(bytes(1 << 20))
            except NetworkError:
                pass

        for _ in range(streams):
            nursery.start_soon(fill)
        with trio.move_on_after(3):
            await trio.sleep_forever()
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.network
async def test_unread_streams_of_several_peers_cost_no_more_than_the_budget() -> None:
    async with networks(1) as (victim,), NodeNet(71).open() as a, NodeNet(72).open() as b, NodeNet(73).open() as friend:
        victim.serve("/test/unread/1", _never_read)
        ledger = victim._swarm._budget.incoming
        ledger.limit = 3 << 20
        await link(friend, victim)
        async with trio.open_nursery() as nursery:
            for attacker in (a, b):
                await link(attacker, victim)
                nursery.start_soon(_fill, attacker, victim, 8)
        assert ledger.ended >= 1 and ledger.held <= ledger.limit
        assert await round_trip(friend, victim.peer_id) == b"hello"
        for attacker in (a, b):
            await attacker.disconnect(victim.peer_id)
        await until(lambda: len(victim.peers()) == 1)
        gc.collect()
        friends = victim.peers_table.connections(friend.peer_id)
        await until(lambda: ledger.held == sum(one.muxed_conn.share.incoming.held for one in friends))


@pytest.mark.trio
@pytest.mark.network
async def test_what_was_read_is_given_back() -> None:
    async with networks(2) as (a, b):
        await link(a, b)
        for _ in range(5):
            assert await round_trip(a, b.peer_id, bytes(300_000)) == bytes(300_000)
        gc.collect()
        for node in (a, b):
            budget = node._swarm._budget
            await until(lambda budget=budget: budget.outgoing.held == 0)
            # what readers of streams that stay open (gossip, the DHT) are taken to hold
            await until(lambda budget=budget: budget.incoming.held < 20_000)
