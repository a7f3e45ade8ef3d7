"""Each defect of libp2p 0.8.1 as a small scenario with one outcome, run in a process of its own: on the stock library
(`python -m tests.support.net_defects stock`) or on ours (`... ours`). Prints one JSON object: scenario -> outcome.

The scenarios drive libp2p directly, so that both runs do the same; `Node` hides only how a host is made and connected.
"""

from __future__ import annotations

import json
import logging
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils import encode_varint_prefixed
from multiaddr import Multiaddr

STOCK = "stock" in sys.argv[1:]
A = "/ip4/127.0.0.1/tcp/0"
KEY = b"\x12\x20" + b"k" * 32
Outcome = Any
SCENARIOS: dict[str, Callable[[], Awaitable[Outcome]]] = {}
if not STOCK:
    from p2pnode.net.gossip import message_id
    from p2pnode.net.hardening import harden
    from tests.support.net import NodeNet, until

    harden()


def scenario(function: Callable[[], Awaitable[Outcome]]) -> Callable[[], Awaitable[Outcome]]:
    SCENARIOS[function.__name__] = function
    return function


class Node:
    """One running host, stock or ours."""

    def __init__(self, host: Any, network: Any = None) -> None:
        self.host = host
        self.network = network
        self.swarm = host.get_network()
        self.id = host.get_id()

    @property
    def where(self) -> Multiaddr:
        return Multiaddr(str(self.host.get_addrs()[0]).partition("/p2p/")[0])

    async def connect(self, other: Node) -> None:
        if STOCK:
            await self.host.connect(PeerInfo(other.id, [other.where]))
        else:
            await self.network.connect(f"{other.where}/p2p/{other.id}")

    def connection(self, other: Node) -> Any:
        return self.swarm.get_connections(other.id)[0].muxed_conn


def tcp_of(connection: Any) -> Any:
    """The socket under a muxed connection."""
    secured = connection.secured_conn
    return secured.conn.read_writer.read_write_closer.stream.stream.socket if STOCK else secured.conn.stream._socket


@asynccontextmanager
async def node(number: int, **options: Any) -> AsyncIterator[Node]:
    if STOCK:
        quiet = ConnectionConfig(min_connections=0, low_watermark=0)
        keys = create_new_key_pair(bytes([number]) * 32)
        host = new_host(key_pair=keys, listen_addrs=[Multiaddr(A)], connection_config=quiet, **options)
        async with host.run([Multiaddr(A)]):
            yield Node(host)
            await host.close()
    else:
        async with NodeNet(number).open() as network:
            yield Node(network._host, network)


async def echo(stream: Any) -> None:
    with suppress(Exception):
        await stream.write(await stream.read(100))
        await stream.close()


async def lives(victim: Node, attack: Callable[[Node, Node], Awaitable[None]]) -> str:
    """Does the victim still answer after the attack?"""
    victim.host.set_stream_handler("/echo/1", echo)
    async with node(90) as attacker, node(91) as friend:
        await attacker.connect(victim)
        with suppress(Exception), trio.move_on_after(5):
            await attack(attacker, victim)
        await trio.sleep(0.3)
        try:
            with trio.fail_after(5):
                await friend.connect(victim)
                stream = await friend.host.new_stream(victim.id, ["/echo/1"])
                await stream.write(b"hi")
                return "alive" if await stream.read(2) == b"hi" else "dead"
        except Exception:
            return "dead"


async def outcome_of_attack(attack: Callable[[Node, Node], Awaitable[None]], *, gossip: bool = False) -> str:
    result = ["dead"]
    try:
        async with node(1) as victim:
            if gossip and STOCK:
                router = GossipSub([PROTOCOL_ID_V11], 6, 4, 12, heartbeat_interval=1)
                pubsub = Pubsub(victim.host, router)
                async with background_trio_service(pubsub), background_trio_service(router):
                    await pubsub.wait_until_ready()
                    await pubsub.subscribe("t")
                    result[0] = await lives(victim, attack)
            else:
                if gossip:
                    await victim.network.join_topic("t", lambda *_: True, lambda *_: None)
                result[0] = await lives(victim, attack)
    except BaseException as error:
        if not isinstance(error, Exception):
            raise
        result[0] = "dead"  # the host ended, and its nursery with it
    return result[0]


