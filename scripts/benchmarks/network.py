"""Gossip and the DHT over ten nodes in one process on loopback."""

from __future__ import annotations

import hashlib
import statistics
import time
from pathlib import Path

import trio

from p2pnode.core.ids import PeerId
from p2pnode.net.network import Libp2pNetwork
from scripts.benchmarks.figures import Figure
from tests.support.net import link, networks

NODES = 10
MESSAGES, MESSAGE_BYTES, PER_S = 60, 300, 10
KEYS = 20
SETTLE_S = 3.0
"""For gossip's mesh to form: three heartbeats."""
TOPIC = "bench"


async def ring(opened: list[Libp2pNetwork]) -> None:
    """Each is connected to its two neighbours and one across: what goes far must be passed on."""
    for number, node in enumerate(opened):
        await link(node, opened[(number + 1) % len(opened)])
    for number in range(0, len(opened) // 2, 2):
        await link(opened[number], opened[number + len(opened) // 2])


def gossip(folder: Path) -> list[Figure]:
    """Share of messages that reach all, and how long that takes; against sending nothing but one direct stream's round trip."""
    return trio.run(_gossip)


async def _gossip() -> list[Figure]:
    delays: list[float] = []

    def accept(forwarder: PeerId, data: bytes) -> bool:
        return True

    def deliver(forwarder: PeerId, data: bytes) -> None:
        delays.append(time.perf_counter() - float(data[:24]))

    async with networks(NODES) as opened:
        for node in opened:
            await node.join_topic(TOPIC, accept, deliver)
        await ring(opened)
        await trio.sleep(SETTLE_S)
        trip = await round_trip(opened[0], opened[1].peer_id)
        for number in range(MESSAGES):
            stamp = f"{time.perf_counter():024.9f}".encode()
            await opened[number % NODES].publish(
                TOPIC, stamp.ljust(MESSAGE_BYTES - 4, b" ") + number.to_bytes(4, "big")
            )
            await trio.sleep(1 / PER_S)
        await trio.sleep(2.0)
    expected = MESSAGES * (NODES - 1)
    share = 100 * sum(delay <= 2.0 for delay in delays) / expected
    name = f"gossip, {NODES} nodes, {PER_S} msg/s of {MESSAGE_BYTES} B"
    return [
        Figure(f"{name}: within 2 s", share, "%", note=f"{len(delays)} of {expected} delivered"),
        Figure(f"{name}: median", 1e3 * statistics.median(delays), "ms", 1e3 * trip, "stream and round trip"),
    ]


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
