"""The DHT over real nodes that were never all connected."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from contextlib import suppress

import pytest
import trio

from p2pnode.core.ids import PeerId
from p2pnode.core.keyspace import wire_key
from p2pnode.errors import NetworkError, UsageError
from p2pnode.net.bans import BAN_POINTS
from p2pnode.net.dht import MAX_FAILURES
from p2pnode.net.kad.wire import MAX_MESSAGE_BYTES, Contact, KadMessage, decode, encode
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.serving import BROKEN_RULE_POINTS
from p2pnode.net.varint import receive_prefixed
from tests.support.net import DEADLINE_S, LOOPBACK, NodeNet, link, networks, round_trip, until

pytestmark = [pytest.mark.trio, pytest.mark.network]


def key(number: int) -> bytes:
    return hashlib.sha256(b"test key %d" % number).digest()


async def join(nodes: Sequence[Libp2pNetwork]) -> None:
    """A chain: each knows its neighbours only, the walks must do the rest."""
    for left, right in itertools.pairwise(nodes):
        await link(left, right)


async def test_ten_nodes_find_what_strangers_provide() -> None:
    async with networks(10) as nodes:
        await join(nodes)
        await until(lambda: all(len(node.dht.table) >= 5 for node in nodes), deadline_s=30)
        for number, node in enumerate(nodes):
            assert await node.provide(key(number)) >= 5
        for number, node in enumerate(nodes):
            for wanted in range(10):
                providers = [nodes[wanted].peer_id] if wanted != number else []
                assert await node.find_providers(key(wanted)) == providers
        assert await nodes[3].find_providers(key(99)) == []


async def test_other_values_are_not_kept_but_whoever_asks_for_them_breaks_no_rule() -> None:
    """Foreign programs in our DHT may use values among themselves; a request without a key is another matter."""

    async def ask(message: KadMessage) -> KadMessage | None:
        stream = await asker.open_stream(node.peer_id, "/test/kad/1.0.0")
        with trio.fail_after(DEADLINE_S), suppress(NetworkError):
            await stream.send_all(encode(message))
            answer = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
            await stream.aclose()
            return decode(answer) if answer else None
        return None

    async with networks(3) as (node, asker, third):
        await link(asker, node)
        await link(third, node)
        await until(lambda: third.peer_id in node.dht.table)
        for number in range(BAN_POINTS // BROKEN_RULE_POINTS + 1):
            wire = wire_key(key(number))
            answer = await ask(KadMessage("GET_VALUE", wire))
            assert answer is not None and (answer.kind, answer.key) == ("GET_VALUE", wire)
            assert [contact.peer for contact in answer.closer] == [third.peer_id]
            assert await ask(KadMessage("PUT_VALUE", wire)) is None
        assert node.banned() == []
        for _ in range(BAN_POINTS // BROKEN_RULE_POINTS + 1):
            with suppress(NetworkError):
                assert await ask(KadMessage("FIND_NODE")) is None
        await until(lambda: [ban.peer for ban in node.banned()] == [asker.peer_id])


async def test_a_provider_never_met_can_be_reached() -> None:
    async with networks(6) as nodes:
        await join(nodes)
        await until(lambda: len(nodes[0].dht.table) >= 3, deadline_s=30)
        await nodes[0].provide(key(1))
        (provider,) = await nodes[5].find_providers(key(1))
        assert await round_trip(nodes[5], provider) == b"hello"


async def test_a_peer_is_found_by_its_id_alone() -> None:
    async with networks(5) as nodes:
        await join(nodes)
        await until(lambda: len(nodes[0].dht.table) >= 3, deadline_s=30)
        last = nodes[4].peer_id
        nodes[0].dht.table.remove(last)
        nodes[0]._reach._book = NodeNet(1).book
        assert await round_trip(nodes[0], last) == b"hello"


async def test_alone_nobody_holds_the_record() -> None:
    async with networks(2) as (a, b):
        assert await a.provide(key(1)) == 0
        assert await a.find_providers(key(1)) == []
        await link(b, a)
        await until(lambda: a.peer_id in b.dht.table)
        assert await b.find_providers(key(1)) == [a.peer_id]  # the provider itself is asked, and knows


async def test_a_hundred_keys_in_a_row_all_have_holders() -> None:
    """Mend 11: the library limits ADD_PROVIDER to 10 per 10 s and says nothing (see test_mends)."""
    async with networks(4) as nodes:
        await join(nodes)
        await until(lambda: all(len(node.dht.table) == 3 for node in nodes), deadline_s=30)
        for number in range(100):
            assert await nodes[0].provide(key(number)) == 3


async def test_answers_are_not_remembered() -> None:
    async with networks(3) as (a, b, c):
        await join((a, b, c))
        await until(lambda: len(a.dht.table) == 2, deadline_s=30)
        assert await a.find_providers(key(5)) == []
        await c.provide(key(5))
        assert await a.find_providers(key(5)) == [c.peer_id]


async def test_the_limit_counts_distinct_peers() -> None:
    async with networks(5) as nodes:
        await join(nodes)
        await until(lambda: len(nodes[0].dht.table) == 4, deadline_s=30)
        for node in nodes:
            await node.provide(key(7))
        everybody = await nodes[0].find_providers(key(7))
        assert sorted(everybody) == sorted(node.peer_id for node in nodes[1:])
        assert len(await nodes[0].find_providers(key(7), limit=2)) == 2


async def test_nobody_can_promise_for_another() -> None:
    from p2pnode.net.kad.wire import Contact, KadMessage

    async with networks(3) as (a, b, c):
        await join((a, b, c))
        await until(lambda: b.peer_id in a.dht.table)
        wire = wire_key(key(9))
        lie = KadMessage("ADD_PROVIDER", wire, providers=(Contact(c.peer_id, ("/ip4/127.0.0.1/tcp/9",)),))
        await a.dht.client.request(Contact(b.peer_id, ()), lie, KadMessage("GET_PROVIDERS", wire))
        assert await b.find_providers(key(9)) == []


async def test_dead_peers_leave_the_table() -> None:
    async with networks(3) as (a, b, _c):
        await join((a, b))
        async with NodeNet(77).open() as short:
            await link(a, short)
            gone = short.peer_id
            await until(lambda: gone in a.dht.table and gone in b.dht.table, deadline_s=30)
        await a.provide(key(3))
        await b.provide(key(3))
        assert gone not in a.dht.table and gone not in b.dht.table


async def test_a_connected_peer_may_leave_a_request_unanswered_and_stays_in_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One answer lost is no reason to forget a peer, three in a row are; an answer in between counts."""
    lost = [True]

    async with networks(2) as (asker, other):
        await link(asker, other)
        await until(lambda: other.peer_id in asker.dht.table)
        request = asker.dht.client.request

        async def lossy(contact: Contact, *messages: KadMessage) -> KadMessage:
            if lost[0]:
                raise NetworkError("lost")
            return await request(contact, *messages)

        async def ask() -> None:
            with suppress(NetworkError):
                await asker.dht._request(Contact(other.peer_id, ()), KadMessage("FIND_NODE", wire_key(key(1))))

        monkeypatch.setattr(asker.dht.client, "request", lossy)
        for _ in range(3):
            lost[0] = True
            for _ in range(MAX_FAILURES - 1):
                await ask()
            assert other.peer_id in asker.dht.table
            lost[0] = False
            await ask()
        lost[0] = True
        for _ in range(MAX_FAILURES):
            await ask()
        assert other.peer_id not in asker.dht.table and not asker.dht._failures


