"""What follows from being reached or not, between real hosts on loopback: DHT server or client, relay or none, bytes counted."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio

from p2pnode.core.ids import PeerId
from p2pnode.net.nat.dialback_messages import PROTOCOL
from p2pnode.net.nat.outside import Wishes
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.relay.messages import HOP_PROTOCOL
from tests.support.net import ECHO, NodeNet, echo, link, networks, round_trip, until

pytestmark = [pytest.mark.trio, pytest.mark.network]

KAD = "/test/kad/1.0.0"


def told(network: Libp2pNetwork, address: str) -> None:
    """Three peers reached it there, or, if that is "", did not."""
    for number in range(3):
        network.outside.asking.of[4]._voices.heard(f"range {number}", address, trio.current_time())
    network.standing.settle()
    network._push.changed()


def protocols(network: Libp2pNetwork, peer: PeerId) -> tuple[str, ...]:
    """What a peer says that it speaks."""
    introduction = network.peers_table.introduction(peer)
    return introduction.protocols if introduction else ()


async def test_who_is_not_reached_only_asks_the_dht_until_it_is() -> None:
    async with networks(2) as (other, one):
        await link(one, other)
        await until(lambda: one.peer_id in other.dht.table)
        assert PROTOCOL in protocols(other, one.peer_id)
        told(one, "")
        assert not one.reach().dht_server
        await until(lambda: KAD not in protocols(other, one.peer_id))
        await until(lambda: one.peer_id not in other.dht.table)
        assert other.peer_id in one.dht.table
        assert await one.provide(bytes(32)) == 1  # it still tells and asks
        told(one, "/ip4/9.9.9.9/tcp/4001")
        assert one.reach().dht_server
        await until(lambda: one.peer_id in other.dht.table)


async def test_who_is_reached_relays_for_others_unless_its_owner_says_no() -> None:
    async with networks(2) as (other, unwilling):
        await link(other, unwilling)
        told(unwilling, "/ip4/9.9.9.9/tcp/4001")
        assert not unwilling.reach().is_relay
        unwilling.outside.wishes = Wishes(relay_when_public=True)
        told(unwilling, "/ip4/9.9.9.9/tcp/4001")
        assert unwilling.reach().is_relay
        await until(lambda: HOP_PROTOCOL in protocols(other, unwilling.peer_id))
        told(unwilling, "")
        assert not unwilling.reach().is_relay
        await until(lambda: HOP_PROTOCOL not in protocols(other, unwilling.peer_id))


async def test_a_relay_counts_what_it_carries_and_a_reached_guest_leaves() -> None:
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(NodeNet(41, network="test").open())
        relay.outside.wishes = Wishes(relay_when_public=True)
        told(relay, "/ip4/9.9.9.9/tcp/4001")
        guest = await stack.enter_async_context(NodeNet(42, network="test", listen=()).open())
        caller = await stack.enter_async_context(NodeNet(43, network="test", listen=()).open())
        guest.serve(ECHO, echo)
        relay_address = next(address for address in relay.addresses() if "/127.0.0.1/" in address)
        for node in (guest, caller):
            await node.connect(relay_address)
        await until(lambda: guest.reach().relays == (relay.peer_id,))
        await caller.connect(f"{relay_address}/p2p-circuit/p2p/{guest.peer_id}")
        assert await round_trip(caller, guest.peer_id, b"x" * 100_000) == b"x" * 100_000
        assert relay.reach().circuits >= 1
        assert relay.reach().relayed_bytes > 200_000
        told(guest, "/ip4/9.9.9.8/tcp/4001")
        assert guest.reach().relays == ()
        assert not any("p2p-circuit" in address for address in guest.addresses())
