"""Somebody opens connections and says nothing on them: others still come in."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from multiaddr import Multiaddr

from p2pnode.errors import NetworkError
from p2pnode.net import places
from p2pnode.net.addresses import peer_id
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


async def test_who_is_of_no_use_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """All places are taken: a newcomer is refused while everybody had too little time to be useful, and then takes one's place."""
    monkeypatch.setattr(places, "MAX_INBOUND", 3)
    async with networks(1) as (node,), NodeNet(99).open() as late:  # noqa: SIM117
        async with NodeNet(51).open() as a, NodeNet(52).open() as b, NodeNet(53).open() as c:
            for one in (a, b, c):
                await one.connect(node.addresses()[0])
                await until(lambda one=one: any(view.peer == one.peer_id for view in node.peers()))
            judged = {a.peer_id: places.MEMBER, b.peer_id: places.USELESS, c.peer_id: places.IN_USE}
            monkeypatch.setattr(
                node._swarm._places, "judge", lambda: lambda peer: judged.get(peer_id(peer), places.USELESS)
            )
            with suppress(NetworkError):
                await late.connect(node.addresses()[0])
            await until(lambda: not late.peers_table.connections(node.peer_id))
            assert {view.peer for view in node.peers()} == {a.peer_id, b.peer_id, c.peer_id}
            monkeypatch.setattr(places, "SETTLED_S", 0.0)
            await late.connect(node.addresses()[0])
            await until(lambda: any(view.peer == late.peer_id for view in node.peers()))
            await until(lambda: all(view.peer != b.peer_id for view in node.peers()))
            assert {a.peer_id, c.peer_id} <= {view.peer for view in node.peers()}
            assert await round_trip(late, node.peer_id) == b"hello"
