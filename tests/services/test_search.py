"""Search over real networks: strangers who only share a DHT find each other's titles; hostile answers are dropped."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import trio

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.keys import KeyPair
from p2pnode.core.manifest import Manifest, describe, first, revise
from p2pnode.core.record import Record
from p2pnode.core.records import seq_of
from p2pnode.core.search_messages import PROTOCOL, Question, encode_answer
from p2pnode.ports import Json, Network, PeerView, Store, Stream
from p2pnode.services.catalogue import put_manifest, work_id
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.outbox import provide_keys
from p2pnode.services.search import Search, matches
from p2pnode.services.views import Views
from p2pnode.store.memory import MemoryStore
from tests.support.net import link, networks

pytestmark = [pytest.mark.trio, pytest.mark.network]

STRANGERS = 10
KEY = KeyPair(bytes(31) + b"k")


def manifest(title: str, *, number: int = 0, tags: Iterable[str] = ()) -> Record:
    created = int(time.time())
    work = describe(title=title, root=Cid.of(RAW, title.encode()), bytes=1, files=1, tags=tags)
    return first(KEY, work, nonce=bytes(15) + bytes([number]), seq=seq_of(created, number), created=created)


def searching(store: Store, network: Any) -> Search:
    search = Search(store, network, Views(store, time.time), time.time, lambda peers: sorted(peers))
    search.start()
    return search


class WithoutNeighbours:
    """A real network that tells of no connected peers: in a DHT this small everybody soon knows everybody, strangers do not."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def peers(self) -> list[PeerView]:
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


async def publish(store: Store, network: Network, record: Record, *, private: bool = False) -> None:
    row = await store.write(lambda tx: put_manifest(tx, record, state="own", private=private, added=0.0))
    for key in [] if private else provide_keys(row):
        assert await network.provide(key) > 0


async def find(search: Search, text: str, *, timeout_s: float = 10.0) -> tuple[list[str], Json]:
    seen: list[Json] = []
    answer = await search.run(text, local=False, timeout_s=timeout_s, on_hit=seen.append)
    assert {hit["work"] for hit in seen} == {hit["work"] for hit in answer["items"]}
    return [hit["title"] for hit in answer["items"]], answer


