"""The costliest things that a neighbour can say in few bytes: no step of any task takes long, whatever they are."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.pb.kademlia_pb2 import Message as KadMessage
from libp2p.peer.id import ID
from libp2p.pubsub.pb.rpc_pb2 import RPC
from libp2p.utils import encode_varint_prefixed

from p2pnode.net import gossip
from p2pnode.net.gossipsub import rpc
from p2pnode.net.gossipsub.signing import sign
from p2pnode.net.network import Libp2pNetwork
from tests.support.loop_lag import AIM_S, loop_lag
from tests.support.net import NodeNet, link, networks, round_trip

pytestmark = [pytest.mark.trio, pytest.mark.network]

TOPIC = "t"
KAD = "/test/kad/1.0.0"
SAID_BEFORE = 300
BLOCKED_S = 2 * AIM_S
"""Of processor time; twice the aim, since a machine that does other things slows this one, too."""


def subscription(subscribe: bool) -> RPC.SubOpts:
    return RPC.SubOpts(subscribe=subscribe, topicid=TOPIC)


def many_messages() -> bytes:
    """Thousands of signed messages in one frame."""
    keys = create_new_key_pair(b"q" * 32)
    sender = ID.from_pubkey(keys.public_key).to_bytes()
    messages = [rpc.new_message(sender, n.to_bytes(8, "big"), TOPIC, b"%d" % n) for n in range(3000)]
    for message in messages:
        sign(message, keys.private_key)
    return bytes(encode_varint_prefixed(RPC(publish=messages).SerializeToString()))


def coming_and_going() -> bytes:
    together = RPC(subscriptions=[subscription(bool(n % 2)) for n in range(1000)])
    one_by_one = [RPC(subscriptions=[subscription(bool(n % 2))]) for n in range(2)]
    return bytes(
        encode_varint_prefixed(together.SerializeToString()) * 20
        + b"".join(encode_varint_prefixed(one.SerializeToString()) for one in one_by_one) * 20_000
    )


def grafts() -> bytes:
    said = RPC()
    for _ in range(3000):
        said.control.graft.add(topicID=TOPIC)
        said.control.prune.add(topicID=TOPIC, backoff=1)
    return bytes(encode_varint_prefixed(said.SerializeToString()) * 20)


def offers() -> bytes:
    said = RPC()
    ids = [hashlib.sha256(b"%d" % n).digest() for n in range(15_000)]
    said.control.ihave.add(topicID=TOPIC, messageIDs=ids)
    said.control.iwant.add(messageIDs=ids)
    return bytes(encode_varint_prefixed(said.SerializeToString()) * 10)


def contacts() -> bytes:
    """As many peers with as many addresses as one request may hold."""
    message = KadMessage(type="ADD_PROVIDER", key=b"\x12\x20" + bytes(32))
    for number in range(40):
        peer = message.providerPeers.add() if number % 2 else message.closerPeers.add()
        peer.id = b"\x12\x20" + hashlib.sha256(b"%d" % number).digest()
        peer.addrs.extend(b"\x36\x10name-%07d.org\x06%s" % (n, struct.pack(">H", n + 1)) for n in range(60))
    return bytes(encode_varint_prefixed(message.SerializeToString()) * 20)


SAID: dict[str, tuple[str, Callable[[], bytes]]] = {
    "many messages": (gossip.PROTOCOL, many_messages),
    "coming and going": (gossip.PROTOCOL, coming_and_going),
    "grafts": (gossip.PROTOCOL, grafts),
    "offers": (gossip.PROTOCOL, offers),
    "contacts": (KAD, contacts),
}


async def say(attacker: Libp2pNetwork, victim: Libp2pNetwork, protocol: str, data: bytes) -> None:
    with suppress(Exception), trio.move_on_after(3):
        stream = await attacker.open_stream(victim.peer_id, protocol)
        await stream.send_all(data)
        await trio.sleep(0.5)  # for the victim to read on


@pytest.mark.parametrize("name", SAID)
async def test_nothing_takes_long(name: str) -> None:
    protocol, make = SAID[name]
    data = make()
    async with networks(1) as (victim,), NodeNet(66).open() as attacker, NodeNet(67).open() as friend:
        await victim.join_topic(TOPIC, lambda forwarder, data: True, lambda forwarder, data: None)
        for number in range(SAID_BEFORE):
            await victim.publish(TOPIC, b"before %d" % number)
        for other in (attacker, friend):
            await link(other, victim)
        with loop_lag() as lag:
            await say(attacker, victim, protocol, data)
        print(name, lag.longest())
        assert not any(took > 1e3 * BLOCKED_S for took, _ in lag.longest()), lag.longest()
        assert await round_trip(friend, victim.peer_id) == b"hello"


@pytest.mark.parametrize("kind", [0, 1, 2])
async def test_frames_of_the_smallest_size(kind: int) -> None:
    """Data of one byte, credit, and pings, by the thousand in each Noise message."""
    frame = struct.pack("!BBHII", 0, kind, int(kind == 2), 0 if kind == 2 else 0xFFFFF1, 1) + b"x" * (kind == 0)
    async with networks(1) as (victim,), NodeNet(66).open() as attacker:
        await link(attacker, victim)
        secured = attacker.peers_table.connections(victim.peer_id)[0].muxed_conn.secured_conn
        with loop_lag() as lag, suppress(Exception), trio.move_on_after(2):
            while True:
                await secured.write(frame * 5000)
        print(kind, lag.longest())
        assert not any(took > 1e3 * BLOCKED_S for took, _ in lag.longest()), lag.longest()
