"""The side of who asks a relay: for a place, or for a peer that has one. Used by `reservations` and `relaying`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.peer.id import ID

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, PeerError
from p2pnode.net.addresses import peer_id, split_address
from p2pnode.net.relay.circuit import raw_circuit
from p2pnode.net.relay.messages import (
    MAX_MESSAGE_BYTES,
    WORDS,
    HopMessage,
    Reservation,
    Status,
    decode_hop,
    encode_hop,
)
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import Stream

RESERVE_S = 10.0
"""For a place: a dial if need be, one question and its answer."""

OpenHop = Callable[[PeerId, str], Awaitable[Stream]]


class RelayClient:
    """Requests of one node. `open_hop` connects to a relay directly if need be (its address may be "") and opens a stream."""

    def __init__(self, swarm: Any, own: PeerId, open_hop: OpenHop) -> None:
        self._swarm = swarm
        self._own = own
        self._open_hop = open_hop

    async def reserve(self, relay: PeerId, address: str) -> Reservation:
        """A place at a relay, new or renewed. NetworkError says why there is none."""
        try:
            with trio.fail_after(RESERVE_S):
                stream = await self._open_hop(relay, address)
                try:
                    answer = await _ask(stream, HopMessage("RESERVE"))
                finally:
                    with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                        await stream.aclose()
        except trio.TooSlowError as error:
            raise NetworkError(f"{relay} does not answer as a relay") from error
        if answer.reservation is None:
            raise PeerError(f"{relay} gives a place and does not say for how long")
        return answer.reservation

    async def connect(self, target: ID, address: str) -> None:
        """A connection to `target` by a circuit address (without /p2p at its end). NetworkError says why there is none."""
        relay, where = split_address(address.removesuffix("/p2p-circuit"))
        if relay in (self._own, peer_id(target)):
            raise NetworkError(f"{address} leads nowhere: relay and peer are one, or the relay is this node")
        stream = await self._open_hop(relay, where)
        connected = False
        try:
            await _ask(stream, HopMessage("CONNECT", peer=peer_id(target)))
            await self._swarm.upgrade_outbound_raw_conn(raw_circuit(stream, relay, initiator=True), target)
            connected = True
        finally:
            if not connected:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await stream.reset()


async def _ask(stream: Stream, message: HopMessage) -> HopMessage:
    """The relay's answer, if it is a yes. NetworkError with its words if not, PeerError if it makes no sense."""
    await stream.send_all(encode_hop(message))
    data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
    if data is None:
        raise NetworkError(f"the relay {stream.peer} ended the stream instead of answering")
    try:
        answer = decode_hop(data)
    except DecodeError as error:
        raise PeerError(error.message) from error
    if answer.kind != "STATUS":
        raise PeerError(f"the relay {stream.peer} answered with a request")
    if answer.status != Status.OK:
        words = "it says no" if answer.status is None else WORDS[answer.status]
        raise NetworkError(f"the relay {stream.peer} refuses: {words}")
    return answer
