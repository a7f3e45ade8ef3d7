"""Building a libp2p host that can be exposed: Noise and Yamux over TCP and nothing else, limits on everything, nothing that
a peer sends able to end it; and closing it, whole and quickly.

Called by `net.network`.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.host.basic_host import BasicHost
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.tools.anyio_service import TrioManager
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from p2pnode.errors import NetworkError
from p2pnode.net.addresses import host_of
from p2pnode.net.budget import Budget, Share
from p2pnode.net.failures import say_failed, short
from p2pnode.net.hardening import harden
from p2pnode.net.hardening.listening import share_port
from p2pnode.net.hardening.swarm import MAX_HANDSHAKES
from p2pnode.net.multistream import answering
from p2pnode.net.noise.transport import NoiseTransport
from p2pnode.net.places import MAX_INBOUND, Places
from p2pnode.net.relay.circuit import is_relayed
from p2pnode.net.tcp import MeteredTCP
from p2pnode.net.traffic import Traffic

log = logging.getLogger("p2pnode.net")

MAX_CONNECTIONS = 320
"""All connections, about 70 KB each. Inbound ones take at most `places.MAX_INBOUND` of them, so that others can never use up what we
need to dial."""
MAX_CONNECTIONS_PER_PEER = 3
"""Two happen when both sides dial at once; a third covers a reconnect whose old connection is not yet known to be dead."""
MAX_STREAMS_PER_PEER = 64
"""Streams that one peer has open to us: every protocol of ours a few times over."""
MANY_STREAMS = 2048
"""Streams that all peers together have open to us before each may have FEW_STREAMS only: about 12 KB each."""
FEW_STREAMS = 6
"""One of gossip, one of the DHT, and some to ask us something."""
NEGOTIATION_S = 10.0
"""To agree on a protocol or finish a handshake."""
RESTART_S = 1.0
"""Pause before a periodic task of libp2p that failed goes on."""
CUT_ROUNDS = 3
"""Looks for connections left: one that was past our gate when closing began may still appear."""
CLOSE_S = 1.5
"""For a polite end of all connections together, before they are cut."""


def build_host(seed: bytes, traffic: Traffic) -> BasicHost:
    """A host with the Ed25519 key of this 32-byte seed, whose bytes go by `traffic`. It does not listen yet."""
    harden()
    keys = create_new_key_pair(seed)
    identity = ID.from_pubkey(keys.public_key)
    peerstore = PeerStore()
    peerstore.add_key_pair(identity, keys)
    upgrader = TransportUpgrader(
        secure_transports_by_protocol={NOISE: NoiseTransport(keys, noise_privkey=create_noise_key_pair().private_key)},
        muxer_transports_by_protocol={YAMUX: Yamux},
    )
    swarm = Swarm(
        identity,
        peerstore,
        upgrader,
        transports=[MeteredTCP(traffic)],
        retry_config=RetryConfig(max_retries=0),
        connection_config=ConnectionConfig(
            max_connections=MAX_CONNECTIONS,
            min_connections=0,
            low_watermark=0,
            high_watermark=MAX_CONNECTIONS,
            max_connections_per_peer=MAX_CONNECTIONS_PER_PEER,
            inbound_upgrade_timeout=NEGOTIATION_S,
            outbound_upgrade_timeout=NEGOTIATION_S,
            inbound_stream_protocol_negotiation_timeout=NEGOTIATION_S,
            outbound_stream_protocol_negotiation_timeout=NEGOTIATION_S,
        ),
    )
    swarm._inbound_limiter = trio.CapacityLimiter(
        MAX_INBOUND + MAX_HANDSHAKES
    )  # who gets a place is said in net.places
    swarm._places = Places()
    swarm._budget = Budget()
    swarm._ledger = traffic.ledger
    host = BasicHost(network=swarm, disable_identify_address_discovery=True)
    swarm.notifees.clear()  # libp2p's identify and tag store: ours are in net.identify and net.peers
    host._schedule_identify = lambda *_, **__: None
    host.multiselect.handlers.clear()
    return host


@asynccontextmanager
async def run_host(host: BasicHost, admit: Callable[[ID], bool]) -> AsyncIterator[None]:
    """Run the host until the block is left; it listens once `listen_on` is called. Leave through `close_host`.

    `admit` says whether a peer may connect now.
    """
    swarm = host.get_network()
    swarm.set_stream_handler(_contained_streams(answering(host.multiselect.handlers, NEGOTIATION_S)))
    _gate_connections(swarm, admit)
    async with run_service(swarm):
        yield


async def listen_on(host: BasicHost, addresses: Sequence[str]) -> NetworkError | None:
    """Listen on every address; the error if one cannot be listened on. With port 0 all get the same port, where it is free."""
    swarm = host.get_network()
    for wanted in addresses:
        address = await _listen_on_same_port(swarm, wanted) or wanted
        if address is wanted:
            await swarm.listen(Multiaddr(address))
        if address not in swarm.listeners:
            return NetworkError(
                f"cannot listen on {address}: {_why_not(address)}", hint="choose another port with --listen"
            )
        share_port(swarm.listeners[address])
    return None


async def _listen_on_same_port(swarm: Any, wanted: str) -> str:
    """The address that is listened on now, "" if any other port will do: one port is one hole to be made in a firewall."""
    taken = next((str(one) for listener in swarm.listeners.values() for one in listener.get_addrs()), "")
    if not taken or not wanted.endswith("/tcp/0"):
        return ""
    address = f"{wanted[:-1]}{taken.split('/')[4]}"
    if address in swarm.listeners:
        return ""
    await swarm.listen(Multiaddr(address))
    return address if address in swarm.listeners else ""


def _why_not(address: str) -> str:
    family = socket.AF_INET6 if address.startswith("/ip6/") else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host_of(address), int(address.split("/")[4])))
            probe.listen()
    except (OSError, ValueError, OverflowError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return "it was taken a moment ago"


async def close_host(host: BasicHost) -> None:
    """Stop listening, then close all connections at once: politely for CLOSE_S, then by cutting them.

    Defect: leaving a host's `run()` without closing it leaves its listeners open, and `close()` takes 0.2 s for each peer, one
    after the other (`network/swarm.py:2306`, `network/connection/swarm_connection.py:262`). Call it shielded.
    """
    swarm = host.get_network()
    while swarm.listeners:  # what is still asked where we listen hears "nowhere", not what a closed socket says
        _, listener = swarm.listeners.popitem()
        await listener.close()
    with trio.move_on_after(CLOSE_S):
        async with trio.open_nursery() as nursery:
            for connection in swarm.get_connections():
                nursery.start_soon(_close_politely, connection)
    for _ in range(CUT_ROUNDS):
        # those that did not end politely, and those that were just being made; whoever still writes to one is woken by its end
        for connection in swarm.get_connections():
            swarm.remove_conn(connection)
            with trio.move_on_after(0.1):
                await connection.muxed_conn.secured_conn.close()
        await trio.lowlevel.checkpoint()
    with trio.move_on_after(CLOSE_S):
        await host.close()


async def _close_politely(connection: Any) -> None:
    try:
        await connection.close()
    except Exception as error:
        log.debug("closing a connection: %r", error)


@asynccontextmanager
async def run_service(service: Any) -> AsyncIterator[None]:
    """Run a libp2p service (swarm, pubsub, router) until the block is left, and let no task of it end it.

    Defect: any exception in any task of a service cancels the whole service and with it the host
    (`tools/anyio_service/trio_manager.py:296`): one garbage pubsub message or Yamux frame ends the node.
    """
    manager = TrioManager(service)
    service._manager = manager
    _contain_tasks(manager)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(manager.run)
        await manager.wait_started()
        try:
            yield
        finally:
            await manager.stop()


def _contain_tasks(manager: Any) -> None:
    run_task = manager.run_task

    async def contained(function: Callable[..., Awaitable[Any]], daemon: bool, *args: Any) -> None:
        while True:
            try:
                await function(*args)
                return
            except Exception as error:
                say_failed(log, f"libp2p's {getattr(function, '__qualname__', function)}", error)
            if not daemon:
                return
            await trio.sleep(RESTART_S)  # the end of a daemon task ends its service

    def run_contained(function: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> None:
        if options.get("_internal"):  # the service itself, where no peer reaches: its failure must be seen
            run_task(function, *args, **options)
        else:
            run_task(contained, function, bool(options.get("daemon")), *args, **options)

    manager.run_task = run_contained


def _contained_streams(inner: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """Let no stream end the host, and no peer have too many.

    Defect: an exception in a stream handler ends the host (`network/connection/swarm_connection.py:309`), and so does one
    multistream string that is not UTF-8 (`protocol_muxer/multiselect_communicator.py:57`).
    """
    open_streams: dict[Any, int] = {}
    total = [0]

    async def handle(stream: Any) -> None:
        peer = stream.muxed_conn.peer_id
        count = open_streams.get(peer, 0)
        if count >= MAX_STREAMS_PER_PEER or (count >= FEW_STREAMS and total[0] >= MANY_STREAMS):
            await stream.reset()
            return
        total[0] += 1
        open_streams[peer] = count + 1
        try:
            await inner(stream)
        except Exception as error:
            log.info("a stream of %s was dropped: %s", peer, short(error))
            await stream.reset()
        finally:
            total[0] -= 1
            open_streams[peer] -= 1
            if not open_streams[peer]:
                del open_streams[peer]

    return handle


def _gate_connections(swarm: Any, admit: Callable[[ID], bool]) -> None:
    """Ask `admit` once the peer's identity is proved, before anything else of it is read."""
    add_conn = swarm.add_conn

    async def add_admitted(muxed: Any, direction: str = "unknown") -> Any:
        peer = muxed.peer_id
        crowded = len(swarm.get_connections(peer)) >= MAX_CONNECTIONS_PER_PEER
        if crowded or peer == swarm.self_id or not admit(peer):
            await muxed.secured_conn.close()
            raise SwarmException("refused by this node: banned, itself, or too many connections")
        muxed.share = Share(swarm._budget, muxed.give_up)
        if not is_relayed(muxed):
            muxed.keep_in(swarm._ledger)
        return await add_conn(muxed, direction=direction)

    swarm.add_conn = add_admitted
