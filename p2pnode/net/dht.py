"""The DHT of one node: provide, find providers, find a peer's addresses, and keep the routing table alive.

Keys are 32-byte SHA-256 digests; on the wire they are sha2-256 multihashes, so a root CID's multihash is its key, as in IPFS.
"""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import trio

from p2pnode.core.ids import PeerId
from p2pnode.core.keyspace import KEY_BYTES, MULTIHASH_SHA2_256, wire_key
from p2pnode.errors import DecodeError, NetworkError, P2pnodeError
from p2pnode.net.addresses import to_id
from p2pnode.net.kad.announce import Announcer, Neighbourhood
from p2pnode.net.kad.client import REQUEST_S, KadClient, Open
from p2pnode.net.kad.lookup import LINGER_S, Ask, Lookup
from p2pnode.net.kad.naming import Named, Searches
from p2pnode.net.kad.patience import Patience
from p2pnode.net.kad.server import KadServer
from p2pnode.net.kad.table import BUCKET_PEERS, RoutingTable, place_of, place_of_peer
from p2pnode.net.kad.values import check_key, check_value
from p2pnode.net.kad.wire import Contact, KadMessage
from p2pnode.ports import AddressBook, ProviderRecords, WallClock

log = logging.getLogger("p2pnode.net")

PROTOCOL_SUFFIX = "/kad/1.0.0"
LOOKUP_S = 20.0
"""A lookup for `provide`: four dead peers in a row, twice."""
KEEPERS_PARALLEL = 10
"""Public keys being put at once."""
FAR_PEERS = 3
"""Where a stranger's search is tried, it begins at so many known peers that are farthest from the key."""
OWN_KEYS = 200_000
"""Keys we provide and answer for ourselves: ten thousand works with their words, twice over."""
MAX_FAILURES = 3
"""Requests in a row that a connected peer may leave unanswered before it leaves the routing table: one may be lost to a busy moment,
but who never answers must not slow every lookup. Who is not even connected leaves at once."""
REST_S = 30.0
"""Whoever could not be reached is not asked again this long: others go on naming him, and each dial costs seconds."""
MAX_RESTING = 1000
QUICK_WALKS, LAST_WALK_S = 4, 30.0
"""After so many walks because of newcomers the pause before the next doubles, up to this: where many come and go, each would walk for
every one."""
WALK_INTERVAL_S = 600.0
"""Between looks around our own place: Kademlia's usual ten minutes."""
FIRST_WALK_S = 0.5
"""After the first peer came: others of a starting network come within this time."""


def protocol_of(network: str) -> str:
    """The DHT protocol of a network: nodes of different networks never mix."""
    return f"/{network}{PROTOCOL_SUFFIX}"


