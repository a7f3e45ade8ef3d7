"""Far and lossy links between two namespaces: one stream of ours against one plain TCP socket, in turn, and small requests beside it.

The link is in user space (`tests.support.slow_link`), so it needs root and /dev/net/tun and no kernel module; both sides use the same
congestion control, the machine's own, which stands in the note.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from scripts.benchmarks.figures import Figure
from tests.support.netns import Link, Namespaces, why_not

ENDS = Path(__file__).parents[2] / "tests" / "support" / "link_ends.py"
LEFT, RIGHT = "10.89.0.1", "10.89.0.2"
SENT_BYTES, RUNS = 48 << 20, 3
LINKS = {
    "80 ms, 1 % lost": Link(delay_ms=40, rate_mbit=100, loss=0.01),
    "300 ms": Link(delay_ms=150, rate_mbit=100, queue_packets=1300),
}


def far(folder: Path) -> list[Figure]:
    """48 MiB at 100 Mbit/s, from the first byte to the answer to the last one, on fresh connections."""
    if reason := why_not():
        print(f"far: not measured, {reason}", file=sys.stderr)
        return []
    return [figure for name, link in LINKS.items() for figure in _measured(name, link)]


def _measured(name: str, link: Link) -> list[Figure]:
    with Namespaces(2) as spaces:
        spaces.slow_link(0, LEFT, 1, RIGHT, link)
        control = subprocess.run(
            [*spaces.within(0), "sysctl", "-n", "net.ipv4.tcp_congestion_control"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        serve = [*spaces.within(1), sys.executable, str(ENDS), "serve", RIGHT]
        with subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            _, port, address = process.stdout.readline().split()
            measure = ["measure", RIGHT, LEFT, port, address, str(SENT_BYTES), str(RUNS)]
            done = subprocess.run(
                [*spaces.within(0), sys.executable, str(ENDS), *measure], stdout=subprocess.PIPE, text=True, check=True
            )
            process.stdin.close()
    found = json.loads(done.stdout)
    ours, tcp = (SENT_BYTES * RUNS / sum(found[side]) / 1e6 for side in ("ours_s", "tcp_s"))
    round_trip_ms = 2 * link.delay_ms
    beside = [1000 * seconds for seconds in found["beside_s"]]
    return [
        Figure(f"one stream, {name}", ours, "MB/s", tcp, "plain TCP", control),
        Figure(
            f"small request beside it, {name}",
            median(beside),
            "ms",
            round_trip_ms,
            "round trip",
            f"worst {max(beside):.0f}",
        ),
    ]