async def write_to(attacker: Node, victim: Node, protocol: str, data: bytes) -> None:
    stream = await attacker.host.new_stream(victim.id, [protocol])
    await stream.write(data)


@scenario
async def inbound_slots_come_back() -> int:
    """Mend 1: of 8 connections one after the other, how many work when 3 may be open at once."""
    worked = 0
    async with node(1) as victim:
        victim.swarm._inbound_limiter = trio.CapacityLimiter(3)
        victim.host.set_stream_handler("/echo/1", echo)
        for number in range(8):
            async with node(10 + number) as guest:
                with suppress(Exception), trio.move_on_after(2):
                    await guest.connect(victim)
                    stream = await guest.host.new_stream(victim.id, ["/echo/1"])
                    await stream.write(b"x")
                    worked += await stream.read(1) == b"x"
            await trio.sleep(0.3)
    return worked


@scenario
async def plaintext_is_offered() -> bool:
    """Mend 2."""
    async with node(1) as victim:
        stream = await trio.open_tcp_stream("127.0.0.1", int(victim.where.value_for_protocol("tcp")))
        await stream.send_all(b"\x13/multistream/1.0.0\n\x11/plaintext/2.0.0\n")
        answer = b""
        with trio.move_on_after(1):
            while b"plaintext" not in answer and b"na\n" not in answer:
                data = await stream.receive_some()
                if not data:
                    break
                answer += data
        await stream.aclose()
        return b"plaintext" in answer


@scenario
async def a_failing_handler() -> str:
    """Mend 3."""

    async def attack(attacker: Node, victim: Node) -> None:
        async def fail(stream: Any) -> None:
            raise ValueError("a bug")

        victim.host.set_stream_handler("/bad/1", fail)
        await write_to(attacker, victim, "/bad/1", b"x")

    return await outcome_of_attack(attack)


@scenario
async def a_multistream_string_that_is_not_utf8() -> str:
    """Mend 3."""

    async def attack(attacker: Node, victim: Node) -> None:
        stream = await attacker.swarm.new_stream(victim.id)
        await stream.write(b"\x13/multistream/1.0.0\n\x05\xff\xfe\xfd\xff\n")
        await trio.sleep(0.3)

    return await outcome_of_attack(attack)


@scenario
async def a_gossip_frame_of_garbage() -> str:
    """Mend 3."""

    async def attack(attacker: Node, victim: Node) -> None:
        await write_to(attacker, victim, PROTOCOL_ID_V11, encode_varint_prefixed(b"\xff" * 50))
        await trio.sleep(0.3)

    return await outcome_of_attack(attack, gossip=True)


@scenario
async def a_gossip_message_with_a_garbage_key() -> str:
    """Mend 3."""

    async def attack(attacker: Node, victim: Node) -> None:
        sender = b"\x12\x20" + b"s" * 32
        message = rpc_pb2.Message(
            data=b"d", topicIDs=["t"], from_id=sender, seqno=b"1" * 8, key=b"\xff", signature=b"s"
        )
        rpc = rpc_pb2.RPC(publish=[message])
        await write_to(attacker, victim, PROTOCOL_ID_V11, encode_varint_prefixed(rpc.SerializeToString()))
        await trio.sleep(0.3)

    return await outcome_of_attack(attack, gossip=True)


@scenario
async def own_key_after_1200_peers() -> bool:
    """Mend 4: can the node still sign?"""
    async with node(1) as one:
        store = one.host.get_peerstore()
        for number in range(1200):
            store.add_addrs(ID(b"\x12\x20" + number.to_bytes(32, "big")), [Multiaddr("/ip4/192.0.2.1/tcp/1")], 3600)
            store._enforce_peer_limit()
        try:
            one.host.get_private_key()
        except Exception:
            return False
        return True


