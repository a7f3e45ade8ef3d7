"""The server of AutoNAT: dials a peer back and says whether that worked.

It dials nothing but the IP address that the asker is seen at, so it cannot be turned against others, and little enough of that not to
be a port scanner: few requests, few ports, and "it worked" only if the very peer answered there with its key. Nobody near, and
nobody who came through a relay, is dialled: that would say nothing. Each dial is a connection of its own, from a port of its own.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import deque
from collections.abc import Awaitable, Callable

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.net.addresses import host_of, is_circuit
from p2pnode.net.nat.dialback_messages import (
    MAX_MESSAGE_BYTES,
    DialBack,
    Dialled,
    Status,
    decode_request,
    encode_answer,
)
from p2pnode.net.places import origin_of
from p2pnode.net.punch.rules import LEAST_PORT, public_ip
from p2pnode.net.relay.circuit import host_of_connection, is_relayed
from p2pnode.net.stream import Libp2pStream
from p2pnode.net.varint import receive_prefixed

log = logging.getLogger("p2pnode.net")

REQUEST_S = 10.0
"""For the asker to say what it wants."""
DIAL_S = 6.0
"""For all dials of a request together: what takes longer is not reached in the sense of anybody who waits."""
MAX_ADDRESSES = 4
"""Dialled for one request."""
MAX_DIALLING = 8
"""Requests at once."""
A_MINUTE = 30
"""Requests served in a minute, in all."""
A_MINUTE_OF_ONE = 3
"""Of one range of addresses: who asks learns nothing new within seconds."""
MORE_PORTS = (80, 443)
"""Below LEAST_PORT only these: nodes of whoever has no other way in; mail and the like are left in peace."""

Dial = Callable[[PeerId, str], Awaitable[None]]
"""Returns when the very peer answered there; raises anything if not."""


class DialBacks:
    """Serves one node. `dial` makes a connection for this and closes it again."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._dialling = 0
        self._served: deque[tuple[float, str]] = deque()

    async def serve(self, stream: Libp2pStream) -> None:
        """One stream: one request and its answer. PeerError on nonsense, NetworkError for silence."""
        request = await self._request(stream)
        if request is None:
            return
        if request.peer is not None and request.peer != stream.peer:
            await stream.send_all(encode_answer(Dialled(Status.BAD_REQUEST), "only the asker is dialled"))
            raise PeerError("a request to dial somebody else")
        muxed = stream.raw.muxed_conn
        host = "" if is_relayed(muxed) else host_of_connection(muxed)
        addresses = dialable(host, request.addresses)
        if not addresses:
            await stream.send_all(encode_answer(Dialled(Status.DIAL_REFUSED), "no address to be dialled"))
            return
        if not self._may_serve(origin_of(host).range):
            await stream.send_all(encode_answer(Dialled(Status.DIAL_REFUSED), "too many requests"))
            return
        self._dialling += 1
        try:
            reached = await self._try(stream.peer, addresses)
        finally:
            self._dialling -= 1
        answer = Dialled(Status.OK, reached) if reached else Dialled(Status.DIAL_ERROR)
        await stream.send_all(encode_answer(answer, "" if reached else "not reached"))

    async def _request(self, stream: Libp2pStream) -> DialBack | None:
        with trio.move_on_after(REQUEST_S):
            data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
            if data is None:
                return None
            try:
                return decode_request(data)
            except DecodeError as error:
                await stream.send_all(encode_answer(Dialled(Status.BAD_REQUEST)))
                raise PeerError(error.message) from error
        raise NetworkError("nothing was asked of AutoNAT in time")

    def _may_serve(self, origin: str) -> bool:
        now = trio.current_time()
        while self._served and self._served[0][0] <= now - 60.0:
            self._served.popleft()
        of_one = sum(one == origin for _, one in self._served)
        if self._dialling >= MAX_DIALLING or len(self._served) >= A_MINUTE or of_one >= A_MINUTE_OF_ONE:
            return False
        self._served.append((now, origin))
        return True

    async def _try(self, peer: PeerId, addresses: list[str]) -> str:
        """The first address where it worked, "" if none did: all at once, as they are one host's."""
        reached: list[str] = []
        with trio.move_on_after(DIAL_S):
            async with trio.open_nursery() as nursery:

                async def attempt(address: str) -> None:
                    try:
                        await self._dial(peer, address)
                    except Exception as error:  # the layers of libp2p have many, and the peer can cause each
                        log.debug("%s is not reached at %s: %r", peer, address, error)
                        return
                    reached.append(address)
                    nursery.cancel_scope.cancel()

                for address in addresses:
                    nursery.start_soon(attempt, address)
        return reached[0] if reached else ""


def dialable(host: str, addresses: tuple[str, ...]) -> list[str]:
    """Of what a peer that is seen at `host` names: what may be dialled. Nothing unless `host` is public."""
    if public_ip(f"/ip6/{host}/tcp/1" if ":" in host else f"/ip4/{host}/tcp/1") is None:
        return []
    seen_at = ipaddress.ip_address(host)
    kept: dict[str, None] = {}
    for address in addresses:
        if is_circuit(address) or not address.startswith(("/ip4/", "/ip6/")):
            continue  # a name could lead anywhere
        port = int(address.split("/")[4])
        if ipaddress.ip_address(host_of(address)) == seen_at and (port >= LEAST_PORT or port in MORE_PORTS):
            kept[address] = None
    return list(kept)[:MAX_ADDRESSES]
