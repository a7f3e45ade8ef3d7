"""Several nodes' networks in one process on 127.0.0.1, with address books and provider records in memory that outlive a restart."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import trio

from p2pnode.core.ids import PeerId
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.opening import open_network
from p2pnode.net.relay.places import RelayLimits
from p2pnode.ports import Network, Stream
from p2pnode.store.addresses import PeerAddresses
from p2pnode.store.memory import InlineEngine
from p2pnode.store.providers import ProviderTable
from tests.support.waiting import DEADLINE_S as DEADLINE_S
from tests.support.waiting import until as until

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
ECHO = "/test/echo/1"


class NodeNet:
    """What one node keeps; `open()` gives its running network, again and again."""

    def __init__(self, number: int, *, network: str = "test", listen: Sequence[str] = (LOOPBACK,)) -> None:
        self.seed = bytes([number]) * 32
        self.network = network
        self.listen = listen
        self.book = PeerAddresses(InlineEngine(), time.time)
        self.records = ProviderTable(InlineEngine())

    def open(
        self,
        *,
        bootstrap: Sequence[str] = (),
        lan: bool = False,
        relay_limits: RelayLimits | None = None,
        relays: Sequence[str] = (),
    ) -> AbstractAsyncContextManager[Libp2pNetwork]:
        return open_network(
            host_key=self.seed,
            listen=self.listen,
            network_name=self.network,
            bootstrap=bootstrap,
            lan=lan,
            address_book=self.book,
            providers=self.records,
            clock=time.time,
            relay_limits=relay_limits,
            relays=relays,
        )


@asynccontextmanager
async def networks(count: int, *, network: str = "test") -> AsyncIterator[list[Libp2pNetwork]]:
    """`count` running networks that are not connected yet and answer ECHO."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(NodeNet(n + 1, network=network).open()) for n in range(count)]
        for one in opened:
            one.serve(ECHO, echo)
        yield opened


async def echo(stream: Stream) -> None:
    while data := await stream.receive_some(1 << 16):
        await stream.send_all(data)


async def link(a: Network, b: Network) -> None:
    """Connect a to b and wait until both know each other."""
    await a.connect(b.addresses()[0])
    await wait_connected(a, b.peer_id)
    await wait_connected(b, a.peer_id)


async def wait_connected(network: Network, peer: PeerId, *, connected: bool = True) -> None:
    with trio.fail_after(DEADLINE_S):
        if not connected and all(view.peer != peer for view in network.peers()):
            return
        async with network.peer_events() as events:
            async for event in events:
                if event.peer == peer and event.connected is connected:
                    return


async def read_all(stream: Stream) -> bytes:
    parts = bytearray()
    while data := await stream.receive_some(1 << 16):
        parts += data
    return bytes(parts)


async def round_trip(network: Network, peer: PeerId, data: bytes = b"hello") -> bytes:
    """What an echo stream brings back."""
    with trio.fail_after(DEADLINE_S):
        stream = await network.open_stream(peer, ECHO)
        await stream.send_all(data)
        await stream.send_eof()
        answer = await read_all(stream)
        await stream.aclose()
        return answer
