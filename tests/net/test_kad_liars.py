"""A few peers that lie together about who provides a key, or about who is near it, do not keep a search from the honest ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from p2pnode.core.ids import PeerId
from p2pnode.core.keyspace import wire_key
from p2pnode.net.kad.naming import AGAIN_S, MANY, MAX_NAMED, MAX_SEARCHES, QUORUM, Named, Searches
from p2pnode.net.kad.server import KadServer
from p2pnode.net.kad.table import BUCKET_PEERS, place_of, place_of_peer
from p2pnode.net.kad.wire import Contact
from p2pnode.net.network import Libp2pNetwork
from tests.support.kad_world import KadWorld, peer
from tests.support.net import link, networks, until

KEY = hashlib.sha256(b"what is wanted").digest()
LIARS = 3
FAR_S = 0.04

OWN = peer(0)
FALSE = [Contact(peer(1_000_000 + number), ("/ip4/10.9.9.9/tcp/9",)) for number in range(BUCKET_PEERS)]
TRUE = Contact(peer(1), ("/ip4/10.0.0.1/tcp/2",))


def named(limit: int = BUCKET_PEERS) -> Named:
    return Named(OWN, limit)


def test_one_answer_is_never_enough_however_many_it_names() -> None:
    one = named(limit=5)
    one.hear(FALSE)
    assert not one.is_enough
    assert len(one.best()) == 5


def test_as_many_as_agree_in_a_row_are_enough_and_news_begins_anew() -> None:
    one = named()
    for _ in range(QUORUM - 1):
        one.hear(FALSE)
    assert not one.is_enough
    one.hear([TRUE])
    for _ in range(QUORUM - 2):
        one.hear([TRUE])
        assert not one.is_enough, "it began anew"
    one.hear([TRUE])
    assert one.is_enough


def test_five_liars_with_twenty_names_each_do_not_push_out_whom_one_honest_peer_named() -> None:
    one = named()
    for _ in range(QUORUM - 1):
        one.hear(FALSE)
    one.hear([TRUE])
    assert one.best()[0] == TRUE


def test_who_is_named_by_most_comes_first_and_a_name_counts_once_an_answer() -> None:
    one = named(limit=3)
    one.hear([FALSE[0]] * 9)
    for _ in range(2):
        one.hear([TRUE])
    assert [contact.peer for contact in one.best()] == [TRUE.peer, FALSE[0].peer]


def test_a_key_that_many_provide_ends_with_enough_of_them() -> None:
    one = named(limit=4)
    for number in range(MANY):
        assert not one.is_enough
        one.hear([Contact(peer(number + 2), ())])
    assert one.is_enough


def test_a_search_that_is_made_again_hears_more_peers() -> None:
    one = Named(OWN, 1, thorough=True)
    for number in range(2 * MANY):
        one.hear([TRUE, FALSE[0]] if number % 2 else [TRUE, Contact(peer(number + 2), ())])
        assert not one.is_enough, "there is news"
    for _ in range(MANY - 3):  # the last two agreed
        one.hear([TRUE])
        assert not one.is_enough
    one.hear([TRUE])
    assert one.is_enough


@given(st.lists(st.lists(st.integers(0, 2000), max_size=40), max_size=40))
def test_what_is_kept_is_bounded_and_never_ourselves(answers: list[list[int]]) -> None:
    one = named(limit=MAX_NAMED)
    for answer in answers:
        one.hear(Contact(PeerId(f"peer{number}") if number else OWN, ()) for number in answer)
    best = [contact.peer for contact in one.best()]
    assert len(best) == len(set(best)) <= MAX_NAMED and OWN not in best


def test_who_searches_again_soon_is_known_and_who_does_so_later_is_not() -> None:
    searches = Searches()
    assert not searches.begin(b"key", 0.0)
    assert searches.begin(b"key", AGAIN_S - 1)
    assert not searches.begin(b"key", 2 * AGAIN_S)
    for number in range(MAX_SEARCHES):
        searches.begin(b"%d" % number, 2 * AGAIN_S)
    assert not searches.begin(b"key", 2 * AGAIN_S + 1)


def name_falsely(server: KadServer, done: trio.Event | None = None) -> None:
    """It names twenty that do not exist, and nobody else; then `done`."""

    async def providers(key: bytes) -> list[Contact]:
        await trio.lowlevel.checkpoint()
        if done is not None:
            done.set()
        return list(FALSE)

    server.providers = providers  # type: ignore[method-assign]


def answer_after(server: KadServer, may_answer: trio.Event) -> None:
    """Who is honest is slower than who lies."""
    providers = server.providers

    async def later(key: bytes) -> list[Contact]:
        await may_answer.wait()
        await trio.sleep(0.1)
        return await providers(key)

    server.providers = later  # type: ignore[method-assign]


def invent(server: KadServer, invented: Sequence[Contact]) -> None:
    """Whoever asks it for nearer peers is told of some that do not exist."""

    class Inventing:
        def closest(self, place: int, count: int = BUCKET_PEERS, without: Iterable[PeerId] = ()) -> list[Contact]:
            return list(invented)

    server._table = Inventing()  # type: ignore[assignment]


@pytest.mark.trio
async def test_three_liars_that_are_nearest_to_the_key_do_not_hide_who_provides_it(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        world = KadWorld(nursery, 100, delay_s=FAR_S, seed=4)
        provider = world.peers[0]
        assert await world.nodes[provider].provide(KEY) >= BUCKET_PEERS - 1
        liars = [one for one in world.nearest(place_of(wire_key(KEY)), LIARS + 1) if one != provider][:LIARS]
        for liar in liars:
            name_falsely(world.nodes[liar].server)
        for asker in world.chance.sample([one for one in world.peers[1:] if one not in liars], 20):
            node = world.nodes[asker]
            for liar in liars:
                node.table.add(world.contacts[liar], lambda peer: False)
            assert (await node.find_providers(KEY))[0] == provider
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_three_liars_that_invent_nearer_peers_do_not_use_up_a_search(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        world = KadWorld(nursery, 100, delay_s=FAR_S, seed=5)
        provider, place = world.peers[0], place_of(wire_key(KEY))
        await world.nodes[provider].provide(KEY)
        some = sorted((peer(10_000 + number) for number in range(6000)), key=lambda one: place_of_peer(one) ^ place)
        world.vanish(some[: LIARS * BUCKET_PEERS])
        liars = [one for one in world.nearest(place, LIARS + 1) if one != provider][:LIARS]
        for number, liar in enumerate(liars):
            share = some[number * BUCKET_PEERS : (number + 1) * BUCKET_PEERS]
            name_falsely(world.nodes[liar].server)
            invent(world.nodes[liar].server, [Contact(one, ("/ip4/10.9.9.9/tcp/9",)) for one in share])
        far = sorted(world.peers[1:], key=lambda one: place_of_peer(one) ^ place)[-BUCKET_PEERS:]
        for asker in world.chance.sample([one for one in world.peers[1:] if one not in liars], 5):
            node = world.nodes[asker]
            for other in world.peers:
                if other not in far:
                    node.table.remove(other)
            for liar in liars:
                node.table.add(world.contacts[liar], lambda peer: False)
            assert (await node.find_providers(KEY))[0] == provider
        nursery.cancel_scope.cancel()


async def nothing(key: bytes) -> list[Contact]:
    await trio.lowlevel.checkpoint()
    return []


async def joined(nodes: Sequence[Libp2pNetwork]) -> None:
    for node in nodes[1:]:
        await link(nodes[0], node)
    await until(lambda: all(len(node.dht.table) == len(nodes) - 1 for node in nodes), deadline_s=60)


@pytest.mark.trio
@pytest.mark.network
async def test_three_real_hosts_that_lie_together_do_not_hide_who_provides_a_key() -> None:
    async with networks(9) as nodes:
        await joined(nodes)
        nodes = sorted(nodes, key=lambda node: place_of_peer(node.peer_id) ^ place_of(wire_key(KEY)))
        *liars, asker, provider = [*nodes[:LIARS], *nodes[-2:]]  # the liars are asked first
        await provider.provide(KEY)
        lied = trio.Event()
        for liar in liars:
            name_falsely(liar.dht.server, lied)
        for node in nodes[LIARS:]:
            if node is not asker:
                answer_after(node.dht.server, lied)
        asker.dht.server.providers = nothing  # type: ignore[method-assign]  # nine nodes hold everything
        found = await asker.find_providers(KEY)
        assert found[0] == provider.peer_id
        assert set(found[1:]) <= {contact.peer for contact in FALSE}
