"""Two muxers on the two ends of a wire in memory, without Noise: ours with ours, or ours with libp2p's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from libp2p.stream_muxer.yamux.yamux import Yamux as StockYamux
from trio.testing import memory_stream_pair

from p2pnode.net.yamux.connection import Yamux

MUXERS: dict[str, Callable[..., Any]] = {"ours": Yamux, "stock": StockYamux}


class PlainConn:
    """What a muxer needs of a secured connection."""

    def __init__(self, stream: Any, *, initiator: bool) -> None:
        self.stream = stream
        self.is_initiator = initiator

    async def read(self, n: int | None = None) -> bytes:
        return bytes(await self.stream.receive_some(n))

    async def write(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def close(self) -> None:
        await self.stream.aclose()

    def get_remote_address(self) -> tuple[str, int]:
        return "127.0.0.1", 1


@asynccontextmanager
async def muxers(dialler: str = "ours", listener: str = "ours") -> AsyncIterator[tuple[Any, Any]]:
    """A running connection: the side that dialled, and the other."""
    near, far = memory_stream_pair()
    a = MUXERS[dialler](PlainConn(near, initiator=True), "b")
    b = MUXERS[listener](PlainConn(far, initiator=False), "a")
    async with trio.open_nursery() as nursery:
        for side in (a, b):
            nursery.start_soon(side.start)
            await side.event_started.wait()
        yield a, b
        for side in (a, b):
            await side.close()
        nursery.cancel_scope.cancel()


async def read_to_end(stream: Any) -> bytes:
    """Everything until the clean end; MuxedStreamReset if there is none."""
    data = bytearray()
    with suppress(EOFError):
        while True:
            data += await stream.read(1 << 16)
    return bytes(data)
