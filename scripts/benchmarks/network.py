"""Gossip and the DHT on loopback, against stock libp2p in the same run where there is something to compare."""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import trio

from p2pnode.core.ids import PeerId
from p2pnode.net.network import Libp2pNetwork
from scripts.benchmarks.figures import Figure
from tests.support.net import link, networks

NODES = 10
KEYS = 20
GOSSIP_RUNS = (("ours", 10, 100), ("ours", 20, 200), ("ours", 50, 500))
"""Messages a second and in all; at the first rate stock libp2p is measured, too: beyond it, it drops most of them."""
REQUESTS = 300
STOCK = "stock libp2p 0.8.1"


async def ring(opened: list[Libp2pNetwork]) -> None:
    """Each is connected to its two neighbours and one across: what goes far must be passed on."""
    for number, node in enumerate(opened):
        await link(node, opened[(number + 1) % len(opened)])
    for number in range(0, len(opened) // 2, 2):
        await link(opened[number], opened[number + len(opened) // 2])


def gossip(folder: Path) -> list[Figure]:
    """20 nodes in a process: what arrives in time, and what it costs the processor against stock libp2p at a rate that stock can bear."""
    calm, ours, fast = (_side("gossip", library, *rate) for library, *rate in GOSSIP_RUNS)
    stock = _side("gossip", "stock", *GOSSIP_RUNS[0][1:])
    name = f"gossip, 20 nodes, {GOSSIP_RUNS[0][1]} msg/s"
    return [
        Figure(
            f"{name}: CPU a delivery",
            calm["cpu_ms"],
            "ms",
            stock["cpu_ms"],
            STOCK,
            f"within 2 s {calm['share']:.1f} %, stock {stock['share']:.1f} %",
        ),
        *(
            Figure(
                f"gossip, 20 nodes, {run[1]} msg/s: within 2 s", one["share"], "%", note=f"{one['median_ms']:.1f} ms"
            )
            for run, one in zip(GOSSIP_RUNS[1:], (ours, fast), strict=True)
        ),
    ]


def requests(folder: Path) -> list[Figure]:
    """A DHT request with a full answer on a stream that is there (stock opens one for each), both sides' CPU."""
    ours, stock = (_side("requests", library, REQUESTS)["cpu_ms"] for library in ("ours", "stock"))
    return [Figure("DHT request: CPU", ours, "ms", stock, STOCK)]


def _side(*arguments: object) -> dict[str, float]:
    command = [sys.executable, "-m", "scripts.benchmarks.network_side", *map(str, arguments)]
    found: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    return found


async def round_trip(node: Libp2pNetwork, peer: PeerId) -> float:
    """Median seconds for a new stream and a hundred bytes there and back."""
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        stream = await node.open_stream(peer, "/test/echo/1")
        await stream.send_all(bytes(100))
        got = 0
        while got < 100:
            got += len(await stream.receive_some(100))
        seconds.append(time.perf_counter() - start)
        await stream.aclose()
    return statistics.median(seconds)


def dht(folder: Path) -> list[Figure]:
    """Provide and find over ten nodes of which the asking one knows only its neighbours."""
    return trio.run(_dht)


async def _dht() -> list[Figure]:
    async with networks(NODES) as opened:
        await ring(opened)
        trip = await round_trip(opened[0], opened[1].peer_id)
        keys = [hashlib.sha256(b"bench %d" % number).digest() for number in range(KEYS)]
        provided, found, hits = [], [], 0
        for number, key in enumerate(keys):
            start = time.perf_counter()
            await opened[number % NODES].provide(key)
            provided.append(time.perf_counter() - start)
        for number, key in enumerate(keys):
            start = time.perf_counter()
            peers = await opened[(number + NODES // 2) % NODES].find_providers(key)
            found.append(time.perf_counter() - start)
            hits += opened[number % NODES].peer_id in peers
    against = "stream and round trip"
    return [
        Figure(f"DHT provide, {NODES} nodes: median", 1e3 * statistics.median(provided), "ms", 1e3 * trip, against),
        Figure(
            f"DHT find, {NODES} nodes: median",
            1e3 * statistics.median(found),
            "ms",
            1e3 * trip,
            against,
            f"{hits} of {KEYS} found",
        ),
    ]
