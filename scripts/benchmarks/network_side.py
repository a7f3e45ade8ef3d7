"""A process of the network's rows: nodes of one library, ours or stock libp2p's, doing the same. Prints one JSON object.

`python -m scripts.benchmarks.network_side gossip ours|stock MESSAGES_PER_S MESSAGES`, or `... requests ours|stock COUNT`.
Stock is the library as it comes, with the heartbeat that the specification wants (its own is 120 s), and without our mends.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from scripts.benchmarks.meshes import edges

NODES, NEIGHBOURS, MESSAGE_BYTES = 20, 6, 300
SETTLE_S, LATE_S = 6.0, 2.0
TABLE_PEERS = 19
TOPIC = "bench"
LOOPBACK = Multiaddr("/ip4/127.0.0.1/tcp/0")


# ---------------------------------------------------------------- gossip


async def gossip(library: str, per_s: float, count: int) -> None:
    """CPU and delays of `count` messages, each published by another node and meant for all the others."""
    delays: list[float] = []

    def heard(data: bytes) -> None:
        delays.append(time.perf_counter() - float(data[:24]))

    async with (_our_topics if library == "ours" else _stock_topics)(heard) as publish:
        await trio.sleep(SETTLE_S)
        cpu = time.process_time()
        start = trio.current_time()
        for number in range(count):
            stamp = f"{time.perf_counter():024.9f}".encode()
            await publish(number % NODES, stamp.ljust(MESSAGE_BYTES - 4, b" ") + number.to_bytes(4, "big"))
            await trio.sleep_until(start + (number + 1) / per_s)
        await trio.sleep(LATE_S)
        cpu = time.process_time() - cpu
        in_time = sum(delay <= LATE_S for delay in delays)
        tell(
            cpu_ms=1e3 * cpu / max(1, len(delays)),
            share=100 * in_time / (count * (NODES - 1)),
            median_ms=1e3 * statistics.median(delays or [float("inf")]),
        )


def tell(**answer: float) -> NoReturn:
    """The end of this process: stock nodes take a minute to close, and some fail at it."""
    print(json.dumps(answer), flush=True)
    os._exit(0)


Publish = Callable[[int, bytes], Awaitable[None]]


@asynccontextmanager
async def _our_topics(heard: Callable[[bytes], None]) -> AsyncIterator[Publish]:
    from tests.support.net import link, networks

    async with networks(NODES) as nodes:
        for node in nodes:
            await node.join_topic(TOPIC, lambda forwarder, data: True, lambda forwarder, data: heard(data))
        for one, other in edges(NODES, NEIGHBOURS):
            await link(nodes[one], nodes[other])

        async def publish(number: int, data: bytes) -> None:
            await nodes[number].publish(TOPIC, data)

        yield publish


@asynccontextmanager
async def _stock_topics(heard: Callable[[bytes], None]) -> AsyncIterator[Publish]:
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        hosts, topics = [], []
        for number in range(NODES):
            host = await stack.enter_async_context(_stock_host(number + 1))
            router = GossipSub([PROTOCOL_ID_V11], 6, 4, 12, heartbeat_interval=1)
            pubsub = Pubsub(host, router)
            for service in (pubsub, router):
                await stack.enter_async_context(background_trio_service(service))
            await pubsub.wait_until_ready()
            hosts.append(host)
            topics.append(pubsub)

        async def read(host: Any, subscription: Any) -> None:
            while True:
                message = await subscription.get()
                if message.from_id != host.get_id().to_bytes():
                    heard(message.data)

        for host, pubsub in zip(hosts, topics, strict=True):
            nursery.start_soon(read, host, await pubsub.subscribe(TOPIC))
        for one, other in edges(NODES, NEIGHBOURS):
            await hosts[one].connect(_info(hosts[other]))

        async def publish(number: int, data: bytes) -> None:
            await topics[number].publish(TOPIC, data)

        yield publish
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- DHT requests


async def requests(library: str, count: int) -> None:
    """CPU of one FIND_NODE with an answer of TABLE_PEERS peers, both sides together."""
    async with (_our_requests if library == "ours" else _stock_requests)() as ask:
        for number in range(3):
            await ask(_key(-number - 1))
        cpu = time.process_time()
        answered = [await ask(_key(number)) for number in range(count)]
        cpu = time.process_time() - cpu
        assert set(answered) == {TABLE_PEERS}, set(answered)
        tell(cpu_ms=1e3 * cpu / count)


def _key(number: int) -> bytes:
    return b"\x12\x20" + hashlib.sha256(b"bench %d" % number).digest()


def _known() -> list[tuple[ID, str]]:
    """Whom the answering node knows."""
    keys = (create_new_key_pair(bytes([200 - number]) * 32).public_key for number in range(TABLE_PEERS))
    return [(ID.from_pubkey(key), f"/ip4/127.0.0.1/tcp/{number + 1}") for number, key in enumerate(keys)]


Ask = Callable[[bytes], Awaitable[int]]


@asynccontextmanager
async def _our_requests() -> AsyncIterator[Ask]:
    from p2pnode.core.ids import PeerId
    from p2pnode.net.kad.wire import Contact, KadMessage
    from tests.support.net import link, networks

    async with networks(2) as (asker, other):
        await link(asker, other)
        await trio.sleep(1)  # until the first walk is over
        for peer, address in _known():
            other.dht.table.add(Contact(PeerId(peer.to_base58()), (address,)), lambda peer: True)

        async def ask(key: bytes) -> int:
            answer = await asker.dht.client.request(Contact(other.peer_id, ()), KadMessage("FIND_NODE", key))
            return len(answer.closer)

        yield ask


@asynccontextmanager
async def _stock_requests() -> AsyncIterator[Ask]:
    async with _stock_host(1) as asker, _stock_host(2) as other:
        ours, theirs = KadDHT(asker, DHTMode.SERVER), KadDHT(other, DHTMode.SERVER)
        async with background_trio_service(ours), background_trio_service(theirs):
            await asker.connect(_info(other))
            await trio.sleep(1)
            for peer, address in _known():
                other.get_peerstore().add_addrs(peer, [Multiaddr(address)], 3600)
                await theirs.routing_table.add_peer(PeerInfo(peer, [Multiaddr(address)]))

            async def ask(key: bytes) -> int:
                return len(await ours.peer_routing._query_peer_for_closest(other.get_id(), key))

            yield ask


@asynccontextmanager
async def _stock_host(number: int) -> AsyncIterator[Any]:
    quiet = ConnectionConfig(min_connections=0, low_watermark=0)
    keys = create_new_key_pair(bytes([number]) * 32)
    host = new_host(key_pair=keys, listen_addrs=[LOOPBACK], connection_config=quiet)
    async with host.run([LOOPBACK]):
        yield host


def _info(host: Any) -> PeerInfo:
    return PeerInfo(host.get_id(), [Multiaddr(str(host.get_addrs()[0]).partition("/p2p/")[0])])


async def main() -> None:
    what, library, *numbers = sys.argv[1:]
    if what == "gossip":
        await gossip(library, float(numbers[0]), int(numbers[1]))
    else:
        await requests(library, int(numbers[0]))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    trio.run(main)
