"""Relays: two nodes that listen nowhere meet through a third, within its limits; what is refused, what ends, what comes back."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.relay.places import RelayLimits
from tests.support.net import ECHO, NodeNet, echo, round_trip, until, wait_connected

pytestmark = [pytest.mark.trio, pytest.mark.network]

KIB = 1 << 10


def hidden(number: int, *, network: str = "test") -> NodeNet:
    """A node that nobody can dial: it listens nowhere."""
    return NodeNet(number, network=network, listen=())


@asynccontextmanager
async def relayed(
    limits: RelayLimits | None = None, *, count: int = 2
) -> AsyncIterator[tuple[Libp2pNetwork, list[Libp2pNetwork]]]:
    """A relay, and nodes that nobody can dial: each connected to it, each with a place at it."""
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(NodeNet(1).open(relay_limits=limits or RelayLimits()))
        nodes = []
        for number in range(2, 2 + count):
            node = await stack.enter_async_context(hidden(number).open(relays=relay.addresses()))
            node.serve(ECHO, echo)
            nodes.append(node)
        for node in nodes:
            await until(partial(_holds_a_place, node, relay))
        yield relay, nodes


def _holds_a_place(node: Libp2pNetwork, relay: Libp2pNetwork) -> bool:
    return relay.peer_id in node.relaying.relays


def circuit_to(node: Libp2pNetwork) -> str:
    return next(address for address in node.addresses() if "/p2p-circuit/" in address)


async def test_two_nodes_that_listen_nowhere_meet_through_a_relay() -> None:
    async with relayed() as (relay, (left, right)):
        address = circuit_to(right)
        assert address == f"{relay.addresses()[0]}/p2p-circuit/p2p/{right.peer_id}"
        assert await left.connect(address) == right.peer_id
        await wait_connected(left, right.peer_id)
        await wait_connected(right, left.peer_id)
        assert relay.relaying.hop is not None and relay.relaying.hop.circuits == 1
        data = random.Random(1).randbytes(300 * KIB)
        assert await round_trip(left, right.peer_id, data) == data
        left.serve(ECHO, echo)
        assert await round_trip(right, left.peer_id, data) == data
        (view,) = [view for view in left.peers() if view.peer == right.peer_id]
        assert view.addresses[0] == address and view.direction == "outbound"
        assert not left.peers_table.is_connected_directly(right.peer_id)

        await left.disconnect(right.peer_id)
        await until(lambda: relay.relaying.hop is not None and relay.relaying.hop.circuits == 0)
        assert relay.relaying.hop.places == 2
