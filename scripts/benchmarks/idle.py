"""Ten minutes of a daemon with a hundred peers to which nothing happens: processor, memory and bytes, headers of the wire included, and
what the bytes were for."""

from __future__ import annotations

import time
from pathlib import Path

from scripts.benchmarks.commands import processor_s, resident
from scripts.benchmarks.figures import Figure
from tests.support.crowd import Crowd
from tests.support.daemons import RealDaemon

PEERS, SETTLE_S, IDLE_S = 100, 90.0, 600.0
Bytes = dict[str, int]


def idle_hundred(folder: Path) -> list[Figure]:
    """The aims: 1 % of a processor, 120 MiB, 3,000 bytes a second. The rows below them add up to the bytes."""
    daemon = RealDaemon(folder / "node").start()
    crowd = Crowd(PEERS, daemon.address, network="p2pnode")
    try:
        assert daemon.process is not None
        status, stat = (Path(f"/proc/{daemon.process.pid}/{name}") for name in ("status", "stat"))
        crowd.wait()
        time.sleep(SETTLE_S)
        before, carried = processor_s(stat.read_text()), _carried(daemon)
        time.sleep(IDLE_S)
        busy, moved = processor_s(stat.read_text()) - before, _since(carried, _carried(daemon))
        full, peers = resident(status.read_text()), len(daemon.lines("peers"))
    finally:
        crowd.end()
        daemon.kill()
    return [
        Figure(f"processor of {peers} idle peers, {IDLE_S:.0f} s", 100 * busy / IDLE_S, "%", 1.0, "aim"),
        Figure(f"memory of {peers} idle peers", full, "MiB", 120.0, "aim"),
        Figure(f"bytes of {peers} idle peers, both ways", sum(moved.values()) / IDLE_S, "B/s", 3000.0, "aim"),
        *(
            Figure(f"of these for {kind}", count / IDLE_S, "B/s")
            for kind, count in sorted(moved.items(), key=lambda one: -one[1])
        ),
    ]


def _carried(daemon: RealDaemon) -> Bytes:
    return {one["kind"]: one["up_bytes"] + one["down_bytes"] for one in daemon.json("limits")["kinds"]}


def _since(before: Bytes, now: Bytes) -> Bytes:
    return {kind: count - before.get(kind, 0) for kind, count in now.items() if count != before.get(kind, 0)}
