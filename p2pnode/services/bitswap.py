"""Bitswap, by which all the rest of IPFS exchanges blocks: one object a node, joining the providing and the asking half.

It reads every message that comes on `/ipfs/bitswap/1.2.0` (and 1.1.0, 1.0.0): wants go to services.bitswap_serve, blocks and presences to
the fetches that asked this very peer. A block counts only by its own hash, and one that nobody asked for is counted, charged
to its sender and dropped; nothing of it reaches the disk. Made by the node; services.swarm asks it for providers.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from p2pnode.core.bitswap_messages import PROTOCOL_120, PROTOCOLS, Message, RawBlock, block_cid, decode_message
from p2pnode.core.cid import Cid
from p2pnode.core.fetch_messages import PROTOCOL as FETCH
from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError
from p2pnode.limits import KIB
from p2pnode.ports import Network, Store, Stream, Traffic
from p2pnode.services.awaited import Bell
from p2pnode.services.background import for_ever
from p2pnode.services.bitswap_ask import BitswapAsking, Partner
from p2pnode.services.bitswap_serve import BitswapServer
from p2pnode.services.bitswap_streams import SMALL_BYTES, Intake, Outgoing, Reader
from p2pnode.services.provider import Block, Provider
from p2pnode.services.wants import Wants

log = logging.getLogger("p2pnode.bitswap")

STREAMS_PER_PEER = 24
"""Incoming streams of one peer: go opens one for each of its eight workers and one for its wants, before the last ones ended."""
UNASKED_POINTS = 10
"""Penalty for a message with blocks that the peer was never asked for."""
MALFORMED_POINTS = 25
HASH_IN_THREAD_BYTES = 256 * KIB
"""Blocks from this size on are hashed in a worker thread; below, the hop costs more than the hash."""


class Bitswap:
    """`unasked_blocks` and `late_blocks` are counted for whoever looks; `server` counts what it sent."""

    def __init__(
        self, network: Network, store: Store, traffic: Traffic | None = None, seeds: Callable[[], bool] = lambda: True
    ) -> None:
        """With `traffic` nothing is given while works' bytes have to wait, nor while `seeds` says no."""
        self._network = network
        self._partners: dict[PeerId, Partner] = {}
        self._versions: dict[PeerId, str] = {}
        self._ours: set[PeerId] = set()
        self._intake = Intake(lambda peer: peer in self._partners and bool(self._partners[peer].askings))
        self.server = BitswapServer(network, store, traffic, seeds)
        self.unasked_blocks = self.late_blocks = 0

    async def start(self, nursery: trio.Nursery) -> None:
        """Answer from now on; everything runs in `nursery`."""
        self.server.start(nursery)
        for protocol in PROTOCOLS:
            self._network.serve(protocol, partial(self._receive, protocol), streams_per_peer=STREAMS_PER_PEER)
        nursery.start_soon(for_ever, self._follow_peers)
        nursery.start_soon(for_ever, self.server.run)

    # ------------------------------------------------------------ for fetches

    def neighbours(self) -> list[PeerId]:
        """Connected peers that speak Bitswap and nothing better."""
        return [peer for peer in self._versions if peer not in self._ours]

    def is_the_way_to(self, peer: PeerId) -> bool:
        """Whether that peer is connected and is best asked by Bitswap."""
        return peer in self._versions and peer not in self._ours

    def asking(
        self,
        provider: Provider,
        root: Cid,
        wants: Wants,
        bell: Bell,
        hand_over: Callable[[Provider, list[Block]], Awaitable[None]],
        others_wait: Callable[[], bool],
    ) -> BitswapAsking:
        """One provider for one fetch: `run` it, then `close` it."""
        for peer in [peer for peer, held in self._partners.items() if not held.askings and peer not in self._versions]:
            del self._partners[peer]
        partner = self._partners.setdefault(provider.peer, Partner())
        outgoing = Outgoing(self._network, provider.peer, self._versions.get(provider.peer, PROTOCOL_120))
        return BitswapAsking(provider, partner, outgoing, root, wants, bell, hand_over, others_wait)

    # ------------------------------------------------------------ what comes

    async def _follow_peers(self) -> None:
        async with self._network.peer_events() as events:
            async for event in events:
                if not event.connected:
                    self._forget(event.peer)
                    continue
                spoken = next((protocol for protocol in PROTOCOLS if protocol in event.protocols), None)
                if spoken is not None:
                    self._versions[event.peer] = spoken
                if FETCH in event.protocols:
                    self._ours.add(event.peer)

    def _forget(self, peer: PeerId) -> None:
        self._versions.pop(peer, None)
        self._ours.discard(peer)
        self.server.gone(peer)
        if peer in self._partners and not self._partners[peer].askings:
            del self._partners[peer]

    async def _receive(self, protocol: str, stream: Stream) -> None:
        """One incoming stream: messages until it ends."""
        peer = stream.peer
        self._versions.setdefault(peer, protocol)  # it speaks it, whatever it told when it introduced itself

        def heard() -> None:
            if peer in self._partners:
                self._partners[peer].heard = trio.current_time()

        reader = Reader(stream, heard)
        while (size := await reader.size()) is not None:
            async with self._intake.place(peer, size):
                await self._take(peer, protocol, await reader.body(size))

    async def _take(self, peer: PeerId, protocol: str, data: bytes) -> None:
        try:
            if len(data) <= SMALL_BYTES:
                message = decode_message(data)
            else:
                message = await trio.to_thread.run_sync(decode_message, data)
        except DecodeError as error:
            self._network.penalise(peer, MALFORMED_POINTS, f"a Bitswap message: {error.message}")
            raise
        del data
        if message.entries or message.full:
            self.server.wanted(peer, protocol, message.entries, full=message.full)
        partner = self._partners.get(peer)
        if partner is not None:
            for presence in message.presences:
                for asking in partner.askings:
                    asking.told(presence.cid, presence.have)
        await self._take_blocks(peer, partner, message)

    async def _take_blocks(self, peer: PeerId, partner: Partner | None, message: Message) -> None:
        unasked = 0
        for block in message.blocks:
            if partner is None:
                unasked += 1
                continue
            cid = await _cid_of(block)
            askings = [] if cid is None else [asking for asking in partner.askings if asking.awaits(cid)]
            for asking in askings:
                assert cid is not None
                await asking.deliver(cid, block.data)
            if cid is None or not (askings or partner.was_wanted(cid)):
                unasked += 1
                for asking in partner.askings:
                    asking.lied(f"{len(block.data)} bytes that are no block it was asked for")
            elif not askings:
                self.late_blocks += 1
        if unasked:
            self.unasked_blocks += unasked
            self._network.penalise(peer, UNASKED_POINTS, f"{unasked} blocks that it was not asked for")


async def _cid_of(block: RawBlock) -> Cid | None:
    """None if its CID is of a kind that we never ask for."""
    try:
        if len(block.data) < HASH_IN_THREAD_BYTES:
            return block_cid(block)
        return await trio.to_thread.run_sync(block_cid, block)
    except DecodeError:
        return None
