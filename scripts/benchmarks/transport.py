"""One connection on loopback between two processes: ours against stock libp2p and a bare TCP copy, all in the same run.

The two sides are processes of `transport_side`. Every library sends and reads in the same sizes, and the runs alternate, so that what
else the machine does falls on all of them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.benchmarks.figures import Figure
from scripts.benchmarks.transport_side import Library

STREAM_BYTES = 512 << 20
STREAM_RUNS = 3
TRIPS = 50
TRIP_PAIRS = 9
BARE = "bare trio TCP copy"
STOCK = "stock libp2p 0.8.1"


class Dialler:
    """The dialling process: one order a line, one answer a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def seconds(self, order: str) -> float:
        """What the other process measured for `order`."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(order, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


@contextmanager
def connected(library: Library) -> Iterator[Dialler]:
    """Two connected processes of one library."""
    listening = _side(library)
    assert listening.stdout is not None
    dialling = _side(library, listening.stdout.readline().strip())
    try:
        yield Dialler(dialling)
    finally:
        for process in (dialling, listening):
            process.kill()
            process.communicate()


def _side(library: Library, *address: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scripts.benchmarks.transport_side", library, *address]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def stream(folder: Path) -> list[Figure]:
    """512 MiB on one stream, from the first byte sent to the last one read. No TLS, no disk: Noise, Yamux and the event loop."""
    rates: dict[Library, list[float]] = {"ours": [], "stock": [], "bare": []}
    for _ in range(STREAM_RUNS):
        for library, seen in rates.items():
            with connected(library) as dialler:
                seen.append(STREAM_BYTES / dialler.seconds(f"stream {STREAM_BYTES}") / 1e6)
    ours, stock, bare = (statistics.median(rates[library]) for library in ("ours", "stock", "bare"))
    spread = f"{min(rates['ours']):.0f} to {max(rates['ours']):.0f}"
    return [
        Figure("one stream, 512 MiB", ours, "MB/s", stock, STOCK, spread),
        Figure("one stream, 512 MiB", ours, "MB/s", bare, BARE),
    ]


def trip(folder: Path) -> list[Figure]:
    """A new stream, 100 bytes there and back, on a connection that stands: pairs of batches, ours and stock in turn."""
    with connected("ours") as ours, connected("stock") as stock:
        pairs = [(ours.seconds(f"trips {TRIPS}"), stock.seconds(f"trips {TRIPS}")) for _ in range(TRIP_PAIRS)]
    ratios = [mine / theirs for mine, theirs in pairs]
    mine, theirs = (1e3 * statistics.median(side) for side in zip(*pairs, strict=True))
    note = f"pairs: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"
    return [Figure("new stream and 100-byte round trip", mine, "ms", theirs, STOCK, note)]