@scenario
async def bytes_taken_beyond_the_window() -> int:
    """Mend 5: MiB that a peer may send into a stream nobody reads (32 are tried)."""
    stored = 0
    async with node(1) as victim, node(2) as attacker:

        async def never_read(stream: Any) -> None:
            await trio.sleep_forever()

        victim.host.set_stream_handler("/unread/1", never_read)
        await attacker.connect(victim)
        stream = await attacker.host.new_stream(victim.id, ["/unread/1"])
        header = struct.pack("!BBHII", 0, 0, 0, stream.muxed_stream.stream_id, 1 << 16)
        inside = victim.connection(attacker)
        with suppress(Exception), trio.move_on_after(10):
            for _ in range(512):
                await attacker.connection(victim).secured_conn.write(header + b"x" * (1 << 16))
            await trio.sleep(0.5)
        if STOCK:
            stored = sum(len(buffer) for buffer in inside.stream_buffers.values())
        else:
            stored = sum(each.received.size for each in inside.streams.values())
    return stored >> 20


@scenario
async def a_reader_that_pauses_six_seconds() -> str:
    """Mend 6: does the writer survive it?"""
    outcome = ["broken"]
    async with node(1) as reader, node(2) as writer:

        async def read_late(stream: Any) -> None:
            await trio.sleep(6)
            with suppress(Exception):
                while await stream.read(1 << 16):
                    pass

        reader.host.set_stream_handler("/late/1", read_late)
        await writer.connect(reader)
        stream = await writer.host.new_stream(reader.id, ["/late/1"])
        with suppress(Exception), trio.move_on_after(12):
            await stream.write(b"x" * (40 << 20))  # the window grows to 16 MiB at most
            outcome[0] = "written"
    return outcome[0]


@scenario
async def a_lost_connection_looks_like() -> str:
    """Mend 7."""
    async with node(1) as talker, node(2) as reader:

        async def talk(stream: Any) -> None:
            await stream.write(b"half of it")
            await trio.sleep_forever()

        talker.host.set_stream_handler("/talk/1", talk)
        await reader.connect(talker)
        stream = await reader.host.new_stream(talker.id, ["/talk/1"])
        await stream.muxed_stream.read(10)
        tcp_of(talker.connection(reader)).close()
        try:
            with trio.fail_after(5):
                await stream.muxed_stream.read(10)
        except Exception as error:
            return "end" if type(error).__name__ == "MuxedStreamEOF" else "error"
        return "data"


@scenario
async def a_reset_on_arrival_looks_like() -> str:
    """Mend 7: our own side closing the connection under a reader."""
    async with node(1) as talker, node(2) as reader:

        async def talk(stream: Any) -> None:
            await stream.write(b"half of it")
            await trio.sleep_forever()

        talker.host.set_stream_handler("/talk/1", talk)
        await reader.connect(talker)
        stream = await reader.host.new_stream(talker.id, ["/talk/1"])
        await stream.muxed_stream.read(10)
        seen: list[str] = []

        async def read() -> None:
            try:
                await stream.muxed_stream.read(10)
            except Exception as error:
                seen.append("end" if type(error).__name__ == "MuxedStreamEOF" else "error")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(0.1)
            nursery.start_soon(reader.connection(talker).close)
        return seen[0]


@scenario
async def connections_closed_at_once() -> int:
    """Mend 8: the most that close together when a node with 5 peers ends."""
    from libp2p.network.connection.swarm_connection import SwarmConn

    close, running, most = SwarmConn.close, [0], [0]

    async def counted(self: Any) -> None:
        counts = not self.is_closed and self.swarm is hub.swarm
        running[0] += counts
        most[0] = max(most[0], running[0])
        await close(self)
        running[0] -= counts

    async with node(20) as a, node(21) as b, node(22) as c, node(23) as d, node(24) as e, node(1) as hub:
        for other in (a, b, c, d, e):
            await other.connect(hub)
        SwarmConn.close = counted
    SwarmConn.close = close
    return most[0]


@scenario
async def dead_address_before_a_good_one() -> str:
    """Mend 9."""
    import socket

    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        bad = Multiaddr(f"/ip4/127.0.0.1/tcp/{dead.getsockname()[1]}")
        async with node(1) as target, node(2) as caller:
            try:
                with trio.fail_after(5):
                    if STOCK:
                        await caller.host.connect(PeerInfo(target.id, [bad, target.where]))
                    else:
                        from p2pnode.net.dial import dial

                        await dial(caller.swarm, target.id, [str(bad), str(target.where)])
            except Exception:
                return "failed"
            return "connected"


