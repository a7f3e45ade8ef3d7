"""What a person waits for, and what an idle node costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from scripts.benchmarks.figures import Figure, median, timed
from tests.support.crowd import Crowd
from tests.support.daemons import RealDaemon

RUNS = 9
IDLE_PEERS = 200
SETTLE_S, IDLE_S = 20.0, 20.0
"""Until the DHT has looked around and its streams have closed; and measured."""


def cli(folder: Path) -> list[Figure]:
    """A call that needs no network, beside a running daemon, against starting Python at all."""
    daemon = RealDaemon(folder / "node").start()
    try:
        python = median(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), runs=RUNS)
        return [
            Figure(
                f"p2pnode {command}",
                1e3 * median(lambda c=command: daemon.run(*c.split()), runs=RUNS),
                "ms",
                1e3 * python,
                "python -c pass",
            )
            for command in ("status --json", "list --json", "circle list --json", "--version")
        ]
    finally:
        daemon.kill()


def memory(folder: Path) -> list[Figure]:
    """Resident memory of a daemon that just started, against Python with libp2p imported."""
    daemon = RealDaemon(folder / "node").start()
    try:
        assert daemon.process is not None
        code = "import libp2p, trio; print(open('/proc/self/status').read())"
        bare = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        own = Path(f"/proc/{daemon.process.pid}/status").read_text()
        return [Figure("memory of an idle daemon", resident(own), "MiB", resident(bare), "python -c 'import libp2p'")]
    finally:
        daemon.kill()


def idle(folder: Path) -> list[Figure]:
    """Resident memory, processor and end of a daemon to which IDLE_PEERS nodes in other processes are connected."""
    daemon = RealDaemon(folder / "node").start()
    crowds: list[Crowd] = []
    try:
        assert daemon.process is not None
        status, stat = (Path(f"/proc/{daemon.process.pid}/{name}") for name in ("status", "stat"))
        bare = resident(status.read_text())
        crowds = [Crowd(IDLE_PEERS // 2, daemon.address, seed=seed, network="p2pnode") for seed in range(2)]
        for crowd in crowds:
            crowd.wait()
        peers = len(daemon.lines("peers"))
        time.sleep(SETTLE_S)
        before = processor_s(stat.read_text())
        time.sleep(IDLE_S)
        busy = 100 * (processor_s(stat.read_text()) - before) / IDLE_S
        full = resident(status.read_text())
        ended = timed(daemon.stop)
    finally:
        for crowd in crowds:
            crowd.end()
        daemon.kill()
    return [
        Figure(f"memory with {peers} idle connections", full, "MiB", bare, "the same daemon alone"),
        Figure(f"processor of {peers} idle connections", busy, "%"),
        Figure(f"end of a daemon with {peers} peers", ended, "s"),
    ]


def processor_s(stat: str) -> float:
    """User and system seconds of a process."""
    return sum(map(int, stat.split()[13:15])) / os.sysconf("SC_CLK_TCK")


def resident(status: str) -> float:
    """MiB of VmRSS."""
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
