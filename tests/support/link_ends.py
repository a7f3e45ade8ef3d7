"""The two ends of a measurement over a link: plain TCP and our network, side by side. Run in two namespaces by `test_netem` and the bench.

`link_ends.py serve ADDRESS` prints `ready TCP_PORT MULTIADDR` and takes what comes, until its stdin ends.
`link_ends.py measure ADDRESS OWN_ADDRESS TCP_PORT MULTIADDR BYTES RUNS [--tcp-only]` prints one JSON object: seconds of each run of
either, alternating, and of small requests alone and beside a transfer.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import trio

from p2pnode.net.network import Libp2pNetwork
from p2pnode.ports import Stream
from tests.support.net import NodeNet

SINK, SMALL = "/test/sink/1", "/test/small/1"
PART_BYTES = 1 << 18
SMALL_BYTES = 100
PROBE_EVERY_S = 0.05
DEADLINE_S = 300.0


async def sink(stream: Stream) -> None:
    """Counts to the end, then says that it has everything."""
    while await stream.receive_some(PART_BYTES):
        pass
    await stream.send_all(b".")


async def small(stream: Stream) -> None:
    while data := await stream.receive_some(SMALL_BYTES):
        await stream.send_all(data)


def serve_tcp(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(PART_BYTES):
                pass
            connection.sendall(b".")


async def serve(address: str) -> None:
    listener = socket.create_server((address, 0))
    threading.Thread(target=serve_tcp, args=(listener,), daemon=True).start()
    async with NodeNet(1, listen=[f"/ip4/{address}/tcp/0"]).open() as node:
        node.serve(SINK, sink)
        node.serve(SMALL, small)
        print("ready", listener.getsockname()[1], node.addresses()[0], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


def send_by_tcp(address: str, port: int, count: int) -> float:
    """Seconds from the first byte to the answer to the last one."""
    part = bytes(PART_BYTES)
    with socket.create_connection((address, port), timeout=DEADLINE_S) as connection:
        begun = time.monotonic()
        for _ in range(count // PART_BYTES):
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"."
        return time.monotonic() - begun


async def send_by_stream(node: Libp2pNetwork, server: str, count: int) -> float:
    """The same on a stream of ours, on a fresh connection."""
    peer = await node.connect(server)
    stream = await node.open_stream(peer, SINK)
    part = bytes(PART_BYTES)
    begun = time.monotonic()
    for _ in range(count // PART_BYTES):
        await stream.send_all(part)
    await stream.send_eof()
    assert await stream.receive_some(1) == b"."
    return time.monotonic() - begun


@asynccontextmanager
async def client(number: int, address: str) -> AsyncIterator[Libp2pNetwork]:
    async with NodeNet(number, listen=[f"/ip4/{address}/tcp/0"]).open() as node:
        yield node


async def probe(node: Libp2pNetwork, server: str, latencies: list[float]) -> None:
    """Small requests on a stream of its own, one after the other, until cancelled."""
    peer = await node.connect(server)
    stream = await node.open_stream(peer, SMALL)
    while True:
        begun = time.monotonic()
        await stream.send_all(bytes(SMALL_BYTES))
        left = SMALL_BYTES
        while left:
            left -= len(await stream.receive_some(left))
        latencies.append(round(time.monotonic() - begun, 4))
        await trio.sleep(PROBE_EVERY_S)


async def measure(
    own: str, server_host: str, port: int, server: str, count: int, runs: int, *, tcp_only: bool
) -> dict[str, Any]:
    tcp: list[float] = []
    ours: list[float] = []
    idle: list[float] = []
    beside: list[float] = []
    with trio.fail_after(DEADLINE_S):
        for run in range(runs):
            tcp.append(await trio.to_thread.run_sync(send_by_tcp, server_host, port, count))
            if tcp_only:
                continue
            async with client(10 + run, own) as node:
                ours.append(await send_by_stream(node, server, count))
        if tcp_only:
            return {"tcp_s": tcp}
        async with client(9, own) as node, trio.open_nursery() as nursery:
            with trio.move_on_after(1.0):
                await probe(node, server, idle)
            nursery.start_soon(probe, node, server, beside)
            await send_by_stream(node, server, count)
            nursery.cancel_scope.cancel()
    return {"tcp_s": tcp, "ours_s": ours, "idle_s": idle, "beside_s": beside}


def main() -> None:
    command, address, *rest = sys.argv[1:]
    if command == "serve":
        trio.run(serve, address)
    else:
        own, port, server, count, runs, *only = rest
        work = partial(measure, own, address, int(port), server, int(count), int(runs), tcp_only=bool(only))
        print(json.dumps(trio.run(work)))


if __name__ == "__main__":
    main()
