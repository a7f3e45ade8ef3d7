"""The relay's side: gives places to peers that ask for one, and joins those who call them, within `RelayLimits`.

Nobody is relayed who came through a relay himself, and nobody is called who has no place or no direct connection. Served by
`relaying` when the setting `relay_serve` is on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.net.relay.circuit import host_of_connection, is_relayed
from p2pnode.net.relay.messages import (
    MAX_MESSAGE_BYTES,
    STOP_PROTOCOL,
    HopMessage,
    Reservation,
    Status,
    StopMessage,
    decode_hop,
    decode_stop,
    encode_hop,
    encode_stop,
)
from p2pnode.net.relay.places import Circuits, Places, RelayLimits, household
from p2pnode.net.relay.splice import splice
from p2pnode.net.stream import Libp2pStream
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import Stream, WallClock

REQUEST_S = 10.0
"""To say what is wanted; a request is one message."""
CALL_S = 10.0
"""To open a stream to who is called and hear whether it takes the call."""

OpenDirect = Callable[[PeerId, str], Awaitable[Stream]]


class Hop:
    """One relay. `open_direct` opens a stream on a direct connection that is there, `addresses` are our own without circuits,
    `carried` is told how many bytes went through."""

    def __init__(
        self,
        limits: RelayLimits,
        open_direct: OpenDirect,
        addresses: Callable[[], Sequence[str]],
        clock: WallClock,
        carried: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._carried = carried
        self._limits = limits
        self._open_direct = open_direct
        self._addresses = addresses
        self._clock = clock
        self._places = Places(limits)
        self._circuits = Circuits(limits)

    @property
    def places(self) -> int:
        """Places that are taken."""
        return self._places.count(self._clock())

    @property
    def circuits(self) -> int:
        """Circuits that are open."""
        return self._circuits.open

    def reserved(self, peer: PeerId) -> bool:
        """Whether a peer has a place here."""
        return self._places.holds(peer, self._clock())

    def gone(self, peer: PeerId) -> None:
        """The last connection of a peer went."""
        self._places.drop(peer)

    async def serve(self, stream: Libp2pStream) -> None:
        """One stream: one request, its answer, and what flows through the circuit. PeerError on nonsense."""
        request = await self._request(stream)
        if request is None:
            return
        if is_relayed(stream.raw.muxed_conn):
            await _answer(stream, Status.PERMISSION_DENIED)
        elif request.kind == "RESERVE":
            await self._reserve(stream)
        elif request.kind == "CONNECT" and request.peer is not None:
            await self._connect(stream, request.peer)
        else:
            status = Status.MALFORMED_MESSAGE if request.kind == "CONNECT" else Status.UNEXPECTED_MESSAGE
            await _answer(stream, status)
            raise PeerError("a request to this relay that is none")

    async def _request(self, stream: Libp2pStream) -> HopMessage | None:
        with trio.move_on_after(REQUEST_S):
            data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
            if data is None:
                return None
            try:
                return decode_hop(data)
            except DecodeError as error:
                await _answer(stream, Status.MALFORMED_MESSAGE)
                raise PeerError(error.message) from error
        raise NetworkError("nothing was asked of this relay in time")

    async def _reserve(self, stream: Libp2pStream) -> None:
        host = household(host_of_connection(stream.raw.muxed_conn))
        expires = self._places.reserve(stream.peer, host, self._clock())
        if expires is None:
            await _answer(stream, Status.RESERVATION_REFUSED)
            return
        granted = Reservation(int(expires), tuple(self._addresses()))
        ok = HopMessage("STATUS", reservation=granted, limit=self._limits.circuit, status=Status.OK)
        await stream.send_all(encode_hop(ok))

    async def _connect(self, stream: Libp2pStream, target: PeerId) -> None:
        host = household(host_of_connection(stream.raw.muxed_conn))
        if target == stream.peer or not self._places.holds(target, self._clock()):
            await _answer(stream, Status.NO_RESERVATION)
            return
        if not self._circuits.enter(stream.peer, host, target):
            await _answer(stream, Status.RESOURCE_LIMIT_EXCEEDED)
            return
        try:
            called = await self._call(stream.peer, target)
            if called is None:
                await _answer(stream, Status.CONNECTION_FAILED)
                return
            try:
                await stream.send_all(encode_hop(HopMessage("STATUS", limit=self._limits.circuit, status=Status.OK)))
                await splice(stream, called, self._limits.circuit, self._carried)
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await called.aclose()
        finally:
            self._circuits.leave(stream.peer, host, target)

    async def _call(self, source: PeerId, target: PeerId) -> Stream | None:
        """A stream to the target that took the call; None if it did not."""
        stream: Stream | None = None
        taken = False
        try:
            with trio.move_on_after(CALL_S):
                stream = await self._open_direct(target, STOP_PROTOCOL)
                await stream.send_all(encode_stop(StopMessage("CONNECT", peer=source, limit=self._limits.circuit)))
                data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
                taken = data is not None and decode_stop(data).status == Status.OK
        except (NetworkError, DecodeError):
            taken = False  # who called learns that; the target may be slow, gone, or of another mind
        finally:
            if stream is not None and not taken:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await stream.reset()
        return stream if taken else None


async def _answer(stream: Stream, status: Status) -> None:
    await stream.send_all(encode_hop(HopMessage("STATUS", status=status)))
