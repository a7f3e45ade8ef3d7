"""The Network port on libp2p: joins host, peers, DHT, gossip, LAN and address book of one node.

Made by `net.opening` for the daemon and for tests. Raises only the classes of `p2pnode.errors`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, P2pnodeError, UsageError
from p2pnode.net import dht, gossip, identify
from p2pnode.net.addresses import peer_id, split_address, to_id, usable, without_wildcards
from p2pnode.net.bans import Bans
from p2pnode.net.failures import say_failed
from p2pnode.net.gossip import Gossip
from p2pnode.net.host import MAX_CONNECTIONS
from p2pnode.net.ipfs_dht import IpfsDht
from p2pnode.net.kad.wire import Contact
from p2pnode.net.keep import Keeper
from p2pnode.net.lan import Lan
from p2pnode.net.ledger import Ledger
from p2pnode.net.meeting import LanMeeting, Meeting
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
from p2pnode.net.serving import PING_PROTOCOL, Handle, Served, serve_ping
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

GOSSIP_STREAM_S = 10.0
"""For our gossip stream to a new neighbour; it is tried again."""
RESTART_S = 5.0
"""Pause before background work that failed is begun again."""


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
        self._keeper: Keeper | None = None
        self._ledger: Ledger = self._swarm._ledger
        self._served = Served(host, nursery, lambda *what: self.penalise(*what), self._ledger)
        self.bans = bans
        self.meter = Traffic()
        self.peers_table = Peers(
            self._swarm, lambda peer: nursery.start_soon(self._contained, self._meeting.greet, peer)
        )
        self._meeting = Meeting(
            self.peers_table,
            self._kad_protocol,
            book,
            self._open_on_connection,
            self.disconnect,
            self._met,
            self._heard,
        )
        self.gossip = Gossip(self._id, host.get_private_key(), self._open_gossip, nursery)
        self.outside = Outside(
            self._swarm,
            self.peers_table,
            self._id,
            direct=self._direct_addresses,
            open_on=self._open_on,
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
            verdict=lambda: self.outside.asking.without_relays,
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
        self._push = Push(self.peers_table, self._introduction, self._meeting.heard_again, self._open_push)
        self.serve(identify.PUSH_PROTOCOL, self._push.serve, streams_per_peer=2)
        self.relaying.on_changed.append(self._push.changed)
        self.serve(PING_PROTOCOL, serve_ping, streams_per_peer=2)
        self.serve(gossip.PROTOCOL, self.gossip.serve, streams_per_peer=gossip.STREAMS_PER_PEER)
        self.relaying.serve(self.serve)
        self.punching = Punching(
            self._swarm,
            self._id,
            self.peers_table,
            self._open_on,
            lambda: [*self.outside.seen.addresses(), *self._direct_addresses()],
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
            meeting = LanMeeting(self._id, self._nursery, self.peers_table.is_connected, self._reach.connect)
            self._nursery.start_soon(Lan(lan_name, self._id, self._direct_addresses, meeting.seen).run)

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

    async def ask_outside(self) -> int:
        """See the port."""
        return await self.outside.asking.ask_now()

    async def reach_changed(self) -> None:
        """See the port."""
        await self.standing.changed()

    def banned(self) -> list[Ban]:
        """See the port."""
        return self.bans.current(self._clock())

    def relay_for_others(self, allowed: bool) -> None:
        """See the port."""
        self.standing.relay_for_others(allowed)

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
        """See the port."""
        self._served.serve(protocol, handle, streams_per_peer=streams_per_peer)

    def unserve(self, protocol: str) -> None:
        """See the port."""
        self._served.unserve(protocol)

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
        raw.count_as(self._ledger.of(protocol))
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

    # ---- what peers say of themselves

    def _introduction(self, observed: str | None = None) -> bytes:
        key = self._host.get_public_key().serialize()
        return identify.encode(key, usable(self._own_addresses()), self._served.protocols(), observed)

    def _met(self, peer: PeerId, introduction: identify.Introduction) -> None:
        if gossip.PROTOCOL in introduction.protocols or not introduction.protocols:
            self._nursery.start_soon(self._contained, self.gossip.meet, peer)

    def _heard(self, peer: PeerId, introduction: identify.Introduction) -> None:
        if introduction.observed and self.peers_table.is_connected_directly(peer):
            self.outside.heard(peer, introduction.observed)
        if self._kad_protocol in introduction.protocols:
            self.dht.met(Contact(peer, introduction.addresses))
        elif introduction.protocols:
            self.dht.table.remove(peer)  # it is a client
        if self.ipfs is not None:
            self.ipfs.met(peer, introduction.protocols, introduction.addresses)
