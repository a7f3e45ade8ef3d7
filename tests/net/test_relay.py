"""Relays: two nodes that listen nowhere meet through a third, within its limits; what is refused, what ends, what comes back."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, UsageError
from p2pnode.net.addresses import peer_id, to_id
from p2pnode.net.network import Libp2pNetwork
from p2pnode.net.relay.hop import Hop
from p2pnode.net.relay.messages import (
    HOP_PROTOCOL,
    STOP_PROTOCOL,
    HopKind,
    HopMessage,
    Limit,
    Reservation,
    Status,
    StopMessage,
    decode_hop,
    decode_stop,
    encode_hop,
    encode_stop,
)
from p2pnode.net.relay.places import Circuits, Places, RelayLimits, household
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import Stream
from tests.support.net import DEADLINE_S, ECHO, NodeNet, echo, round_trip, until, wait_connected

NOBODY = "12D3KooWPA6ax6t3jqTyGq73Zm1RmwppYqxaXzrtarfcTWGp5Wzx"

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


@pytest.mark.trio
@pytest.mark.network
async def test_two_nodes_that_listen_nowhere_meet_through_a_relay() -> None:
    async with relayed() as (relay, (left, right)):
        address = circuit_to(right)
        assert address == f"{relay.addresses()[0]}/p2p-circuit/p2p/{right.peer_id}"
        assert await left.connect(address) == right.peer_id
        await wait_connected(left, right.peer_id)
        await wait_connected(right, left.peer_id)
        assert relay.relaying.hop is not None and relay.relaying.hop.circuits in (1, 2)  # both may have called
        data = random.Random(1).randbytes(300 * KIB)
        assert await round_trip(left, right.peer_id, data) == data
        left.serve(ECHO, echo)
        assert await round_trip(right, left.peer_id, data) == data
        (view,) = [view for view in left.peers() if view.peer == right.peer_id]
        assert address in view.addresses
        assert not left.peers_table.is_connected_directly(right.peer_id)

        for one, other in ((left, right), (right, left)):
            await one.disconnect(other.peer_id)
        await until(lambda: relay.relaying.hop is not None and relay.relaying.hop.circuits == 0)
        assert relay.relaying.hop.places == 2


@pytest.mark.trio
@pytest.mark.network
async def test_who_was_there_before_hears_of_a_new_place() -> None:
    """Left and right never met; the relay tells right where left is, because left told the relay."""
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(NodeNet(1).open(relay_limits=RelayLimits()))
        left, right = [
            await stack.enter_async_context(hidden(number).open(bootstrap=relay.addresses())) for number in (2, 3)
        ]
        left.serve(ECHO, echo)
        await until(lambda: bool(left.relaying.relays and right.relaying.relays))  # asked without a setting
        here = circuit_to(left).removesuffix(f"/p2p/{left.peer_id}")
        await until(
            lambda: [here] == [a for c in relay.dht.table.closest(0) if c.peer == left.peer_id for a in c.addresses]
        )
        assert await round_trip(right, left.peer_id) == b"hello"
        assert not right.peers_table.is_connected_directly(left.peer_id)


@pytest.mark.trio
@pytest.mark.network
async def test_a_place_is_lost_with_the_relay_and_found_again() -> None:
    home = NodeNet(1)
    async with home.open() as relay:
        address = relay.addresses()[0]
    home.listen = [address.partition("/p2p/")[0]]
    async with hidden(2).open(relays=[address]) as node:
        for _ in range(2):
            async with home.open(relay_limits=RelayLimits()) as relay:
                await until(lambda: bool(node.relaying.relays))
                assert relay.relaying.hop is not None and relay.relaying.hop.places == 1
                assert circuit_to(node).startswith(address)
            await until(lambda: node.relaying.relays == [] and node.addresses() == [])


@pytest.mark.trio
@pytest.mark.network
async def test_a_place_is_renewed_before_it_ends() -> None:
    async with relayed(RelayLimits(reservation_s=2), count=1) as (relay, (node,)):
        assert relay.relaying.hop is not None
        granted = node.relaying._reservations._held[relay.peer_id]
        assert granted.ends_at - trio.current_time() > 50, "a place shorter than a minute is believed to be a minute"
        node.relaying._reservations._held[relay.peer_id] = replace(granted, renew_at=0.0)
        await until(lambda: node.relaying._reservations._held[relay.peer_id].renew_at > granted.renew_at)
        assert relay.relaying.hop.places == 1


@pytest.mark.trio
@pytest.mark.network
async def test_each_limit_refuses_in_words() -> None:
    few = RelayLimits(reservations=2, reservations_per_host=2, circuits_per_peer=1)
    async with relayed(few) as (relay, (left, right)), hidden(9).open(bootstrap=relay.addresses()) as late:
        await wait_connected(late, relay.peer_id)
        with pytest.raises(NetworkError, match="takes no more reservations"):
            await late.relaying._client.reserve(relay.peer_id, "")
        with pytest.raises(NetworkError, match="holds no place"):
            await left.relaying.connect(to_id(late.peer_id), f"{relay.addresses()[0]}/p2p-circuit")
        assert relay.relaying.hop is not None
        relay.relaying.hop._circuits.enter(PeerId(NOBODY), "", right.peer_id)  # unless they called each other already
        with pytest.raises(NetworkError, match="relays as much as it may"):
            await late.relaying.connect(to_id(right.peer_id), circuit_to(right).removesuffix(f"/p2p/{right.peer_id}"))
        with pytest.raises(NetworkError, match="leads nowhere"):
            await left.relaying.connect(to_id(relay.peer_id), f"{relay.addresses()[0]}/p2p-circuit")
        with pytest.raises(NetworkError, match="nothing listens"):
            await late.relaying.connect(to_id(right.peer_id), f"/ip4/127.0.0.1/tcp/1/p2p/{NOBODY}/p2p-circuit")
        with pytest.raises(UsageError):
            await late.connect(f"/p2p/{relay.peer_id}/p2p-circuit/p2p/{right.peer_id}")


@pytest.mark.parametrize("limits", [RelayLimits(circuit_bytes=200 * KIB), RelayLimits(circuit_s=1)])
@pytest.mark.trio
@pytest.mark.network
async def test_a_circuit_ends_at_its_limit_and_another_goes_on(limits: RelayLimits) -> None:
    async with relayed(limits) as (_relay, (left, right)):
        await left.connect(circuit_to(right))
        stream = await left.open_stream(right.peer_id, ECHO)
        (circuit,) = left.peers_table.connections(right.peer_id)
        with trio.fail_after(DEADLINE_S), pytest.raises(NetworkError):
            while True:
                await stream.send_all(bytes(1000))
                if not await stream.receive_some(1000):
                    break
        await until(
            lambda: circuit.is_closed
        )  # not until they are apart: whoever dials again at once is quicker than the news
        assert await round_trip(left, right.peer_id) == b"hello", "dialled again by the address book"


@pytest.mark.trio
@pytest.mark.network
async def test_nonsense_is_answered_counted_and_costs_points() -> None:
    async def say(protocol: str, data: bytes) -> bytes | None:
        stream = await liar.open_stream(relay.peer_id, protocol)
        with trio.fail_after(DEADLINE_S):
            await stream.send_all(data)
            answer = await receive_prefixed(stream, 4096)
            await stream.reset()
        return answer

    async with relayed(count=1) as (relay, (node,)), NodeNet(8).open() as liar:
        await liar.connect(relay.addresses()[0])
        for data, status in (
            (b"\x03\xff\xff\xff", Status.MALFORMED_MESSAGE),
            (encode_hop(HopMessage("CONNECT")), Status.MALFORMED_MESSAGE),
            (encode_hop(HopMessage("STATUS", status=Status.OK)), Status.UNEXPECTED_MESSAGE),
            (encode_hop(HopMessage("CONNECT", peer=liar.peer_id)), Status.NO_RESERVATION),
        ):
            answer = await say(HOP_PROTOCOL, data)
            assert answer is not None and decode_hop(answer).status == status
        called = encode_stop(StopMessage("CONNECT", peer=node.peer_id))
        answer = await say(STOP_PROTOCOL, called)  # it holds no place at us
        assert answer is not None and decode_stop(answer).status == Status.PERMISSION_DENIED
        for _ in range(100):
            with suppress(NetworkError):
                await say(HOP_PROTOCOL, b"\xff\xff\xff\xff\x0f")
        assert [ban.peer for ban in relay.banned()] == [liar.peer_id]
        assert relay.relaying.hop is not None and relay.relaying.hop.places == 1


@pytest.mark.trio
@pytest.mark.network
async def test_nobody_is_relayed_who_came_through_a_relay() -> None:
    """Right is a relay itself, but behind one: who comes to it through a circuit gets no place."""
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(NodeNet(1).open(relay_limits=RelayLimits()))
        right = await stack.enter_async_context(hidden(2).open(relays=relay.addresses()))
        await until(lambda: bool(right.relaying.relays))

        async def nobody(peer: PeerId, protocol: str) -> Stream:
            raise NetworkError("nobody is called here")

        hop = Hop(RelayLimits(), nobody, list, time.time)
        right.serve(HOP_PROTOCOL, hop.serve)  # type: ignore[arg-type]
        left = await stack.enter_async_context(hidden(3).open())
        await left.connect(circuit_to(right))
        stream = await left.open_stream(right.peer_id, HOP_PROTOCOL)
        await stream.send_all(encode_hop(HopMessage("RESERVE")))
        answer = await receive_prefixed(stream, 4096)
        assert answer is not None and decode_hop(answer).status == Status.PERMISSION_DENIED
        assert hop.places == 0
        with pytest.raises(NetworkError, match="no direct connection"):
            await left.relaying._client.reserve(right.peer_id, "")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    for decode in (decode_hop, decode_stop):
        try:
            decode(data)
        except DecodeError as error:
            assert error.message


PEERS = st.integers(0, 255).map(
    lambda number: peer_id(ID.from_pubkey(create_new_key_pair(bytes([number]) * 32).public_key))
)
LIMITS = st.builds(Limit, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))


@given(
    st.sampled_from(["RESERVE", "CONNECT", "STATUS"]),
    st.none() | PEERS,
    st.none() | st.builds(Reservation, st.integers(0, 2**63), st.just(("/ip4/192.0.2.7/tcp/4001",))),
    st.none() | LIMITS,
    st.none() | st.sampled_from(Status),
)
def test_messages_survive_the_wire(
    kind: HopKind, peer: PeerId | None, reservation: Reservation | None, limit: Limit | None, status: Status | None
) -> None:
    message = HopMessage(kind, peer, reservation, limit, status)
    wire = encode_hop(message)
    assert decode_hop(wire[1:] if wire[0] < 128 else wire[2:]) == message


def test_places_are_few_for_one_host_renewed_and_forgotten() -> None:
    places = Places(RelayLimits(reservations=3, reservations_per_host=2, reservation_s=100))
    a, b, c, d = (PeerId(name) for name in "abcd")
    assert places.reserve(a, "1", 0.0) == 100 and places.reserve(b, "1", 0.0) == 100
    assert places.reserve(c, "1", 0.0) is None and places.reserve(c, "2", 10.0) == 110
    assert places.reserve(d, "3", 10.0) is None and places.reserve(a, "1", 50.0) == 150
    assert [places.holds(peer, 105.0) for peer in (a, b, c, d)] == [True, False, True, False]
    assert places.reserve(d, "1", 105.0) == 205 and places.count(105.0) == 3
    places.drop(c)
    assert places.count(105.0) == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::3", "2001:db8:1:2::4", False),  # of documentation, and so of no customer
        ("2a01:4f8:1:2::3", "2a01:4f8:1:ffff::4", True),
        ("2a01:4f8:1:2::3", "2a01:4f8:2:2::3", False),
        ("fe80::1", "fe80::2", False),
        ("93.184.216.34", "93.184.216.35", False),
        ("", "", True),
    ],
)
def test_a_customer_of_ipv6_is_one_household_whatever_addresses_it_takes(one: str, other: str, same: bool) -> None:
    assert (household(one) == household(other)) is same


def test_circuits_are_counted_at_both_ends_and_per_host() -> None:
    circuits = Circuits(RelayLimits(circuits=4, circuits_per_peer=2, circuits_per_host=3))
    a, b, c, d = (PeerId(name) for name in "abcd")
    assert circuits.enter(a, "1", b) and circuits.enter(c, "1", b)
    assert not circuits.enter(d, "1", b) and circuits.enter(a, "1", d)
    assert not circuits.enter(c, "1", d) and not circuits.enter(d, "2", a)
    assert circuits.enter(c, "2", d) and not circuits.enter(PeerId("e"), "3", PeerId("f"))
    circuits.leave(a, "1", b)
    assert circuits.enter(PeerId("e"), "3", b) and circuits.open == 4
