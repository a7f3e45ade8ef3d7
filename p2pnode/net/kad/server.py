"""Answering other nodes' DHT requests: from the routing table, our provider records and the keys that we provide ourselves."""

from __future__ import annotations

from collections.abc import Callable

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError, UsageError
from p2pnode.net.kad.table import BUCKET_PEERS, RoutingTable, place_of
from p2pnode.net.kad.values import Values, check_key, check_value
from p2pnode.net.kad.wire import MAX_MESSAGE_BYTES, Contact, KadMessage, decode, encode
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import ProviderRecords, Stream, WallClock

REQUESTS_PER_S, REQUEST_BURST = 50.0, 100
"""Answered on one stream; with all that a peer may have open it keeps a tenth of a processor busy."""
IDLE_S = 60.0
"""A requester may keep its stream for the next request this long."""


class KadServer:
    """One node's answers. `provides` says whether we provide a key ourselves, `own` where we are."""

    def __init__(
        self,
        table: RoutingTable,
        records: ProviderRecords,
        clock: WallClock,
        provides: Callable[[bytes], bool],
        own: Callable[[], Contact],
    ) -> None:
        self._table = table
        self._records = records
        self._clock = clock
        self._provides = provides
        self._own = own
        self._values = Values()

    async def serve(self, stream: Stream) -> None:
        """One stream: requests and answers in turn until the peer ends it. PeerError on nonsense, NetworkError on a value."""
        allowed, since = float(REQUEST_BURST), trio.current_time()
        while True:
            with trio.move_on_after(IDLE_S) as patience:
                data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
            if patience.cancelled_caught or data is None:
                return
            now = trio.current_time()
            allowed, since = min(REQUEST_BURST, allowed + (now - since) * REQUESTS_PER_S) - 1, now
            if allowed < 0:  # no blame: whoever asks faster waits for the answer
                await trio.sleep(-allowed / REQUESTS_PER_S)
            try:
                request = decode(data)
            except DecodeError as error:
                raise PeerError(error.message) from error
            answer = encode(await self._answer(stream.peer, request))
            with trio.move_on_after(IDLE_S) as patience:
                await stream.send_all(answer)
            if patience.cancelled_caught:
                raise PeerError("the peer does not read its answer")

    async def _answer(self, sender: PeerId, request: KadMessage) -> KadMessage:
        if request.kind == "PING":
            return KadMessage("PING")
        if not request.key:
            raise PeerError("a DHT request without a key")
        if request.kind == "PUT_VALUE":
            return self._put(sender, request)
        if request.kind == "ADD_PROVIDER":
            await self._add(sender, request)
            return KadMessage("ADD_PROVIDER", request.key)
        closer = self._table.closest(place_of(request.key), BUCKET_PEERS, without=[sender])
        if request.kind in ("FIND_NODE", "GET_VALUE"):
            value = self._values.get(request.key, self._clock()) if request.kind == "GET_VALUE" else None
            return KadMessage(request.kind, request.key, closer=tuple(closer), value=value)
        return KadMessage(
            "GET_PROVIDERS", request.key, closer=tuple(closer), providers=tuple(await self.providers(request.key))
        )

    async def providers(self, key: bytes) -> list[Contact]:
        """Who provides `key` as far as this node knows, itself included."""
        held = await self._records.get(key, self._clock())
        found = [Contact(peer, tuple(addresses)) for peer, addresses in held]
        own = self._own()
        if self._provides(key):
            found = [own, *(contact for contact in found if contact.peer != own.peer)]
        return found[:BUCKET_PEERS]

    def _put(self, sender: PeerId, request: KadMessage) -> KadMessage:
        """NetworkError for what is legal elsewhere: the stream ends, and the peer keeps its good name. PeerError for a false value."""
        try:
            check_key(request.key)
        except UsageError as error:
            raise NetworkError(error.message) from error
        if request.value is None:
            raise PeerError("a value to be kept that is none")
        check_value(request.key, request.value)
        self._values.put(request.key, request.value, sender, self._clock())
        return KadMessage("PUT_VALUE", request.key, value=request.value)

    async def _add(self, sender: PeerId, request: KadMessage) -> None:
        for contact in request.providers:
            if contact.peer == sender:  # nobody may promise another's service
                await self._records.add(request.key, sender, contact.addresses, self._clock())
