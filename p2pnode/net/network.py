"""The Network port on libp2p: joins host, peers, DHT, gossip, LAN and address book of one node.

Made by `open_network` for the daemon and for tests. Raises only the classes of `p2pnode.errors`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, P2pnodeError, PeerError, UsageError
from p2pnode.net import dht, gossip, identify
from p2pnode.net.addresses import check_address, peer_id, split_address, to_id, usable, without_wildcards
from p2pnode.net.bans import Bans
from p2pnode.net.failures import say_failed
from p2pnode.net.gossip import Gossip
from p2pnode.net.host import MAX_CONNECTIONS, build_host, close_host, listen_on, run_host
from p2pnode.net.ipfs_dht import IpfsDht
from p2pnode.net.kad.wire import Contact
from p2pnode.net.keep import Keeper
from p2pnode.net.lan import Lan
from p2pnode.net.multistream import Proposal, open_muxed
from p2pnode.net.nat import dialback_messages
from p2pnode.net.nat.outside import NO_WISHES, Outside, Wishes
from p2pnode.net.nat.standing import Standing
from p2pnode.net.peers import Peers
from p2pnode.net.punch import messages as punch_messages
from p2pnode.net.punch.punching import Punching
from p2pnode.net.push import Push
from p2pnode.net.reach import Reach
from p2pnode.net.relay.places import RelayLimits
from p2pnode.net.relay.relaying import Relaying
from p2pnode.net.stream import Libp2pStream
from p2pnode.net.traffic import Traffic
from p2pnode.net.worth import Worths
from p2pnode.ports import (
    AddressBook,
    Ban,
    NetworkNumbers,
    PeerEvent,
    PeerView,
    ProviderRecords,
    Reachability,
    Stream,
    WallClock,
)

log = logging.getLogger("p2pnode.net")

PING_PROTOCOL, PING_BYTES = "/ipfs/ping/1.0.0", 32
PING_STREAM_S = 300.0
"""A ping stream lives this long, then the other side opens another."""
IDENTIFY_S = 5.0
"""For a new peer's introduction; after that it counts as connected without one."""
GOSSIP_STREAM_S = 10.0
"""For our gossip stream to a new neighbour; it is tried again."""
LAN_POLITENESS_S = 2.0
"""Of two nodes that see each other on the LAN the one with the smaller ID dials at once, the other only later."""
RESTART_S = 5.0
"""Pause before background work that failed is begun again."""
BROKEN_RULE_POINTS = 5
"""For any stream on which a peer broke its protocol's rules, whatever its service adds: twenty of them are no accident."""
MAX_SEEN_ON_LAN = 64
"""Dials in flight to peers that announce themselves on the LAN, where anybody may announce anything."""

Handle = Callable[[Libp2pStream], Awaitable[None]] | Callable[[Stream], Awaitable[None]]


