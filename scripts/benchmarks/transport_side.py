"""One side of a connection under measurement, in a process of its own: `python -m scripts.benchmarks.transport_side LIBRARY [ADDRESS]`.

Without an address it listens and prints one; with one it connects and obeys orders from its standard input, a line each: `stream BYTES`
or `trips COUNT`. It answers with the seconds, for trips with the median of one. Started by `transport`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, Protocol

import trio

Library = Literal["ours", "stock", "bare"]
SEND_BYTES, READ_BYTES = 1 << 20, 256 << 10
TRIP_BYTES = 100
TAKE, ECHO = "/bench/take/1", "/bench/echo/1"
LOOPBACK = "/ip4/127.0.0.1/tcp/0"


class Wire(Protocol):
    """A stream of any of the three, by the names that all of them can have."""

    async def send_all(self, data: bytes) -> None: ...
    async def receive_some(self, max_bytes: int) -> bytes: ...
    async def aclose(self) -> None: ...


Handle = Callable[[Wire], Awaitable[None]]
Open = Callable[[str], Awaitable[Wire]]


async def take(wire: Wire) -> None:
    """Read what the first eight bytes announce, then say so."""
    left = int.from_bytes(await read_exactly(wire, 8), "big")
    while left:
        left -= len(await wire.receive_some(min(left, READ_BYTES)))
    await wire.send_all(b"!")


async def echo(wire: Wire) -> None:
    """Send back what one trip sends."""
    await wire.send_all(await read_exactly(wire, TRIP_BYTES))


async def read_exactly(wire: Wire, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await wire.receive_some(count - len(data))
    return data


async def stream(open_wire: Open, total: int) -> float:
    """Seconds for `total` bytes on one stream that is open."""
    wire = await open_wire(TAKE)
    data = bytes(SEND_BYTES)
    start = time.perf_counter()
    await wire.send_all(total.to_bytes(8, "big"))
    for _ in range(total // SEND_BYTES):
        await wire.send_all(data)
    await read_exactly(wire, 1)
    return time.perf_counter() - start


async def trips(open_wire: Open, count: int) -> float:
    """Median seconds from wanting a stream to having read the answer on it."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        wire = await open_wire(ECHO)
        await wire.send_all(bytes(TRIP_BYTES))
        await read_exactly(wire, TRIP_BYTES)
        seconds.append(time.perf_counter() - start)
        await wire.aclose()
    return statistics.median(seconds)


# ---- the three libraries: `listen` gives the address, `dial` something to open streams with


class Side(Protocol):
    def listen(self) -> AbstractAsyncContextManager[str]: ...
    def dial(self, address: str) -> AbstractAsyncContextManager[Open]: ...


class Ours:
    @asynccontextmanager
    async def listen(self) -> AsyncIterator[str]:
        from tests.support.net import NodeNet

        async with NodeNet(1).open() as network:
            network.serve(TAKE, take)
            network.serve(ECHO, echo)
            yield network.addresses()[0]

    @asynccontextmanager
    async def dial(self, address: str) -> AsyncIterator[Open]:
        from tests.support.net import NodeNet, wait_connected

        async with NodeNet(2).open() as network:
            peer = await network.connect(address)
            await wait_connected(network, peer)
            yield lambda protocol: network.open_stream(peer, protocol)


class StockWire:
    """libp2p's stream under our names."""

    def __init__(self, raw: Any) -> None:
        self.send_all = raw.write
        self.receive_some = raw.read
        self.aclose = raw.close


def stock_host(number: int) -> Any:
    """As the library comes, but for the security protocol: it would offer less than Noise, too."""
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
    from libp2p.security.noise.transport import PROTOCOL_ID, Transport

    keys = create_new_key_pair(bytes([number]) * 32)
    noise = Transport(keys, noise_privkey=create_noise_key_pair().private_key)
    return new_host(key_pair=keys, sec_opt={PROTOCOL_ID: noise})


class Stock:
    @asynccontextmanager
    async def listen(self) -> AsyncIterator[str]:
        from multiaddr import Multiaddr

        host = stock_host(1)
        async with host.run([Multiaddr(LOOPBACK)]):
            for protocol, handle in ((TAKE, take), (ECHO, echo)):
                host.set_stream_handler(protocol, lambda raw, handle=handle: handle(StockWire(raw)))
            yield str(host.get_addrs()[0])

    @asynccontextmanager
    async def dial(self, address: str) -> AsyncIterator[Open]:
        from libp2p.peer.peerinfo import info_from_p2p_addr
        from multiaddr import Multiaddr

        host = stock_host(2)
        info = info_from_p2p_addr(Multiaddr(address))

        async def open_wire(protocol: str) -> Wire:
            return StockWire(await host.new_stream(info.peer_id, [protocol]))

        async with host.run([]):
            await host.connect(info)
            yield open_wire


class Bare:
    @asynccontextmanager
    async def listen(self) -> AsyncIterator[str]:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, take, [listener])
            yield str(listener.socket.getsockname()[1])

    @asynccontextmanager
    async def dial(self, address: str) -> AsyncIterator[Open]:
        async def open_wire(protocol: str) -> Wire:
            return await trio.open_tcp_stream("127.0.0.1", int(address))

        yield open_wire


LIBRARIES: dict[str, Callable[[], Side]] = {"ours": Ours, "stock": Stock, "bare": Bare}
ORDERS = {"stream": stream, "trips": trips}


async def main(library: str, address: str = "") -> None:
    side = LIBRARIES[library]()
    if not address:
        async with side.listen() as listening:
            print(listening, flush=True)
            await trio.sleep_forever()
    async with side.dial(address) as open_wire:
        while order := (await trio.to_thread.run_sync(sys.stdin.readline)).split():
            print(await ORDERS[order[0]](open_wire, int(order[1])), flush=True)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