async def test_a_lookup_begins_no_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers that listen nowhere stand in tables, too: who hears of one without an address cannot ask it, and must not search for it."""
    async with networks(1) as (hub,), NodeNet(81, listen=()).open() as one, NodeNet(82, listen=()).open() as other:
        await link(one, hub)
        await link(other, hub)
        await until(lambda: len(hub.dht.table) == 2)
        asked: list[str] = []
        find = one.dht.find_addresses

        async def find_and_tell(peer: PeerId) -> list[str]:
            asked.append(peer)
            return await find(peer)

        monkeypatch.setattr(one._reach, "_find_addresses", find_and_tell)
        await one.dht.walk()
        assert await one.provide(key(1)) == 1
        assert asked == []
        with pytest.raises(NetworkError):  # who wants that very peer may search
            await one.open_stream(other.peer_id, "/test/echo/1", timeout_s=3)
        assert asked == [other.peer_id]


async def test_networks_of_different_names_never_mix() -> None:
    async with NodeNet(1, network="one").open() as a, NodeNet(2, network="two").open() as b:
        await a.connect(b.addresses()[0])
        await until(lambda: not a.peers_table.ids() and not b.peers_table.ids())
        assert a.peers() == b.peers() == []
        assert len(a.dht.table) == len(b.dht.table) == 0
        assert await a.provide(key(1)) == 0
        assert await b.find_providers(key(1)) == []


async def test_keys_are_digests() -> None:
    async with NodeNet(1, listen=(LOOPBACK,)).open() as a:
        with pytest.raises(UsageError):
            await a.provide(b"short")
        with pytest.raises(UsageError):
            await a.find_providers(b"x" * 34)