class Dht:
    """Client and server side. `own` tells our own contact, `is_connected` who is there without dialling."""

    def __init__(
        self,
        own: Callable[[], Contact],
        open_stream: Open,
        is_connected: Callable[[PeerId], bool],
        book: AddressBook,
        records: ProviderRecords,
        clock: WallClock,
        to_wire: Callable[[bytes], bytes] = wire_key,
    ) -> None:
        self._own = own
        self._to_wire = to_wire
        self._peer = own().peer
        self._is_connected = is_connected
        self._book = book
        self._provided: OrderedDict[bytes, None] = OrderedDict()
        self._failures: dict[PeerId, int] = {}  # of peers in the table, since they last answered
        self._resting: OrderedDict[PeerId, float] = OrderedDict()  # until when
        self._walk_wanted = trio.Event()
        self._patience = Patience()
        self._searches = Searches()
        self._announcer = Announcer(self._nearest, self._tell)
        self.table = RoutingTable(self._peer)
        self.client = KadClient(open_stream)
        self.server = KadServer(self.table, records, clock, self._provided.__contains__, own)

    def met(self, contact: Contact) -> None:
        """A peer that serves this DHT is connected, or says where it is now."""
        is_new = contact.peer not in self.table
        if self.table.add(contact, self._is_connected) and is_new:
            self._walk_wanted.set()

    def answer_for(self, keys: Iterable[bytes]) -> None:
        """Answer from now on that we provide these keys; tell nobody."""
        for wire in [self._to_wire(key) for key in keys]:
            self._provided[wire] = None
            self._provided.move_to_end(wire)
        while len(self._provided) > OWN_KEYS:
            self._provided.popitem(last=False)

    def answers_for(self, key: bytes) -> bool:
        """Whether we answer that we provide it."""
        return self._to_wire(key) in self._provided

    def provided(self) -> list[bytes]:
        """All digests that we answer for."""
        return [wire[len(MULTIHASH_SHA2_256) :] for wire in self._provided]

    async def provide(self, key: bytes) -> int:
        """Tell the nearest nodes that we provide `key`, then ask each whether it knows. How many do."""
        return (await self.provide_all([key]))[key]

    async def provide_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Tell the nearest nodes of each key, with one look-up for all that lie together. By key: how many nodes hold it.

        Each node is asked for one key of every batch that it was told, and the batch counts as that one does.
        """
        self.answer_for(keys)
        held = await self._announcer.tell_all([self._to_wire(key) for key in keys])
        return {key: held[self._to_wire(key)] for key in keys}

    def unprovide(self, key: bytes) -> None:
        """Answer no longer that we provide `key`."""
        self._provided.pop(self._to_wire(key), None)

    async def find_providers(self, key: bytes, *, limit: int = 20, timeout_s: float = 10.0) -> list[PeerId]:
        """Peers that provide `key`, each once, without ourselves; those that most name first. Asked again soon, it hears more."""
        wire = self._to_wire(key)
        named = Named(self._peer, limit, thorough=self._searches.begin(wire, trio.current_time()))

        async def ask(contact: Contact) -> KadMessage:
            answer = await self._request(contact, KadMessage("GET_PROVIDERS", wire))
            named.hear(answer.providers)
            if named.is_enough:
                lookup.stop()
            return answer

        named.hear(await self.server.providers(wire))
        lookup = self._lookup(place_of(wire), ask)
        with trio.move_on_after(timeout_s):
            await lookup.run()
        found = named.best()
        for contact in found:
            if contact.addresses:
                await self._book.remember(contact.peer, contact.addresses, answered=False)
        return [contact.peer for contact in found]

    async def is_found(self, key: bytes, *, timeout_s: float = 10.0) -> bool | None:
        """Whether a stranger finds that we provide `key`: from far away, by others' records alone. None: nobody could be asked."""
        wire, place = self._to_wire(key), place_of(self._to_wire(key))
        answers, found = 0, False

        async def ask(contact: Contact) -> KadMessage:
            nonlocal answers, found
            answer = await self._request(contact, KadMessage("GET_PROVIDERS", wire))
            answers += 1
            if any(provider.peer == self._peer for provider in answer.providers):
                found = True
                lookup.stop()
            return answer

        start = self.table.closest(place, len(self.table))[-FAR_PEERS:]
        lookup = Lookup(place, self._peer, start, ask, patience_of=self._patience_of)
        with trio.move_on_after(timeout_s):
            await lookup.run()
        return found if answers else None

    async def put_value(self, key: bytes, value: bytes) -> int:
        """Keep a public key at the nearest nodes (`kad.values`). How many took it. UsageError, DecodeError if it cannot be kept."""
        check_key(key)
        check_value(key, value)
        put = KadMessage("PUT_VALUE", key, value=value)
        lookup = self._lookup(place_of(key), lambda contact: self._request(contact, KadMessage("FIND_NODE", key)))
        with trio.move_on_after(LOOKUP_S):
            await lookup.run()
        keepers: list[PeerId] = []

        async def tell(contact: Contact) -> None:
            async with limit:
                with suppress(P2pnodeError):
                    if (await self._request(contact, put)).value == value:
                        keepers.append(contact.peer)

        limit = trio.CapacityLimiter(KEEPERS_PARALLEL)
        async with trio.open_nursery() as nursery:
            for contact in lookup.answered:
                nursery.start_soon(tell, contact)
        return len(keepers)

    async def get_value(self, key: bytes, *, timeout_s: float = 10.0) -> bytes | None:
        """The public key under `key`, checked; None if nobody has it. UsageError for a key under which nothing is kept."""
        check_key(key)
        found: list[bytes] = []

        async def ask(contact: Contact) -> KadMessage:
            answer = await self._request(contact, KadMessage("GET_VALUE", key))
            if answer.value is not None:
                with suppress(DecodeError):
                    check_value(key, answer.value)
                    found.append(answer.value)
                    lookup.stop()
            return answer

        lookup = self._lookup(place_of(key), ask)
        with trio.move_on_after(timeout_s):
            await lookup.run()
        return found[0] if found else None

    async def find_addresses(self, peer: PeerId) -> list[str]:
        """Where the DHT says that a peer is; [] if nobody knows."""
        known = self.table.get(peer)
        if known is not None and known.addresses:
            return list(known.addresses)
        addresses: list[str] = []
        wire = to_id(peer).to_bytes()

        async def ask(contact: Contact) -> KadMessage:
            if contact.peer == peer:
                raise NetworkError("asking it where it is would wait for itself")
            answer = await self._request(contact, KadMessage("FIND_NODE", wire))
            for closer in answer.closer:
                if closer.peer == peer and closer.addresses:
                    addresses.extend(closer.addresses)
                    lookup.stop()
            return answer

        lookup = self._lookup(place_of_peer(peer), ask)
        await lookup.run()
        return addresses

    async def run(self) -> None:
        """Look around our own place soon after a newcomer, and every ten minutes; for ever."""
        walks = 0
        while True:
            with trio.move_on_after(WALK_INTERVAL_S * random.uniform(0.8, 1.2)) as quiet:
                await self._walk_wanted.wait()
            walks = 0 if quiet.cancelled_caught else walks + 1
            await trio.sleep(min(FIRST_WALK_S * 2 ** min(8, max(0, walks - QUICK_WALKS)), LAST_WALK_S))
            self._walk_wanted = trio.Event()
            await self.walk()
            await self.client.close_idle()

    async def walk(self) -> None:
        """Fill the routing table with the peers nearest to us, and with some of a random place."""
        for place, wire in ((place_of_peer(self._peer), to_id(self._peer).to_bytes()), self._somewhere()):

            async def ask(contact: Contact, wire: bytes = wire) -> KadMessage:
                return await self._request(contact, KadMessage("FIND_NODE", wire))

            with trio.move_on_after(LOOKUP_S):
                await self._lookup(place, ask, linger_s=REQUEST_S).run()  # who is dead shall leave the table
        log.debug("the routing table holds %d peers", len(self.table))

    def _somewhere(self) -> tuple[int, bytes]:
        wire = wire_key(random.randbytes(KEY_BYTES))
        return place_of(wire), wire

    def _lookup(self, place: int, ask: Ask, *, linger_s: float = LINGER_S) -> Lookup:
        start = self.table.closest(place, BUCKET_PEERS)
        return Lookup(place, self._peer, start, ask, patience_of=self._patience_of, linger_s=linger_s)

    def _patience_of(self, peer: PeerId) -> float:
        return self._patience.of(peer, trio.current_time(), connected=self._is_connected(peer))

    async def _nearest(self, wire: bytes) -> Neighbourhood:
        lookup = self._lookup(place_of(wire), lambda contact: self._request(contact, KadMessage("FIND_NODE", wire)))
        with trio.move_on_after(LOOKUP_S):
            await lookup.run()
        return Neighbourhood(lookup.answered, lookup.ball_bits)

    async def _request(self, contact: Contact, *messages: KadMessage) -> KadMessage:
        """A request that keeps the routing table true: who answers is in it, who does not any more is not."""
        began, connected = trio.current_time(), self._is_connected(contact.peer)
        if self._resting.get(contact.peer, 0.0) > began and not connected:
            raise NetworkError(f"{contact.peer} could not be reached a moment ago")
        try:
            answer = await self.client.request(contact, *messages)
        except P2pnodeError:
            self._patience.doubt(contact.peer, trio.current_time())
            self._on_failure(contact.peer)
            raise
        except trio.Cancelled:
            if trio.current_time() - began > self._patience_of(contact.peer):
                self._patience.doubt(contact.peer, trio.current_time())
            raise
        if len(messages) == 1:
            self._patience.answered(contact.peer, trio.current_time() - began, connected=connected)
        self._failures.pop(contact.peer, None)
        self.table.add(contact, self._is_connected)
        return answer

    def _on_failure(self, peer: PeerId) -> None:
        failures = self._failures.pop(peer, 0) + 1
        if peer in self.table and self._is_connected(peer) and failures < MAX_FAILURES:
            self._failures[peer] = failures
        else:
            self.table.remove(peer)
            self._resting.pop(peer, None)
            self._resting[peer] = trio.current_time() + REST_S
            if len(self._resting) > MAX_RESTING:
                self._resting.popitem(last=False)

    async def _tell(self, contact: Contact, wires: Sequence[bytes]) -> bool | None:
        own, asked = self._own(), random.choice(wires)
        adds = [KadMessage("ADD_PROVIDER", wire, providers=(own,)) for wire in wires]
        try:
            answer = await self._request(contact, *adds, KadMessage("GET_PROVIDERS", asked))
        except P2pnodeError:
            return None
        is_full = len(answer.providers) >= BUCKET_PEERS  # others came first; that says nothing of the other keys
        return any(provider.peer == own.peer for provider in answer.providers) or (is_full and len(wires) > 1)
