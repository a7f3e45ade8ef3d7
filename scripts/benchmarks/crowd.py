"""A hundred daemons in namespaces of one machine, far from each other: how fast they find a word, before and after a third of them died.

Run by `scripts/crowd`; talks to the daemons over their control sockets, so that no command line starts in between.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from p2pnode.config import Home
from p2pnode.control.blocking import BlockingClient
from p2pnode.errors import P2pnodeError
from scripts.benchmarks.commands import processor_s, resident
from tests.support.daemons import RealDaemon, wait_until
from tests.support.far_net import FarNet
from tests.support.netns import why_not

STARTED_AT_ONCE = 2
BOOTSTRAPS = 3
SETTLE_S = 600.0
TABLE_SHARE = 0.3
"""Of all nodes, that stand in the table of a node that has settled."""


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    nodes: int
    round_trip_ms: float
    works: int
    finds: int
    idle_s: float
    seed: int


class Crowd:
    """The daemons, by number."""

    def __init__(self, plan: Plan, net: FarNet, folder: Path) -> None:
        self._net, self._folder = net, folder
        self.daemons: list[RealDaemon] = []
        self.alive = list(range(plan.nodes))

    def start(self, count: int) -> None:
        for number in range(BOOTSTRAPS):
            self.daemons.append(self._daemon(number, ()))
            self.daemons[number].start()
        known = tuple(daemon.addresses[0] for daemon in self.daemons)
        rest = [self._daemon(number, known) for number in range(BOOTSTRAPS, count)]
        self.daemons += rest
        with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
            list(pool.map(RealDaemon.start, rest))

    def _daemon(self, number: int, bootstrap: tuple[str, ...]) -> RealDaemon:
        daemon = RealDaemon(
            self._folder / f"n{number}",
            listen=self._net.address(number),
            bootstrap=bootstrap,
            within=self._net.within(number),
        )
        daemon.environment["P2PNODE_LOG_LEVEL"] = "warning"
        return daemon

    def call(self, number: int, method: str, **params: object) -> dict[str, object]:
        with BlockingClient(Home(self._folder / f"n{number}")) as client:
            return client.call(method, dict(params), timeout_s=120)

    def stat(self, number: int) -> tuple[float, float]:
        """Seconds of the processor, and MiB."""
        process = self.daemons[number].process
        assert process is not None
        folder = Path(f"/proc/{process.pid}")
        return processor_s((folder / "stat").read_text()), resident((folder / "status").read_text())

    def vanish(self, numbers: Sequence[int]) -> None:
        """Cut off first, so that no FIN and no RST tells anybody."""
        for number in numbers:
            self._net.cut(number)
        for number in numbers:
            self.daemons[number].kill()
            self.alive.remove(number)


def measure(plan: Plan) -> Iterator[str]:
    """One line for each figure."""
    if reason := why_not():
        yield f"not measured: {reason}"
        return
    folder = Path(tempfile.mkdtemp(prefix="p2pnode-crowd-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, True)
        net = stack.enter_context(FarNet(plan.nodes, plan.round_trip_ms))
        crowd = Crowd(plan, net, folder)
        stack.callback(_end, crowd)
        yield from _play(plan, net, crowd, folder)


def _play(plan: Plan, net: FarNet, crowd: Crowd, folder: Path) -> Iterator[str]:
    chance = random.Random(plan.seed)
    began = time.monotonic()
    crowd.start(plan.nodes)
    yield f"{plan.nodes} daemons started, {plan.round_trip_ms:g} ms apart, in {time.monotonic() - began:.0f} s"
    _settle(crowd, plan)
    yield f"settled after {time.monotonic() - began:.0f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    words = _publish(plan, crowd, folder, chance)
    tables = [int(str(_status(crowd, number).get("dht_peers", 0))) for number in crowd.alive]
    peers = [len(_items(crowd.call(number, "peer.list"))) for number in crowd.alive[:10]]
    memory = [crowd.stat(number)[1] for number in crowd.alive]
    yield f"tables {min(tables)}-{max(tables)}, connections {min(peers)}-{max(peers)}, memory {min(memory):.0f}-{max(memory):.0f} MiB"
    if plan.idle_s:
        yield from _idle(crowd, plan)
    yield _found("find", _finds(plan, crowd, words, chance))
    gone = chance.sample(crowd.alive, plan.nodes // 3)
    crowd.vanish(gone)
    yield f"{len(gone)} vanished"
    yield _found("find at once after that", _finds(plan, crowd, words, chance))
    time.sleep(30)
    yield _found("find half a minute later", _finds(plan, crowd, words, chance))


def _status(crowd: Crowd, number: int) -> dict[str, object]:
    return crowd.call(number, "node.status")


def _items(answer: dict[str, object]) -> list[dict[str, object]]:
    items = answer["items"]
    assert isinstance(items, list)
    return items


def _settle(crowd: Crowd, plan: Plan) -> None:
    """Until every table holds its share and the walks are over."""

    def settled() -> bool:
        return all(len(_items(crowd.call(number, "peer.list"))) >= plan.nodes * TABLE_SHARE for number in crowd.alive)

    wait_until(settled, what="the tables fill", timeout_s=SETTLE_S)
    _wait_for_calm(crowd)


def _wait_for_calm(crowd: Crowd) -> None:
    """Until the daemons together need less than half a processor."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        before = sum(crowd.stat(number)[0] for number in crowd.alive)
        time.sleep(10)
        if sum(crowd.stat(number)[0] for number in crowd.alive) - before < 5:
            return


