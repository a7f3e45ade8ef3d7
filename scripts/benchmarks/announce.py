"""Ten thousand works announced in a network of two hundred nodes of which a third is dead: what it costs, and what strangers then find.

All nodes are in this process (`tests.support.kad_world`): real look-ups, messages and answers, on streams in memory, in virtual time. So
the processor's time is that of all nodes together, and the seconds are those that the pace and 80 ms between any two nodes make.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import trio
from trio.testing import MockClock

from p2pnode.core.words import word_key
from p2pnode.services.announcing import Announcing
from p2pnode.store.memory import MemoryStore
from scripts.benchmarks.figures import Figure
from tests.support.kad_world import EPOCH, KadWorld

WORKS, WORDS_A_WORK, VOCABULARY = 10_000, 8, 40_000
NODES, DEAD, ROUND_TRIP_S = 200, 66, 0.08
SAMPLE = 300
LONGEST_S = 7200.0


def keys_of_a_library(seed: int = 1) -> list[bytes]:
    """Root and id of each work, and the words of all, some of which are common."""
    chance = random.Random(seed)
    words = {f"word{int(VOCABULARY * chance.random() ** 2)}" for _ in range(WORKS * WORDS_A_WORK)}
    own = [hashlib.sha256(b"%d %d" % (kind, number)).digest() for kind in range(2) for number in range(WORKS)]
    return [*own, *map(word_key, sorted(words))]


def announce(folder: Path) -> list[Figure]:
    return trio.run(_announce, clock=MockClock(autojump_threshold=0))


async def _announce() -> list[Figure]:
    keys = keys_of_a_library()
    async with trio.open_nursery() as nursery:
        world = KadWorld(nursery, NODES, delay_s=ROUND_TRIP_S / 2)
        world.vanish(world.chance.sample(world.peers[1:], DEAD))
        own = world.nodes[world.peers[0]]
        one = _announcing(own, keys)
        nursery.start_soon(one.run)
        used = time.process_time()
        one.somebody_came()
        with trio.fail_after(LONGEST_S):
            while one.round is None or one.round.place is not None:  # noqa: ASYNC110  (virtual time)
                await trio.sleep(1)
        took, used = trio.current_time(), time.process_time() - used
        counters, found, asked = world.counters[world.peers[0]], 0, 0
        strangers = [peer for peer in world.alive() if peer != world.peers[0]]
        for key in world.chance.sample(keys, SAMPLE):
            asked += 1
            found += world.peers[0] in await world.nodes[world.chance.choice(strangers)].find_providers(key)
        nursery.cancel_scope.cancel()
    name = f"announcing {len(keys)} keys"
    return [
        Figure(name, took, "s", 3600.0, "an hour", f"{NODES} nodes, {DEAD} of them dead"),
        Figure(f"{name}: streams", counters.streams, "", 20.0 * len(keys), "a stream for each record"),
        Figure(f"{name}: bytes of a key, both ways", counters.bytes / len(keys), "B"),
        Figure(f"{name}: processor of all nodes", 100 * used / took, "%", note=f"{used:.0f} s"),
        Figure(f"{name}: found by strangers", 100 * found / asked, "%", 99.0, "aim", f"{asked} look-ups"),
    ]


def _announcing(own: object, keys: Sequence[bytes]) -> Announcing:
    async def other_keys() -> Iterable[bytes]:
        return keys

    async def tell_later(keys: Sequence[bytes]) -> None:
        """None were seen that nobody held."""

    return Announcing(
        MemoryStore(lambda: EPOCH + trio.current_time()),
        own,  # type: ignore[arg-type]  # the part of a network that is used
        lambda: EPOCH + trio.current_time(),
        provide_keys=lambda work: [],
        other_keys=other_keys,
        turn=trio.Lock(),
        tell_later=tell_later,
    )
