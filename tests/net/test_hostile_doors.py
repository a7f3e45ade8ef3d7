"""Somebody opens connections and says nothing on them: others still come in."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from multiaddr import Multiaddr

from p2pnode.errors import NetworkError
from p2pnode.net.hardening import swarm
from tests.support.net import NodeNet, networks, round_trip, until, wait_connected

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
            pass
        await trio.sleep(0.1)


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
            old = node.peers_table.connections(friend.peer_id)
            await friend.disconnect(node.peer_id)  # the DHT may dial again at any time: only the old ones must go
            await until(
                lambda old=old: not set(map(id, old)) & set(map(id, node.peers_table.connections(friend.peer_id)))
            )
        nursery.cancel_scope.cancel()


async def test_one_host_takes_not_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names cost nothing, addresses do: a host that connects under ever new names stops at its share."""
    monkeypatch.setattr(swarm, "MAX_INBOUND_PER_HOST", 3)
    async with networks(1) as (node,), NodeNet(99).open() as late:
        async with NodeNet(51).open() as a, NodeNet(52).open() as b, NodeNet(53).open() as c:
            for one in (a, b, c):
                await one.connect(node.addresses()[0])
                await until(lambda one=one: any(view.peer == one.peer_id for view in node.peers()))
            with suppress(NetworkError):
                await late.connect(node.addresses()[0])
            await until(lambda: not late.peers_table.connections(node.peer_id))
            await until(lambda: len(node.peers()) == 3)
        await until(lambda: not node.peers())
        await late.connect(node.addresses()[0])
        assert await round_trip(late, node.peer_id) == b"hello"