def _publish(plan: Plan, crowd: Crowd, folder: Path, chance: random.Random) -> dict[str, str]:
    """By word: the peer that provides it. Returns when all are told."""
    words: dict[str, str] = {}
    for number, at in enumerate(chance.sample(crowd.alive, min(plan.works, len(crowd.alive)))):
        word = f"word{number}of{plan.seed}"
        path = folder / f"{word}.txt"
        path.write_text(word)
        crowd.call(at, "work.publish", path=str(path), title=word)
        words[word] = crowd.daemons[at].peer_id
    time.sleep(20)
    return words


def _finds(plan: Plan, crowd: Crowd, words: dict[str, str], chance: random.Random) -> list[float]:
    """Seconds until a random daemon knows who provides a random word; infinity if it does not find out."""
    alive = {crowd.daemons[number].peer_id for number in crowd.alive}
    there = {word: peer for word, peer in words.items() if peer in alive}
    seconds: list[float] = []
    for _ in range(plan.finds):
        word = chance.choice(sorted(there))
        asker = chance.choice([number for number in crowd.alive if crowd.daemons[number].peer_id != there[word]])
        try:
            answer = crowd.call(asker, "dht.providers", word=word)
        except P2pnodeError:
            seconds.append(float("inf"))
            continue
        found = {item["peer_id"] for item in _items(answer)}
        seconds.append(float(str(answer["seconds"])) if there[word] in found else float("inf"))
    return seconds


def _found(name: str, seconds: Sequence[float]) -> str:
    found = sorted(one for one in seconds if one < float("inf"))
    if len(found) < 2:
        return f"{name}: {len(found)} of {len(seconds)} found"
    cuts = quantiles(found, n=100)
    return (
        f"{name}: {len(found)} of {len(seconds)} found, p50 {1000 * cuts[49]:.0f} ms, p95 {1000 * cuts[94]:.0f} ms, "
        f"worst {1000 * found[-1]:.0f} ms"
    )


def _idle(crowd: Crowd, plan: Plan) -> Iterator[str]:
    """What one daemon among the others costs while nothing happens."""
    number = crowd.alive[len(crowd.alive) // 2]
    before, carried = crowd.stat(number), _bytes(crowd, number)
    time.sleep(plan.idle_s)
    after, later = crowd.stat(number), _bytes(crowd, number)
    peers = len(_items(crowd.call(number, "peer.list")))
    yield (
        f"idle with {peers} peers for {plan.idle_s:.0f} s: {100 * (after[0] - before[0]) / plan.idle_s:.2f} % of a processor, "
        f"{after[1]:.0f} MiB, {(later - carried) / plan.idle_s:.0f} bytes/s both ways"
    )


def _bytes(crowd: Crowd, number: int) -> int:
    shown = crowd.call(number, "limits.show")
    return int(str(shown["up_bytes"])) + int(str(shown["down_bytes"]))


def _end(crowd: Crowd) -> None:
    for daemon in crowd.daemons:
        if daemon.process is not None:
            daemon.kill()
