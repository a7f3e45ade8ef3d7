"""What a person waits for, and what an idle node costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.benchmarks.figures import Figure, median
from tests.support.daemons import RealDaemon

RUNS = 9


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


def resident(status: str) -> float:
    """MiB of VmRSS."""
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