async def test_two_nodes_that_only_share_a_dht_of_ten_others_find_each_others_titles() -> None:
    async with networks(STRANGERS + 2) as opened:
        *others, anna, ben = opened
        for number, node in enumerate(others):
            await link(node, others[(number + 1) % STRANGERS])
        await link(anna, others[0])
        await link(ben, others[STRANGERS // 2])
        stores = [MemoryStore(time.time), MemoryStore(time.time)]
        searches = [searching(stores[0], WithoutNeighbours(anna)), searching(stores[1], WithoutNeighbours(ben))]
        await publish(stores[0], anna, manifest("The Great Transformation", tags=["economics"]))
        await publish(stores[1], ben, manifest("Governing the Commons", number=1))
        assert (await find(searches[1], "transformation"))[0] == ["The Great Transformation"]
        assert (await find(searches[1], "Economics"))[0] == ["The Great Transformation"]
        assert (await find(searches[0], "commons governing"))[0] == ["Governing the Commons"]


async def test_a_work_is_found_by_its_id_alone_and_private_ones_never() -> None:
    async with networks(3) as opened:
        anna, between, ben = opened
        await link(anna, between)
        await link(ben, between)
        store = MemoryStore(time.time)
        searching(store, anna)
        search = searching(MemoryStore(time.time), ben)
        shown, hidden = manifest("Shown"), manifest("Hidden", number=1)
        await publish(store, anna, shown)
        await publish(store, anna, hidden, private=True)
        found = await search.find_work(work_id(shown), timeout_s=10.0)
        assert found is not None and found.title == "Shown"
        assert search.heard_from(found.id) == [anna.peer_id]
        assert await search.find_work(work_id(hidden), timeout_s=2.0) is None
        await link(anna, ben)
        assert (await find(search, "hidden", timeout_s=3.0))[0] == []


async def test_answers_that_lie_are_dropped_and_honest_ones_stay() -> None:
    async with networks(4) as opened:
        honest, forger, unrelated, asking = opened
        store = MemoryStore(time.time)
        searching(store, honest)
        await store.write(lambda tx: put_manifest(tx, manifest("Honest book"), state="own", private=False, added=0.0))
        other = manifest("Something else", number=1)

        async def forge(stream: Stream) -> None:
            await receive_frame(stream, 4096)
            good = encode_answer([manifest("Forged book", number=2)])
            await send_frame(stream, good[:-1] + bytes([good[-1] ^ 1]))

        async def spam(stream: Stream) -> None:
            await receive_frame(stream, 4096)
            await send_frame(stream, encode_answer([other]))

        forger.serve(PROTOCOL, forge)
        unrelated.serve(PROTOCOL, spam)
        for node in (honest, forger, unrelated):
            await link(asking, node)
        titles, answer = await find(searching(MemoryStore(time.time), asking), "book", timeout_s=5.0)
        assert titles == ["Honest book"]
        assert answer["asked"] == 3


async def test_nobody_can_revise_a_work_whose_first_manifest_is_not_here() -> None:
    async with networks(3) as opened:
        honest, forger, asking = opened
        true = manifest("The true book")
        created = int(time.time())
        forged = revise(
            KeyPair(bytes(31) + b"f"),
            describe(title="A forged book", root=Cid.of(RAW, b"forged"), bytes=1, files=1),
            follows=replace(Manifest.of(true), author=KeyPair(bytes(31) + b"f").public),
            seq=seq_of(created, 9),
            created=created,
        )

        async def forge(stream: Stream) -> None:
            await receive_frame(stream, 4096)
            await send_frame(stream, encode_answer([forged]))

        forger.serve(PROTOCOL, forge)
        await link(asking, forger)
        store = MemoryStore(time.time)
        search = searching(store, asking)
        assert await search.find_work(work_id(true), timeout_s=2.0) is None
        assert (await find(search, "forged book", timeout_s=2.0))[0] == []
        held = MemoryStore(time.time)
        searching(held, honest)
        await link(asking, honest)
        await publish(held, honest, true)
        found = await search.find_work(work_id(true), timeout_s=5.0)
        assert found is not None
        assert (found.title, found.author) == ("The true book", KEY.public)


async def test_a_peer_that_never_answers_does_not_hold_up_the_search() -> None:
    async with networks(2) as opened:
        silent, asking = opened

        async def sleep(stream: Stream) -> None:
            await trio.sleep_forever()

        silent.serve(PROTOCOL, sleep)
        await link(asking, silent)
        search = searching(MemoryStore(time.time), asking)
        with trio.fail_after(5.0):
            assert (await find(search, "anything", timeout_s=0.5))[0] == []


@pytest.mark.parametrize(
    ("text", "answered"),
    [("cafe", True), ("CAFÉ soc", True), ("cafe tea", False), ("", True)],
)
async def test_what_matches_is_judged_as_the_full_text_index_does(text: str, answered: bool) -> None:
    assert matches(Question(text=text), manifest("Le Café Social")) is answered


async def test_a_revised_work_is_found_by_strangers_and_told_on_by_who_fetched_it() -> None:
    """Its first manifest goes along: the id names that one, and only it proves who may revise."""
    async with networks(3) as opened:
        anna, ben, carol = opened
        await link(anna, ben)
        await link(ben, carol)
        stores = [MemoryStore(time.time) for _ in opened]
        _, two, three = (searching(store, node) for store, node in zip(stores, opened, strict=True))
        begun = manifest("Bees")
        work = describe(title="Honey bees", root=Cid.of(RAW, b"new"), bytes=2, files=1)
        newest = revise(KEY, work, follows=Manifest.of(begun), seq=seq_of(begun.created, 99), created=begun.created + 1)
        await stores[0].write(lambda tx: tx.put_record(begun, own=True))
        await publish(stores[0], anna, begun)
        await publish(stores[0], anna, newest)
        assert (await find(two, "honey"))[0] == ["Honey bees"]
        found = await two.find_work(work_id(begun), timeout_s=10)
        assert found is not None and found.manifest == newest
        await stores[1].write(lambda tx: tx.set_work_state(work_id(begun), "kept"))
        told = await three.find_work(work_id(begun), timeout_s=10)
        assert told is not None and told.manifest == newest
        await stores[2].write(lambda tx: tx.drop_work(work_id(begun)))
        assert await stores[2].read(lambda tx: tx.record(begun.id)) is None