class Libp2pNetwork:
    """One node's network. See `ports.Network` for the contract of the public methods."""

    def __init__(
        self,
        host: Any,
        nursery: trio.Nursery,
        network: str,
        book: AddressBook,
        records: ProviderRecords,
        clock: WallClock,
        bans: Bans,
        relay_limits: RelayLimits | None = None,
        relays: Sequence[tuple[PeerId, str]] = (),
        wishes: Wishes = NO_WISHES,
    ) -> None:
        self._host = host
        self._swarm = host.get_network()
        self._nursery = nursery
        self._book = book
        self._clock = clock
        self._id = peer_id(host.get_id())
        self._kad_protocol = dht.protocol_of(network)
        self._lan_dials = 0
        self._keeper: Keeper | None = None
        self._serving: dict[str, dict[PeerId, int]] = {}
        self.bans = bans
        self.meter = Traffic()
        self.peers_table = Peers(self._swarm, lambda peer: nursery.start_soon(self._contained, self._greet, peer))
        self.gossip = Gossip(self._id, host.get_private_key(), self._open_gossip, nursery)
        self.outside = Outside(
            self._swarm,
            self.peers_table,
            self._id,
            direct=self._direct_addresses,
            seen=lambda: self.punching.seen.addresses(),
            open_stream=self._open_on_connection,
            wishes=wishes,
        )
        self.relaying = Relaying(
            self._swarm,
            self.peers_table,
            self._id,
            self._open_directly,
            lambda: usable(self._direct_addresses()),
            clock,
            limits=relay_limits,
            relays=relays,
            verdict=lambda: self.outside.verdict,
        )
        self.dht = dht.Dht(self._own_contact, self._open_kad, self.peers_table.is_connected, book, records, clock)
        self._reach = Reach(
            self._swarm, self.peers_table, book, self._is_banned, self.dht.find_addresses, self.relaying.connect
        )
        self.worths = Worths(self.dht.table.__contains__, self.relaying.is_of_use)
        self._swarm._places.judge = self.worths.judge
        self.peers_table.on_gone += [self.gossip.forget, self.worths.gone]
        self.peers_table.on_fewer.append(self.gossip.connection_lost)
        self.ipfs: IpfsDht | None = None
        self._swarm.register_notifee(self.peers_table)
        self.serve(identify.PROTOCOL, lambda stream: identify.answer(stream, self._introduction))
        self._push = Push(self.peers_table, self._introduction, self._heard_again, self._open_push)
        self.serve(identify.PUSH_PROTOCOL, self._push.serve, streams_per_peer=2)
        self.relaying.on_changed.append(self._push.changed)
        self.serve(PING_PROTOCOL, _serve_ping, streams_per_peer=2)
        self.serve(gossip.PROTOCOL, self.gossip.serve, streams_per_peer=gossip.STREAMS_PER_PEER)
        self.relaying.serve(self.serve)
        self.punching = Punching(
            self._swarm,
            self._id,
            self.peers_table,
            self._open_on,
            self._direct_addresses,
            self._is_banned,
            nursery,
        )
        self.relaying.on_changed.append(self.punching.changed)
        self.peers_table.on_more.append(self.gossip.better_way)
        self.serve(punch_messages.PROTOCOL, self.punching.serve, streams_per_peer=1)
        self.serve(dialback_messages.PROTOCOL, self.outside.dial_backs.serve, streams_per_peer=1)
        self.standing = Standing(self.outside, self.relaying, self.dht, self._kad_protocol, self.serve, self.unserve)
        self.outside.on_changed += [self.standing.settle, self._push.changed]
        self.outside.on_moved += [self.punching.changed, self.relaying.moved]

    def start(self, bootstrap: Sequence[tuple[PeerId, str]], lan_name: str | None) -> None:
        """What goes on in the background, once we listen. `lan_name` None: nothing on the LAN."""
        self._keeper = Keeper(bootstrap, self._book, self.peers_table.ids, self._reach.connect)
        self._nursery.start_soon(self._for_ever, self._keeper.run)
        self.outside.on_moved.append(self._keeper.hurry)
        self.outside.start(self._nursery, self._for_ever)
        self._nursery.start_soon(self._for_ever, self.standing.look_for_relays)
        self._nursery.start_soon(self._for_ever, self.dht.run)
        if self.ipfs is not None:
            self._nursery.start_soon(self._for_ever, self.ipfs.run)
        self._nursery.start_soon(self._for_ever, self.relaying.run)
        self._nursery.start_soon(self._for_ever, self._push.run)
        self._nursery.start_soon(self._for_ever, self.punching.run)
        self._nursery.start_soon(self._for_ever, self.gossip.run)
        if lan_name is not None:
            self._nursery.start_soon(Lan(lan_name, self._id, self._direct_addresses, self._seen_on_lan).run)

    def join_ipfs(self) -> None:
        """Be a client of IPFS's DHT too; before `start`."""
        connected, leave = self.peers_table.is_connected, self._leave_stranger
        self.ipfs = IpfsDht(self._own_contact, self._open_ipfs, connected, leave, self._book, self._clock)

    # ---- who we are and who is there

    @property
    def peer_id(self) -> PeerId:
        return self._id

    def addresses(self) -> list[str]:
        return [f"{address}/p2p/{self._id}" for address in self._own_addresses()]

    def peers(self) -> list[PeerView]:
        return self.peers_table.views()

    def peer_events(self) -> AbstractAsyncContextManager[AsyncIterator[PeerEvent]]:
        return self.peers_table.events()

    def penalise(self, peer: PeerId, points: int, reason: str) -> None:
        if self.bans.penalise(peer, points, reason, self._clock()):
            log.warning("%s is banned for a while: %s", peer, reason)
            self._nursery.start_soon(self._contained, self.disconnect, peer)

    def numbers(self) -> NetworkNumbers:
        """See the port."""
        return NetworkNumbers(len(self.dht.table), self._swarm.get_total_connections(), MAX_CONNECTIONS)

    def reach(self) -> Reachability:
        """See the port."""
        return self.standing.reach()

    async def reach_changed(self) -> None:
        """See the port."""
        await self.standing.changed()

    def banned(self) -> list[Ban]:
        """See the port."""
        return self.bans.current(self._clock())

    def lift_ban(self, peer: PeerId) -> bool:
        """See the port."""
        return self.bans.lift(peer, self._clock())

    # ---- connections

    async def connect(self, address: str) -> PeerId:
        peer, where = split_address(address)
        if peer == self._id:
            raise UsageError("that is the address of this very node", hint="give the address of another one")
        await self._reach.connect(peer, [where])
        return peer

    async def disconnect(self, peer: PeerId) -> None:
        if self._keeper is not None:
            self._keeper.rest(peer)
        async with trio.open_nursery() as nursery:
            for connection in self.peers_table.connections(peer):
                nursery.start_soon(connection.close)

    async def open_stream(self, peer: PeerId, protocol: str, *, timeout_s: float = 10.0) -> Stream:
        if self.ipfs is not None:
            self.ipfs.used(peer)
        stream = await self._open(peer, protocol, (), timeout_s)
        self.worths.opened(stream)
        return stream

    def favour(self, members: Callable[[], Container[PeerId]]) -> None:
        """See the port."""
        self.worths.members = members

    def serve(self, protocol: str, handle: Handle, *, streams_per_peer: int = 8) -> None:
        counts = self._serving.setdefault(protocol, {})

        async def handler(raw: Any) -> None:
            peer = peer_id(raw.muxed_conn.peer_id)
            stream = Libp2pStream(raw, peer, self._nursery)
            if counts.get(peer, 0) >= streams_per_peer:
                await stream.reset()
                return
            counts[peer] = counts.get(peer, 0) + 1
            try:
                await handle(stream)
                await stream.aclose()
            except (NetworkError, DecodeError) as error:
                log.info("%s with %s ended: %s", protocol, peer, error.message)
                if isinstance(error, (PeerError, DecodeError)):
                    self.penalise(peer, BROKEN_RULE_POINTS, f"{protocol}: {error.message}")
                await stream.reset()
            except Exception as error:
                say_failed(log, f"{protocol} with {peer}", error)
                await stream.reset()
            finally:
                counts[peer] -= 1
                if not counts[peer]:
                    del counts[peer]

        self._host.set_stream_handler(protocol, handler)

    def unserve(self, protocol: str) -> None:
        """See the port."""
        self._serving.pop(protocol, None)
        self._host.multiselect.handlers.pop(protocol, None)

    # ---- DHT and gossip

    async def provide(self, key: bytes) -> int:
        return await self.dht.provide(key)

    async def provide_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """See the port."""
        return await self.dht.provide_all(keys)

    def answer_for(self, keys: Sequence[bytes]) -> None:
        """See the port."""
        self.dht.answer_for(keys)

    def provided(self) -> list[bytes]:
        """See the port."""
        return self.dht.provided()

    def answers_for(self, key: bytes) -> bool:
        """See the port."""
        return self.dht.answers_for(key)

    async def is_found(self, key: bytes) -> bool | None:
        """See the port."""
        return await self.dht.is_found(key)

    def unprovide(self, key: bytes) -> None:
        self.dht.unprovide(key)

    async def find_providers(self, key: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        return await self.dht.find_providers(key, limit=limit, timeout_s=timeout_s)

    async def join_topic(
        self, topic: str, validate: Callable[[PeerId, bytes], bool], deliver: Callable[[PeerId, bytes], None]
    ) -> None:
        await self.gossip.join(topic, validate, deliver)

    async def leave_topic(self, topic: str) -> None:
        await self.gossip.leave(topic)

    async def publish(self, topic: str, data: bytes) -> None:
        await self.gossip.publish(topic, data)

    # ---- inside

    async def _contained(self, work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Background work: what goes wrong in it (a full disk under the address book, say) must not end the node."""
        try:
            await work(*arguments)
        except Exception as error:
            say_failed(log, work.__qualname__, error)

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._contained(work)
            await trio.sleep(RESTART_S)

    def _is_banned(self, peer: PeerId) -> bool:
        return self.bans.is_banned(peer, self._clock())

    async def _open_push(self, peer: PeerId) -> Stream:
        return await self._open(peer, identify.PUSH_PROTOCOL, (), 5.0)

    async def _open_directly(self, peer: PeerId, protocol: str, address: str) -> Stream:
        """For relays: what goes through one must not go through another. libp2p prefers direct connections by itself."""
        await self._reach.connect_directly(peer, address)
        return await self._open(peer, protocol, (), 10.0)

    def _own_addresses(self) -> list[str]:
        """Where peers may try us: those through relays come last, and are among the first few that peers keep."""
        return self.relaying.with_circuits(self.outside.with_public(self._direct_addresses()))

    def _direct_addresses(self) -> list[str]:
        bound = [str(address) for listener in self._swarm.listeners.values() for address in listener.get_addrs()]
        return without_wildcards(bound)

    def _own_contact(self) -> Contact:
        return Contact(self._id, tuple(usable(self._own_addresses())))

    async def _open_gossip(self, peer: PeerId) -> Libp2pStream:
        return await self._open(peer, gossip.PROTOCOL, (), GOSSIP_STREAM_S, look_up=False)

    async def _open_ipfs(self, protocol: str, contact: Contact) -> Stream:
        return await self._open(contact.peer, protocol, contact.addresses, 5.0, look_up=False)

    async def _leave_stranger(self, peer: PeerId) -> None:
        """A peer of IPFS's DHT that nobody uses; one of ours stays."""
        introduction = self.peers_table.introduction(peer)
        if introduction is None or self._kad_protocol not in introduction.protocols:
            await self._contained(self.disconnect, peer)

    async def _open_kad(self, contact: Contact) -> Stream:
        return await self._open(contact.peer, self._kad_protocol, contact.addresses, 5.0, look_up=False)

    async def _open(
        self, peer: PeerId, protocol: str, hints: Sequence[str], timeout_s: float, *, look_up: bool = True
    ) -> Libp2pStream:
        to_id(peer)
        if peer == self._id:
            raise UsageError("a node opens no stream to itself")
        try:
            with trio.fail_after(timeout_s):
                await self._reach.connect(peer, hints, look_up=look_up)
                return await self._open_on_connection(peer, protocol)
        except trio.TooSlowError as error:
            raise NetworkError(f"{peer} does not answer within {timeout_s:g} s") from error
        except P2pnodeError:
            raise
        except Exception as error:
            log.debug("opening %s to %s: %r", protocol, peer, error)
            raise NetworkError(f"{peer} does not speak {protocol}, or hung up") from error

    async def _open_on_connection(self, peer: PeerId, protocol: str) -> Libp2pStream:
        return await self._open_on(peer, protocol, self.peers_table.connections(peer))

    async def _open_on(self, peer: PeerId, protocol: str, connections: Sequence[Any]) -> Libp2pStream:
        """Of a peer whose introduction names the protocol its answer is not awaited: what we say goes out with the proposal."""
        raw = await open_muxed(connections)
        proposal = Proposal(protocol)
        introduction = self.peers_table.introduction(peer)
        if introduction is not None and protocol in introduction.protocols:
            return Libp2pStream(raw, peer, self._nursery, proposal)
        try:
            await proposal.accepted(raw)
        except BaseException:
            with trio.CancelScope(shield=True):
                await raw.reset()
            raise
        return Libp2pStream(raw, peer, self._nursery)

    async def _greet(self, peer: PeerId) -> None:
        """A peer's first connection: hear who it is, then tell everybody."""
        introduction = identify.Introduction()
        try:
            with trio.move_on_after(IDENTIFY_S):
                stream = await self._open_on_connection(peer, identify.PROTOCOL)
                try:
                    introduction = await identify.ask(stream)
                finally:
                    with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                        await stream.aclose()
        except P2pnodeError as error:
            log.info("%s does not introduce itself: %s", peer, error.message)
        except Exception as error:
            log.debug("identify of %s: %r", peer, error)
        if self._is_of_another_network(introduction):
            log.info("%s belongs to another network and is left alone", peer)
            await self.disconnect(peer)
            return
        if gossip.PROTOCOL in introduction.protocols or not introduction.protocols:
            self._nursery.start_soon(self._contained, self.gossip.meet, peer)
        self.peers_table.introduced(peer, introduction)
        await self._heard(peer, introduction)

    def _is_of_another_network(self, introduction: identify.Introduction) -> bool:
        """A p2pnode that serves another DHT and not ours; foreign implementations may serve what they like."""
        others = [p for p in introduction.protocols if p.endswith(dht.PROTOCOL_SUFFIX) and p != self._kad_protocol]
        ours = self._kad_protocol in introduction.protocols
        return introduction.agent.startswith("p2pnode/") and bool(others) and not ours

    def _introduction(self, observed: str | None = None) -> bytes:
        protocols = [str(protocol) for protocol in self._host.multiselect.handlers if protocol is not None]
        key = self._host.get_public_key().serialize()
        return identify.encode(key, usable(self._own_addresses()), protocols, observed)

    async def _heard(self, peer: PeerId, introduction: identify.Introduction) -> None:
        """Where a peer says that it is: when it comes, and when that changes."""
        if introduction.addresses:
            await self._book.remember(peer, introduction.addresses, answered=False)
        if introduction.observed and self.peers_table.is_connected_directly(peer):
            self.punching.seen.told(peer, introduction.observed)
        if self._kad_protocol in introduction.protocols:
            self.dht.met(Contact(peer, introduction.addresses))
        if self.ipfs is not None:
            self.ipfs.met(peer, introduction.protocols, introduction.addresses)

    async def _heard_again(self, peer: PeerId, introduction: identify.Introduction) -> None:
        if self.peers_table.introduced_again(peer, introduction):
            await self._heard(peer, introduction)
            if self._kad_protocol not in introduction.protocols:
                self.dht.table.remove(peer)  # it is a client from now on

    def _seen_on_lan(self, peer: PeerId, addresses: Sequence[str]) -> None:
        if not self.peers_table.is_connected(peer) and self._lan_dials < MAX_SEEN_ON_LAN:
            self._lan_dials += 1
            self._nursery.start_soon(self._contained, self._meet_on_lan, peer, addresses)

    async def _meet_on_lan(self, peer: PeerId, addresses: Sequence[str]) -> None:
        try:
            if self._id > peer:
                await trio.sleep(LAN_POLITENESS_S)
            await self._reach.connect(peer, addresses)
        except P2pnodeError as error:
            log.info("a node on the local network cannot be reached: %s", error.message)
        finally:
            self._lan_dials -= 1


async def _serve_ping(stream: Stream) -> None:
    with trio.move_on_after(PING_STREAM_S):
        while data := await stream.receive_some(PING_BYTES):
            await stream.send_all(data)


@asynccontextmanager
async def open_network(
    *,
    host_key: bytes,
    listen: Sequence[str],
    network_name: str,
    bootstrap: Sequence[str],
    lan: bool,
    address_book: AddressBook,
    providers: ProviderRecords,
    clock: WallClock,
    relay_limits: RelayLimits | None = None,
    relays: Sequence[str] = (),
    ipfs: bool = False,
    wishes: Wishes = NO_WISHES,
) -> AsyncIterator[Libp2pNetwork]:
    """A running network: listening, in the DHT, on the LAN, dialling `bootstrap` and old acquaintances in the background.

    `host_key` is a 32-byte Ed25519 seed, `listen` multiaddrs without /p2p (port 0: any), `bootstrap` and `relays` multiaddrs with it.
    With `relay_limits` it relays for others within them; at `relays` it asks for a place itself; with `ipfs` it is a client of
    IPFS's DHT too. `wishes`: what it may do by itself to be reached, and for others once it is.
    UsageError for malformed addresses, NetworkError if an address cannot be listened on. Leaving closes everything within
    about two seconds.
    """
    for address in listen:
        check_address(address)
    known = [split_address(address) for address in [*bootstrap, *relays]]
    traffic = Traffic()
    host = build_host(host_key, traffic)
    bans = Bans()
    failure: Exception | None = None  # raised last, so that no nursery wraps it into a group
    closing = trio.Event()

    def admit(peer: Any) -> bool:
        return not closing.is_set() and not bans.is_banned(peer_id(peer), clock())

    async with run_host(host, admit), trio.open_nursery() as nursery:
        network = Libp2pNetwork(
            host,
            nursery,
            network_name,
            address_book,
            providers,
            clock,
            bans,
            relay_limits,
            known[len(bootstrap) :],
            wishes,
        )
        network.meter = traffic
        nursery.start_soon(traffic.run)
        try:
            failure = await listen_on(host, listen)
            if failure is None:
                others = [(peer, address) for peer, address in known if peer != network.peer_id]
                if ipfs:
                    network.join_ipfs()
                network.start(others, network_name if lan else None)
                yield network
        except Exception as error:
            failure = error
        finally:
            closing.set()  # a dial that succeeds now would be forgotten
            with trio.CancelScope(shield=True):
                await close_host(host)
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
