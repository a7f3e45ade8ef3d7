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

from p2pnode.config import Home
from p2pnode.control.blocking import BlockingClient
from p2pnode.errors import P2pnodeError
from scripts.benchmarks.commands import processor_s, resident
from scripts.benchmarks.crowd_figures import NEVER, Finds, as_json, table
from tests.support.daemons import RealDaemon
from tests.support.far_net import FarNet
from tests.support.netns import sweep, why_not

STARTED_AT_ONCE = 2
BOOTSTRAPS = 3
SETTLE_S, CALM_S = 180.0, 120.0
"""Longest wait until all are connected, and until the walks are over: it is said when that was not enough."""
CONNECTED_SHARE = 0.3
"""Of all nodes, to which a node that has settled is connected."""
CALM_SHARE = 0.012
"""Of a processor for each daemon: what an idle one needs, and half as much again."""
LOOK_S = 10.0
TELL_S = 30.0
"""Until what was published is told."""
LATER_S = 30.0


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    nodes: int
    round_trip_ms: float
    works: int
    finds: int
    idle_s: float
    seed: int
    library: int = 0


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
            try:
                list(pool.map(RealDaemon.start, rest))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _daemon(self, number: int, bootstrap: tuple[str, ...]) -> RealDaemon:
        daemon = RealDaemon(
            self._folder / f"n{number}",
            listen=self._net.address(number),
            bootstrap=bootstrap,
            within=self._net.within(number),
        )
        daemon.environment |= {"P2PNODE_LOG_LEVEL": "warning", "P2PNODE_MAP_PORTS": "false"}
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
    sweep()
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
    yield from _settle(crowd, plan)
    yield f"settled after {time.monotonic() - began:.0f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    if plan.library:
        from scripts.benchmarks.library import play  # it knows the crowd

        yield from play(crowd, folder, plan.library, plan.seed)
        return
    words = _publish(plan, crowd, folder, chance)
    peers = [len(_items(crowd.call(number, "peer.list"))) for number in crowd.alive[:10]]
    memory = [crowd.stat(number)[1] for number in crowd.alive]
    yield f"connections {min(peers)}-{max(peers)}, memory {min(memory):.0f}-{max(memory):.0f} MiB"
    if plan.idle_s:
        yield from _idle(crowd, plan)

    def finds(name: str, aim_p50_ms: float | None, aim_p95_ms: float) -> Finds:
        seconds = _finds(plan, crowd, words, chance)
        return Finds.of(name, seconds, aim_p50_ms=aim_p50_ms, aim_p95_ms=aim_p95_ms)

    rows = [finds("find", 400.0, 1500.0)]
    yield rows[0].line()
    gone = chance.sample(crowd.alive, plan.nodes // 3)
    crowd.vanish(gone)
    rows.append(finds("at once after a third died", None, 3000.0))
    time.sleep(LATER_S)
    rows.append(finds("half a minute later", None, 3000.0))
    yield from table(rows)
    yield as_json(
        rows,
        {
            "nodes": plan.nodes,
            "round_trip_ms": plan.round_trip_ms,
            "vanished": len(gone),
            "seconds": round(time.monotonic() - began),
            "load": round(os.getloadavg()[0], 1),
            "memory_mib": round(max(memory)),
        },
    )


def _items(answer: dict[str, object]) -> list[dict[str, object]]:
    items = answer["items"]
    assert isinstance(items, list)
    return items


def _settle(crowd: Crowd, plan: Plan) -> Iterator[str]:
    """Until all are connected to their share and the walks are over."""

    def missing() -> list[int]:
        return [n for n in crowd.alive if len(_items(crowd.call(n, "peer.list"))) < plan.nodes * CONNECTED_SHARE]

    deadline = time.monotonic() + SETTLE_S
    while (few := missing()) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    if few:
        yield f"{len(few)} have few connections after {SETTLE_S:.0f} s"
    deadline = time.monotonic() + CALM_S
    while (used := _processor(crowd)) > CALM_SHARE * plan.nodes and time.monotonic() < deadline:
        pass
    yield f"settled; the daemons together use {100 * used:.0f} % of a processor"


def _processor(crowd: Crowd) -> float:
    """Processors that all daemons together use."""
    before = sum(crowd.stat(number)[0] for number in crowd.alive)
    time.sleep(LOOK_S)
    return (sum(crowd.stat(number)[0] for number in crowd.alive) - before) / LOOK_S


def _publish(plan: Plan, crowd: Crowd, folder: Path, chance: random.Random) -> dict[str, str]:
    """By word: the peer that provides it. Returns when all are told."""
    words: dict[str, str] = {}
    for number, at in enumerate(chance.sample(crowd.alive, min(plan.works, len(crowd.alive)))):
        word = f"word{number}of{plan.seed}"
        path = folder / f"{word}.txt"
        path.write_text(word)
        crowd.call(at, "work.publish", path=str(path), title=word)
        words[word] = crowd.daemons[at].peer_id
    time.sleep(TELL_S)
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
            seconds.append(NEVER)
            continue
        found = {item["peer_id"] for item in _items(answer)}
        seconds.append(float(str(answer["seconds"])) if there[word] in found else NEVER)
    return seconds


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
