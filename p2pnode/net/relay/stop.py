"""The side of who is called: a relay where we hold a place announces a peer, and its stream becomes an inbound connection.

Who it really is, Noise proves, not the relay; then the connection passes the same gate as any other. Served by `relaying`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from multiaddr import Multiaddr

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.net.hardening.swarm import until_closed
from p2pnode.net.places import origin_of
from p2pnode.net.relay.circuit import is_relayed, raw_circuit
from p2pnode.net.relay.messages import MAX_MESSAGE_BYTES, Status, StopMessage, decode_stop, encode_stop
from p2pnode.net.stream import Libp2pStream
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import Stream

ANNOUNCE_S = 10.0
"""For the relay to say who calls."""
CALLS_PER_RELAY = 16
"""Circuits through one relay to us at once: what a relay of ours gives one IP address."""


class Stop:
    """One node's readiness to be called. `expects` says whether we hold a place at a relay."""

    def __init__(self, swarm: Any, expects: Callable[[PeerId], bool]) -> None:
        self._swarm = swarm
        self._expects = expects

    async def serve(self, stream: Libp2pStream) -> None:
        """One stream: an announcement, our answer, then the connection until it ends. PeerError on nonsense."""
        caller = await self._announced(stream)
        if not self._expects(stream.peer) or is_relayed(stream.raw.muxed_conn) or caller == stream.peer:
            await _answer(stream, Status.PERMISSION_DENIED)
            return
        slots: trio.CapacityLimiter = self._swarm._inbound_limiter
        try:
            slots.acquire_nowait()
        except trio.WouldBlock:
            await _answer(stream, Status.RESOURCE_LIMIT_EXCEEDED)
            return
        try:
            await _answer(stream, Status.OK)
            await self._take(stream)
        finally:
            slots.release()

    async def _announced(self, stream: Stream) -> PeerId:
        with trio.move_on_after(ANNOUNCE_S):
            data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
            if data is None:
                raise NetworkError("a relay announced nobody")
            try:
                message = decode_stop(data)
            except DecodeError as error:
                await _answer(stream, Status.MALFORMED_MESSAGE)
                raise PeerError(error.message) from error
            if message.kind == "CONNECT" and message.peer is not None:
                return message.peer
            await _answer(stream, Status.UNEXPECTED_MESSAGE)
            raise PeerError("a relay's announcement that is none")
        raise NetworkError("a relay announced nobody in time")

    async def _take(self, stream: Libp2pStream) -> None:
        where = Multiaddr(f"/p2p/{stream.peer}/p2p-circuit")
        try:
            muxed = await self._swarm.upgrade_inbound_raw_conn(raw_circuit(stream, stream.peer, initiator=False), where)
        except Exception as error:  # the layers of libp2p have many, and the peer can cause each
            raise NetworkError("a call through a relay came to nothing") from error
        # whoever comes through one relay counts as from one host, since who they are says nothing of where they are
        await until_closed(muxed, self._swarm._places, origin_of(f"relay {stream.peer}"))


async def _answer(stream: Stream, status: Status) -> None:
    await stream.send_all(encode_stop(StopMessage("STATUS", status=status)))