@scenario
async def dht_protocol() -> list[str]:
    """Mend 10: the DHT protocols of a network called `test`, as the wire has them."""
    async with node(1) as one:
        if STOCK:
            KadDHT(one.host, DHTMode.SERVER, protocol_prefix="/test")
        return sorted(str(p) for p in one.host.multiselect.handlers if "/kad/" in str(p))


@scenario
async def provider_records_kept_of_15() -> int:
    """Mend 11: told by one peer within a second."""
    async with node(1) as server, node(2) as client:
        if not STOCK:
            await client.connect(server)
            await until(lambda: server.network.peer_id in client.network.dht.table)
            return sum([await client.network.provide(bytes([n]) * 32) for n in range(15)])
        there, here = KadDHT(server.host, DHTMode.SERVER), KadDHT(client.host, DHTMode.SERVER)
        async with background_trio_service(there), background_trio_service(here):
            await client.connect(server)
            await here.routing_table.add_peer(PeerInfo(server.id, [server.where]))
            for n in range(15):
                await here.provider_store.provide(b"\x12\x20" + bytes([n]) * 32)
            await trio.sleep(0.5)
            return there.provider_store.size()


@scenario
async def gossip_delivered_of_200() -> int:
    """Mend 12: published at once."""
    count = [0]
    async with node(1) as one, node(2) as two:
        if not STOCK:

            def deliver(forwarder: str, data: bytes) -> None:
                count[0] += 1

            await two.network.join_topic("t", lambda *_: True, deliver)
            await one.network.join_topic("t", lambda *_: True, lambda *_: None)
            await one.connect(two)
            await until(lambda: two.network.peer_id in one.network.gossip.neighbours("t"))
            for n in range(200):
                await one.network.publish("t", b"%d" % n)
            await trio.sleep(2)
            return count[0]
        sides = []
        for each in (one, two):
            router = GossipSub([PROTOCOL_ID_V11], 6, 4, 12, heartbeat_interval=1)
            sides.append((Pubsub(each.host, router), router))
        (first, first_router), (second, second_router) = sides
        async with (
            background_trio_service(first),
            background_trio_service(first_router),
            background_trio_service(second),
            background_trio_service(second_router),
        ):
            await first.subscribe("t")
            inbox = await second.subscribe("t")
            await one.connect(two)
            await first.wait_for_subscription(two.id, "t")
            await trio.sleep(1.5)
            for n in range(200):
                await first.publish("t", b"%d" % n)
            with trio.move_on_after(2):
                while True:
                    await inbox.get()
                    count[0] += 1
    return count[0]


@scenario
async def validator_asked_again_after_a_refusal() -> bool:
    """Mend 13."""
    asked = [0]
    async with node(1) as one, node(2) as two:

        def refuse(*_: Any) -> bool:
            asked[0] += 1
            return False

        if STOCK:
            router = GossipSub([PROTOCOL_ID_V11], 6, 4, 12, heartbeat_interval=1)
            pubsub = Pubsub(one.host, router)
            pubsub.set_topic_validator("t", refuse, False)
        else:
            await one.network.join_topic("t", refuse, lambda *_: None)
        message = rpc_pb2.Message(data=b"d", topicIDs=["t"], from_id=two.id.to_bytes(), seqno=b"12345678")
        message.signature = two.host.get_private_key().sign(b"libp2p-pubsub:" + message.SerializeToString())
        if STOCK:
            await pubsub.push_msg(two.id, message)
            await pubsub.push_msg(two.id, message)
        else:
            await two.connect(one)
            frame = encode_varint_prefixed(rpc_pb2.RPC(publish=[message]).SerializeToString())
            await write_to(two, one, PROTOCOL_ID_V11, frame * 2)
            await until(lambda: asked[0] == 2)
    return asked[0] == 2


@scenario
async def address_kept_after_connecting() -> bool:
    """Mend 14: known for a day, then connected: known 23 hours later?"""
    async with node(1) as one, node(2) as two:
        if STOCK:
            store = two.host.get_peerstore()
            store.add_addrs(one.id, [one.where], 86400)
            await two.connect(one)
            return bool(store.peer_data_map[one.id].get_ttl() >= 23 * 3600)
        await two.connect(one)
        real = time.time
        time.time = lambda: real() + 23 * 3600
        try:
            return bool(await two.network._book.addresses(one.network.peer_id))
        finally:
            time.time = real


