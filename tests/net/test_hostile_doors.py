"""Somebody opens connections and says nothing on them: others still come in."""

from __future__ import annotations

import pytest
import trio
from multiaddr import Multiaddr

from tests.support.net import NodeNet, networks, round_trip, wait_connected

pytestmark = [pytest.mark.trio, pytest.mark.network]

SILENT = 250
ELSEWHERE = "127.0.0.2"
"""Another host, as far as the node can see."""


async def keep_silent(port: int) -> None:
    """One connection without a word, opened again whenever it is closed."""
    while True:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", port, local_address=ELSEWHERE) as stream:
                while await stream.receive_some(1000):
                    pass
        except OSError:
            await trio.sleep(0.05)


async def test_silent_connections_keep_nobody_out() -> None:
    async with networks(1) as (node,), NodeNet(99).open() as friend, trio.open_nursery() as nursery:
        port = int(Multiaddr(node.addresses()[0]).value_for_protocol("tcp"))
        for _ in range(SILENT):
            nursery.start_soon(keep_silent, port)
        await trio.sleep(1)  # until they fill every place
        for _ in range(3):
            await friend.connect(node.addresses()[0])
            await wait_connected(node, friend.peer_id)
            assert await round_trip(friend, node.peer_id) == b"hello"
            await friend.disconnect(node.peer_id)
            await wait_connected(node, friend.peer_id, connected=False)
        nursery.cancel_scope.cancel()
