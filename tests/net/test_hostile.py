"""Malformed input on every door of a node: it stays alive and answers.

Stock libp2p 0.8.1 ends at several of these (see test_mends); which ones does not matter here.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils import encode_varint_prefixed
from multiaddr import Multiaddr

from p2pnode.errors import NetworkError
from p2pnode.net.addresses import to_id
from p2pnode.net.network import Libp2pNetwork
from p2pnode.ports import Stream
from tests.support.net import NodeNet, echo, networks, round_trip, until, wait_connected

pytestmark = [pytest.mark.trio, pytest.mark.network]

TOPIC = "t"
MESHSUB = "/meshsub/1.1.0"

Attack = Callable[[Libp2pNetwork, Libp2pNetwork], Awaitable[None]]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


async def send(attacker: Libp2pNetwork, victim: Libp2pNetwork, protocol: str, data: bytes) -> None:
    stream = await attacker.open_stream(victim.peer_id, protocol)
    with trio.move_on_after(0.5), suppress(NetworkError):
        await stream.send_all(data)
        await stream.receive_some(100)


async def send_rpc(attacker: Libp2pNetwork, victim: Libp2pNetwork, rpc: Any) -> None:
    await send(attacker, victim, MESHSUB, encode_varint_prefixed(rpc.SerializeToString()))


def secured(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> Any:
    return attacker.peers_table.connections(victim.peer_id)[0].muxed_conn.secured_conn


async def cut(one: Libp2pNetwork, other: Libp2pNetwork) -> None:
    """End today's connections; the DHT may make new ones at any time."""
    old = other.peers_table.connections(one.peer_id)
    await one.disconnect(other.peer_id)
    await until(lambda: not any(connection in other.peers_table.connections(one.peer_id) for connection in old))


