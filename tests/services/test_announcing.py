"""What is told to the DHT again: in the order of the key space, steadily, once in a while, and from where a stop interrupted it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from p2pnode.core.keyspace import place_bytes
from p2pnode.limits import PROVIDE_INTERVAL_S
from p2pnode.ports import Store
from p2pnode.services.announcing import CHUNK_KEYS, LEAST_KEYS_S, META, ROUND_S, Announcing, Round, Share
from p2pnode.store.memory import MemoryStore

EPOCH = 1_800_000_000.0
COUNT = 5 * CHUNK_KEYS + 7

pytestmark = pytest.mark.trio


def clock() -> float:
    return EPOCH + trio.current_time()


def keys(count: int = COUNT) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(count)]


class Telling:
    """A network that only notes what it is told, and when; nobody is there while `holders` is 0."""

    def __init__(self) -> None:
        self.told: list[tuple[float, bytes]] = []
        self.holders = 20
        self.answered: set[bytes] = set()
        self.unheld: set[bytes] = set()

    async def provide_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        await trio.lowlevel.checkpoint()
        if self.holders:
            self.told += [(trio.current_time(), key) for key in keys]
        return {key: 0 if key in self.unheld else self.holders for key in keys}

    def answer_for(self, keys: Sequence[bytes]) -> None:
        self.answered |= set(keys)

    def provided(self) -> list[bytes]:
        return list(self.answered)

    def unprovide(self, key: bytes) -> None:
        self.answered.discard(key)

    def answers_for(self, key: bytes) -> bool:
        return key in self.answered

    async def is_found(self, key: bytes) -> bool | None:
        return None if not self.holders else any(key == told for _, told in self.told)


@asynccontextmanager
async def announcing(
    store: Store, network: Telling, some: Iterable[bytes], later: list[bytes] | None = None
) -> AsyncIterator[Announcing]:
    async def other_keys() -> Iterable[bytes]:
        return some

    async def tell_later(keys: Sequence[bytes]) -> None:
        await trio.lowlevel.checkpoint()
        (later if later is not None else []).extend(keys)

    async with trio.open_nursery() as nursery:
        one = Announcing(
            store,
            network,  # type: ignore[arg-type]  # the part of it that is used
            clock,
            provide_keys=lambda work: [],
            other_keys=other_keys,
            turn=trio.Lock(),
            tell_later=tell_later,
        )
        nursery.start_soon(one.run)
        one.somebody_came()
        yield one
        nursery.cancel_scope.cancel()


async def test_all_keys_are_told_once_in_order_and_steadily(autojump_clock: MockClock) -> None:
    network = Telling()
    async with announcing(MemoryStore(clock), network, keys()) as one:
        await trio.sleep(ROUND_S)
        assert [key for _, key in network.told] == sorted(keys(), key=place_bytes)
        assert one.keys == COUNT and one.left == 0
        times = sorted({at for at, _ in network.told})
        pauses = [after - before for before, after in pairwise(times)]
        assert len(times) == 6 and max(pauses) < 2 * min(pauses)


async def test_a_large_library_takes_less_than_an_hour(autojump_clock: MockClock) -> None:
    network, many = Telling(), keys(20_000)
    async with announcing(MemoryStore(clock), network, many):
        await trio.sleep(3600)
        assert len(network.told) == len(many)
        assert max(at for at, _ in network.told) > ROUND_S / 2  # and not in a burst


async def test_a_restart_goes_on_where_it_stopped(autojump_clock: MockClock) -> None:
    network, store = Telling(), MemoryStore(clock)
    async with announcing(store, network, keys()):
        await trio.sleep(1.5 * CHUNK_KEYS / LEAST_KEYS_S)
    before = len(network.told)
    assert before == 2 * CHUNK_KEYS
    network.answered.clear()
    async with announcing(store, network, keys()):
        await trio.sleep(1)
        assert network.answered == set(keys())  # asked by others, it answers for all of them at once
        await trio.sleep(ROUND_S)
    told = [key for _, key in network.told]
    assert set(told) == set(keys())
    assert len(told) <= COUNT + CHUNK_KEYS  # at most what was being told is told twice


async def test_all_is_told_again_before_others_forget_it_and_not_sooner(autojump_clock: MockClock) -> None:
    network, store = Telling(), MemoryStore(clock)
    async with announcing(store, network, keys()):
        await trio.sleep(PROVIDE_INTERVAL_S / 2)
        assert len(network.told) == COUNT
    async with announcing(store, network, keys()):  # a restart is no reason
        await trio.sleep(PROVIDE_INTERVAL_S / 2 - ROUND_S)
        assert len(network.told) == COUNT
        await trio.sleep(2 * ROUND_S)
        assert len(network.told) == 2 * COUNT
        last: dict[bytes, float] = {}
        for at, key in network.told:
            assert at - last.get(key, at) < 24 * 3600
            last[key] = at


async def test_what_was_unpublished_meanwhile_is_not_told(autojump_clock: MockClock) -> None:
    network, gone = Telling(), sorted(keys(), key=place_bytes)[-3:]
    async with announcing(MemoryStore(clock), network, keys()):
        await trio.sleep(1)
        assert 0 < len(network.told) < COUNT
        network.answered -= set(gone)
        await trio.sleep(ROUND_S)
        assert {key for _, key in network.told} == set(keys()) - set(gone)


async def test_what_is_not_ours_any_more_is_forgotten_when_the_next_round_begins(autojump_clock: MockClock) -> None:
    network, some = Telling(), keys()
    async with announcing(MemoryStore(clock), network, some):
        await trio.sleep(ROUND_S)
        gone = some.pop()  # a circle that was left, say
        await trio.sleep(PROVIDE_INTERVAL_S)
        assert network.answered == set(some)
        assert [key for _, key in network.told].count(gone) == 1


async def test_what_nobody_takes_waits_until_somebody_comes(autojump_clock: MockClock) -> None:
    network = Telling()
    network.holders = 0
    async with announcing(MemoryStore(clock), network, keys()) as one:
        await trio.sleep(7200)
        assert network.told == [] and one.left == COUNT
        network.holders = 20
        one.somebody_came()
        await trio.sleep(ROUND_S)
        assert {key for _, key in network.told} == set(keys())


async def test_a_single_key_that_nobody_holds_is_told_later(autojump_clock: MockClock) -> None:
    network, later = Telling(), list[bytes]()
    network.unheld = set(keys()[:2])
    async with announcing(MemoryStore(clock), network, keys(), later):
        await trio.sleep(ROUND_S)
        assert set(later) == network.unheld


@pytest.mark.parametrize(
    "kept",
    [Round(EPOCH + 10 * 86_400, None).to_bytes(), Round(EPOCH - 10 * 86_400, b"\xff" * 32).to_bytes(), b"nonsense"],
)
async def test_a_round_of_another_time_does_not_count(kept: bytes, autojump_clock: MockClock) -> None:
    """Kept by a clock that ran ahead, or half done long ago, or damaged: everything is told."""
    network, store = Telling(), MemoryStore(clock)
    await store.write(lambda tx: tx.set_meta(META, kept))
    async with announcing(store, network, keys()):
        await trio.sleep(ROUND_S)
        assert {key for _, key in network.told} == set(keys())


async def test_a_round_that_is_half_done_is_read_back() -> None:
    for one in (Round(EPOCH, None), Round(EPOCH, b""), Round(EPOCH, b"\x80" + bytes(31))):
        assert Round.of(one.to_bytes()) == one


async def test_the_share_of_nothing_is_nothing(autojump_clock: MockClock) -> None:
    async with announcing(MemoryStore(clock), Telling(), []) as one:
        assert await one.share() == Share(0, 0, 0)