@scenario
async def another_muxer_is_used() -> bool:
    """Mend 15: given as an option on the stock library, put in its place on ours."""
    from libp2p.stream_muxer import muxer_multistream

    Yamux = muxer_multistream.Yamux

    class Mine(Yamux):  # type: ignore[misc,valid-type]
        pass

    if STOCK:
        options = {"muxer_opt": {"/yamux/1.0.0": Mine}}
    else:
        muxer_multistream.Yamux, options = Mine, {}
    try:
        async with node(1, **options) as one, node(2, **options) as two:
            await two.connect(one)
            return isinstance(two.connection(one), Mine)
    finally:
        muxer_multistream.Yamux = Yamux


@scenario
async def opening_streams_without_end() -> str:
    """Mend 16: 300 streams held open to a peer that holds them too."""
    async with node(1) as one, node(2) as two:

        async def hold(stream: Any) -> None:
            await trio.sleep_forever()

        one.swarm.set_stream_handler(hold)  # below every limit of ours: a peer that takes them all
        await two.connect(one)
        held = []
        with trio.move_on_after(8) as patience:
            with trio.move_on_after(4):
                while True:
                    held.append(await two.swarm.new_stream(one.id))
            try:
                if STOCK:
                    await two.swarm.new_stream(one.id)
                else:
                    await two.network.open_stream(one.network.peer_id, "/echo/1", timeout_s=1)
            except Exception as error:
                return type(error).__name__
        return "waits for ever" if patience.cancelled_caught else "opened"


@scenario
async def the_remote_key_is_its_identity() -> bool:
    """Mend 17."""
    async with node(1) as one, node(2) as two:
        await two.connect(one)
        if STOCK:
            key = two.connection(one).secured_conn.get_remote_public_key().to_bytes()
        else:
            from p2pnode.net.addresses import public_key_of

            key = public_key_of(one.network.peer_id)
        return bool(key == one.host.get_public_key().to_bytes())


@scenario
async def mdns_starts_on_the_loop() -> bool:
    """Mend 19: registering waits more than a second for answers; on which thread?"""
    threads: list[int] = []

    class Recorder:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def register_service(self, *_: Any, **__: Any) -> None:
            threads.append(threading.get_ident())

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: None

    if STOCK:
        from libp2p.discovery.mdns import broadcaster, mdns

        mdns.Zeroconf = Recorder
        mdns.PeerListener = Recorder
        broadcaster.Zeroconf = Recorder
        with suppress(Exception):
            async with node(1, enable_mDNS=True):
                pass
    else:
        from p2pnode.net import lan

        lan.CountedZeroconf = lan.ServiceBrowser = Recorder  # type: ignore[misc]
        async with trio.open_nursery() as nursery:
            announce = lan.Lan("test", "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5", list, print)  # type: ignore[arg-type]
            nursery.start_soon(announce.run)
            await until(lambda: bool(threads))
            nursery.cancel_scope.cancel()
    return threads[0] == threading.get_ident()


@scenario
async def two_nodes_on_one_port() -> bool:
    async with node(1) as one:
        second = Multiaddr(str(one.where))
        async with node(2) as two:
            return bool(await two.swarm.listen(second))


@scenario
async def a_connection_after_a_cancelled_write() -> str:
    """A write is cancelled in the middle of a frame: is the connection good for another stream?"""
    async with node(1) as one, node(2) as two:
        one.host.set_stream_handler("/echo/1", echo)
        await two.connect(one)
        secured = two.connection(one).secured_conn
        wire = secured.conn.read_writer.read_write_closer.stream if STOCK else secured.conn.stream
        write, halfway = wire.write, trio.Event()

        async def send_slowly(data: bytes) -> None:  # a full socket buffer, in slow motion
            view, middle = memoryview(data), len(data) // 2 if len(data) > 900 else 0
            await write(view[:middle])
            if middle:
                halfway.set()
                await trio.sleep(0.2)
            await write(view[middle:])

        stream = await two.swarm.new_stream(one.id)
        wire.write = send_slowly
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, b"x" * 1000)
            await halfway.wait()
            nursery.cancel_scope.cancel()
        wire.write = write
        try:
            with trio.fail_after(4):
                other = await two.host.new_stream(one.id, ["/echo/1"])
                await other.write(b"hi")
                return "works" if await other.read(2) == b"hi" else "broken"
        except Exception:
            return "broken"