@attack
async def unknown_protocol(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    with pytest.raises(Exception, match="does not speak"):
        await attacker.open_stream(victim.peer_id, "/nope/1")


@attack
async def handler_raises(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    async def fail(stream: Stream) -> None:
        raise ValueError("a bug")

    victim.serve("/bad/1", fail)
    await send(attacker, victim, "/bad/1", b"x" * 10)


@attack
async def gossip_garbage(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    await send(attacker, victim, MESHSUB, encode_varint_prefixed(b"\xff" * 50))


@attack
async def gossip_endless_length(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    await send(attacker, victim, MESHSUB, b"\xff" * 20)


@attack
async def gossip_garbage_key(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    message = rpc_pb2.Message(
        data=b"d",
        topicIDs=[TOPIC],
        from_id=b"\x12\x20" + hashlib.sha256(b"k").digest(),
        seqno=b"1" * 8,
        key=b"\xff\xff\xff",
        signature=b"s",
    )
    await send_rpc(attacker, victim, rpc_pb2.RPC(publish=[message]))


@attack
async def gossip_empty_sender(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    message = rpc_pb2.Message(data=b"d", topicIDs=[TOPIC], from_id=b"", seqno=b"1" * 8, key=b"\xff", signature=b"s")
    await send_rpc(attacker, victim, rpc_pb2.RPC(publish=[message]))


@attack
async def gossip_that_the_validator_chokes_on(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    def choke(forwarder: object, data: bytes) -> bool:
        raise KeyError(data)

    await victim.join_topic(TOPIC, choke, lambda forwarder, data: None)
    key = attacker._host.get_private_key()
    message = rpc_pb2.Message(
        data=b"not json", topicIDs=[TOPIC], from_id=attacker._host.get_id().to_bytes(), seqno=b"12345678"
    )
    message.signature = key.sign(b"libp2p-pubsub:" + message.SerializeToString())
    await send_rpc(attacker, victim, rpc_pb2.RPC(publish=[message]))


@attack
async def gossip_prune_with_garbage(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    control = rpc_pb2.ControlMessage()
    prune = control.prune.add()
    prune.topicID, prune.backoff = TOPIC, 1
    peer = prune.peers.add()
    peer.peerID, peer.signedPeerRecord = b"\xff\xff", b"\xff" * 10
    await send_rpc(attacker, victim, rpc_pb2.RPC(control=control))


@attack
async def gossip_bad_ids(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    control = rpc_pb2.ControlMessage()
    have = control.ihave.add()
    have.topicID = TOPIC
    have.messageIDs.append(b"zz not hex")
    control.iwant.add().messageIDs.append(b"zz")
    control.graft.add().topicID = "nope"
    await send_rpc(attacker, victim, rpc_pb2.RPC(control=control))


@attack
async def gossip_too_large(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    await send(attacker, victim, MESHSUB, b"\x80\x80\x80\x80\x08" + b"x" * 1000)


@attack
async def gossip_ten_thousand_topics(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    rpc = rpc_pb2.RPC()
    for number in range(10_000):
        rpc.subscriptions.add(subscribe=True, topicid=f"topic {number}")
    await send_rpc(attacker, victim, rpc)
    assert len(victim.gossip.mesh._subscribers) < 1100


@attack
async def dht_garbage(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    await send(attacker, victim, "/test/kad/1.0.0", encode_varint_prefixed(b"\xff" * 50))


@attack
async def dht_long_key(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    from libp2p.kad_dht.pb.kademlia_pb2 import Message

    message = Message(type="FIND_NODE", key=b"k" * 5000)
    await send(attacker, victim, "/test/kad/1.0.0", encode_varint_prefixed(message.SerializeToString()))


@attack
async def identify_push_garbage(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    before = victim.peers_table.introduction(attacker.peer_id)
    for _ in range(3):  # the first is garbage, the others come too soon
        await send(attacker, victim, "/ipfs/id/push/1.0.0", encode_varint_prefixed(b"\xff" * 300))
    assert victim.peers_table.introduction(attacker.peer_id) == before


@attack
async def relay_garbage(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    for data in (b"\xff" * 50, encode_varint_prefixed(b"\xff" * 300), encode_varint_prefixed(b"")):
        await send(attacker, victim, "/libp2p/circuit/relay/0.2.0/stop", data)


@attack
async def identify_lies(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    async def lie(stream: Stream) -> None:
        await stream.send_all(encode_varint_prefixed(b"\xff" * 300))

    attacker.serve("/ipfs/id/1.0.0", lie)
    await cut(attacker, victim)
    await attacker.connect(victim.addresses()[0])
    await wait_connected(victim, attacker.peer_id)


@attack
async def ping_half_and_reset(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    stream = await attacker.open_stream(victim.peer_id, "/ipfs/ping/1.0.0")
    await stream.send_all(b"x" * 10)
    await stream.reset()


@attack
async def multistream_garbage(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    stream = await attacker._swarm.new_stream(to_id(victim.peer_id))
    await stream.write(b"\xff\xfe\xfd" * 30)
    await trio.sleep(0.2)
    await stream.reset()


@attack
async def multistream_not_utf8(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    stream = await attacker._swarm.new_stream(to_id(victim.peer_id))
    await stream.write(b"\x13/multistream/1.0.0\n\x05\xff\xfe\xfd\xff\n")
    await trio.sleep(0.2)
    await stream.reset()


@attack
async def yamux_garbage(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    await secured(attacker, victim).write(b"\xff" * 64)


@attack
async def yamux_unknown_stream_and_type(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    connection = secured(attacker, victim)
    for _ in range(3):
        await connection.write(struct.pack("!BBHII", 0, 0, 0, 999, 10) + b"x" * 10)
    await connection.write(struct.pack("!BBHII", 0, 9, 0, 0, 0))


@attack
async def yamux_huge_frame(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    await secured(attacker, victim).write(struct.pack("!BBHII", 0, 0, 1, 4001, 0xFFFFFFFF) + b"x" * 100)


@attack
async def yamux_thousand_streams(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    connection = secured(attacker, victim)
    for number in range(1000):
        await connection.write(struct.pack("!BBHII", 0, 1, 1, 10_001 + 2 * number, 0))


@attack
async def raw_bytes_on_the_port(attacker: Libp2pNetwork, victim: Libp2pNetwork) -> None:
    port = int(Multiaddr(victim.addresses()[0]).value_for_protocol("tcp"))
    for data in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x13/multistream/1.0.0\n\x07/noise\n" + b"\x00\x20" + b"\xff" * 32 + b"\x00\x00",
        b"\xff" * 200,
        b"\x13/multistream/1.0.0\n\x05\xff\xfe\xfd\xff\n",
        b"\x13/multistream/1.0.0\n\x11/plaintext/2.0.0\n\x20" + b"\xff" * 32,
        b"\x13/multistream/1.0.0\n\x0d/secio/1.0.0\n\x00\x00\x00\x10" + b"\xff" * 16,
        b"\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n" + b"\xff" * 100,
        b"",
    ):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(data)
        await trio.sleep(0.05)
        await stream.aclose()


@pytest.mark.parametrize("name", sorted(ATTACKS))
async def test_the_node_stays_alive(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    async with networks(1) as (victim,), NodeNet(66).open() as attacker, NodeNet(67).open() as friend:
        victim.serve("/test/echo/1", echo)
        await victim.join_topic(TOPIC, lambda forwarder, data: True, lambda forwarder, data: None)
        await attacker.connect(victim.addresses()[0])
        await wait_connected(victim, attacker.peer_id)
        await friend.connect(victim.addresses()[0])
        with trio.move_on_after(15):
            await ATTACKS[name](attacker, victim)
        await trio.sleep(0.2)
        assert await round_trip(friend, victim.peer_id) == b"hello"  # on the old connection
        await cut(friend, victim)
        assert await round_trip(friend, victim.peer_id) == b"hello"  # and on a new one
    assert "Traceback" not in capfd.readouterr().err


async def test_an_overrun_window_ends_the_connection_and_not_the_memory() -> None:
    """Mend 5: 300 MiB into an unread stream."""

    async def never_read(stream: Stream) -> None:
        await stream.send_all(b"!")
        await trio.sleep_forever()

    async with networks(2) as (victim, attacker):
        victim.serve("/test/unread/1", never_read)
        await attacker.connect(victim.addresses()[0])
        stream = await attacker.open_stream(victim.peer_id, "/test/unread/1")
        await stream.receive_some(1)
        connection = secured(attacker, victim)
        (inside,) = victim.peers_table.connections(attacker.peer_id)
        (outside,) = attacker.peers_table.connections(victim.peer_id)
        frame = struct.pack("!BBHII", 0, 0, 0, stream.raw.stream_id, 60_000) + b"x" * 60_000  # type: ignore[attr-defined]
        sent = 0
        with trio.move_on_after(20):
            try:
                while sent < 300 << 20 and not outside.is_closed:  # a closed socket swallows what is written
                    await connection.write(frame)
                    sent += len(frame)
            except Exception:
                pass
        assert sent < 16 << 20
        await until(lambda: inside.is_closed)
