"""How soon a ballot is in everybody's store: fifty nodes of real libp2p on loopback, in one process, with door and gossip; no attack.

Each node has six neighbours on the average. Told is the 99th of a hundred times from casting a ballot until the last of the fifty
has admitted it, and the median of the same. Fifty nodes share one processor here: it is an upper bound of what fifty machines need.
"""

from __future__ import annotations

import statistics
import time
from contextlib import suppress
from pathlib import Path

import trio

from p2pnode.core.ids import RecordId
from p2pnode.core.keys import KeyPair
from p2pnode.core.records import encode_signed
from p2pnode.errors import NetworkError
from p2pnode.net.network import Libp2pNetwork
from p2pnode.services.admission import Change
from p2pnode.services.gossip import Gossip
from scripts.benchmarks.figures import Figure
from scripts.benchmarks.meshes import edges
from tests.support.circles import Circle, Node, key
from tests.support.net import link, networks

NODES, NEIGHBOURS = 50, 6
BALLOTS, PAUSE_S = 100, 0.5
TRIES = 5
SETTLE_S, LATE_S = 6.0, 10.0


def spreading(_folder: Path) -> list[Figure]:
    took = trio.run(_spread)
    late = sum(one > 2.0 for one in took)
    note = f"{late} of {BALLOTS} later than 2 s; median {1e3 * statistics.median(took):.0f} ms"
    return [
        Figure(f"a ballot at all of {NODES} nodes: p99", 1e3 * sorted(took)[int(0.99 * len(took)) - 1], "ms", note=note)
    ]


async def _spread() -> list[float]:
    circle, people = Circle(), [key(f"person {number}") for number in range(NODES)]
    async with networks(NODES) as opened, trio.open_nursery() as nursery:
        nodes = [await Node(circle).join() for _ in range(NODES)]
        vouches = [circle.vouch(circle.steward, person) for person in people]
        cast: dict[RecordId, float] = {}
        heard: dict[RecordId, list[float]] = {}

        def note(change: Change) -> None:
            for record in change.added:
                if record.id in cast:
                    heard[record.id].append(time.perf_counter() - cast[record.id])

        gossips = []
        for node, network in zip(nodes, opened, strict=True):
            await node.admit(*vouches)
            node.admission.watch(note)
            gossips.append(Gossip(node.store, network, node.admission, time.time))
            await gossips[-1].start(nursery)
        for one, other in edges(NODES, NEIGHBOURS):
            await _link(opened[one], opened[other])
        await trio.sleep(SETTLE_S)
        for number in range(BALLOTS):
            await _cast(circle, people[number % NODES], number, gossips[number % NODES], cast, heard)
            await trio.sleep(PAUSE_S)
        await trio.sleep(LATE_S)
        nursery.cancel_scope.cancel()
    return [max(times) if len(times) == NODES - 1 else LATE_S for times in heard.values()]


async def _link(one: Libp2pNetwork, other: Libp2pNetwork) -> None:
    """Fifty hosts that start in one process do not all answer at the first call."""
    for _ in range(TRIES):
        with suppress(NetworkError, trio.TooSlowError):
            await link(one, other)
            return
    raise NetworkError("two nodes on loopback do not find each other")


async def _cast(
    circle: Circle,
    person: KeyPair,
    number: int,
    gossip: Gossip,
    cast: dict[RecordId, float],
    heard: dict[RecordId, list[float]],
) -> None:
    ballot = circle.ballot(person, b"question %d" % number)
    cast[ballot.id], heard[ballot.id] = time.perf_counter(), []
    await gossip.publish_records(circle.id, [encode_signed(ballot)])