@scenario
async def a_silent_peer_after_a_while() -> str:
    """It says nothing any more: still connected after what is a minute and a half (a second here)?"""
    from libp2p.stream_muxer.yamux import yamux

    async with node(1) as one, node(2) as two:
        yamux.RTT_MEASURE_INTERVAL = 0.05
        if not STOCK:
            from p2pnode.net.yamux import connection as ours
            from p2pnode.net.yamux import engine

            ours.TICK_S, engine.PING_EVERY_S, engine.SILENCE_S = 0.05, 0.1, 0.2  # type: ignore[misc]
            engine.QUIET_DIALLER_S = engine.QUIET_S = 0.1  # type: ignore[misc]
        await two.connect(one)

        async def swallow(data: bytes) -> None:
            await trio.lowlevel.checkpoint()

        one.connection(two).secured_conn.write = swallow
        connection = two.connection(one)
        with trio.move_on_after(2.5):
            await connection.event_closed.wait()
        return "dropped" if connection.is_closed else "connected"


@scenario
async def handlers_on_the_root_logger() -> int:
    logging.getLogger().handlers.clear()
    async with node(1) as one, node(2) as two:
        await two.connect(one)
        return len(logging.getLogger().handlers)


@scenario
async def gossip_cache_knows_our_message_ids() -> bool:
    """IHAVE offers what the cache lists; with other ids than `seen` uses, every neighbour asks for everything again."""
    async with node(1) as one:
        if STOCK:
            router = GossipSub([PROTOCOL_ID_V11], 6, 4, 12, heartbeat_interval=1)
            pubsub = Pubsub(one.host, router, msg_id_constructor=lambda message: b"id of " + message.data)
        else:
            await one.network.publish("t", b"d")
            return one.network.gossip.mesh.cache.offered("t") == [message_id(b"d")]
        message = rpc_pb2.Message(data=b"d", topicIDs=["t"], from_id=one.id.to_bytes(), seqno=b"12345678")
        router.mcache.put(message)
        return bool(router.mcache.window("t") == [pubsub.get_message_id(message)])


@scenario
async def bytes_after_a_cancelled_read() -> str:
    """A read is cancelled while the wire takes no bytes, and so no window update either: what does the next read see?"""
    async with node(1) as one, node(2) as two:

        async def talk(stream: Any) -> None:
            await stream.write(b"x" * 200_000)
            await trio.sleep_forever()

        one.host.set_stream_handler("/talk/1", talk)
        await two.connect(one)
        stream = await two.host.new_stream(one.id, ["/talk/1"])
        connection, parts = two.connection(one), []

        async def hold(data: bytes) -> None:
            await trio.sleep_forever()

        def received() -> int:
            if STOCK:
                return len(connection.stream_buffers[stream.muxed_stream.stream_id])
            return int(stream.muxed_stream.received.size)

        while received() < 200_000:  # noqa: ASYNC110
            await trio.sleep(0.01)
        write, connection.secured_conn.write = connection.secured_conn.write, hold
        with trio.move_on_after(0.2):
            while sum(map(len, parts)) < 150_000:
                parts.append(await stream.muxed_stream.read(150_000))
        connection.secured_conn.write = write
        with trio.move_on_after(1):
            while sum(map(len, parts)) < 200_000:
                parts.append(await stream.muxed_stream.read(200_000))
        return "whole" if sum(map(len, parts)) == 200_000 else "lost"


async def run_one(name: str) -> Outcome:
    try:
        with trio.fail_after(45):
            return await SCENARIOS[name]()
    except BaseExceptionGroup as group:
        return f"failed: {group.exceptions[0]!r}"
    except Exception as error:
        return f"failed: {error!r}"


def main() -> None:
    chosen = [name for name in sys.argv[2:] if name in SCENARIOS] or list(SCENARIOS)
    logging.disable(logging.CRITICAL)
    outcomes = {}
    for name in chosen:
        outcomes[name] = trio.run(run_one, name)
        print(name, outcomes[name], file=sys.stderr)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
