"""Hole punching of one node, joined for `net.network`: asks for a hole who was called through a relay, answers who called.

Only who opened a relayed connection itself answers on it, so that nobody has us call strangers by calling us; never while a direct
connection stands; and in all no more than MAX_ROUNDS a minute.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from p2pnode.core.ids import PeerId
from p2pnode.errors import DecodeError, NetworkError, P2pnodeError, PeerError
from p2pnode.net.addresses import host_of, to_id
from p2pnode.net.dial import dial
from p2pnode.net.hardening.swarm import until_closed
from p2pnode.net.peers import Peers
from p2pnode.net.places import origin_of
from p2pnode.net.punch.messages import MAX_MESSAGE_BYTES, PROTOCOL, HolePunch, decode, encode
from p2pnode.net.punch.opening import open_at_once
from p2pnode.net.punch.retiring import retire
from p2pnode.net.punch.rules import punchable
from p2pnode.net.relay.circuit import is_relayed
from p2pnode.net.stream import Libp2pStream
from p2pnode.net.varint import receive_prefixed
from p2pnode.ports import Stream

log = logging.getLogger("p2pnode.net")

ROUNDS = 3
"""The specification's: one lost packet or one wrong measure of the round trip ends no hope."""
ALONE_S = 5.0
"""For a call without the other side's help, to public addresses that it told."""
TALK_S = 10.0
"""For each message of the other side."""
AGAIN_S = 600.0
"""Until a peer that stays relayed is tried again: routers are replaced and laptops carried about."""
LOOK_S = 1.0
MAX_ROUNDS = 60
"""Begun in a minute, on either side: ours are few, and whoever wants to make us knock at doors has not more."""
MAX_PUNCHING = 8
"""Peers punched at once."""

OpenStream = Callable[[PeerId, str, Sequence[Any]], Awaitable[Libp2pStream]]


class Punching:
    """`open_stream` opens one on one of these connections; `own_addresses`: where others see us, then our direct ones; `is_banned` is asked
    before calls."""

    def __init__(
        self,
        swarm: Any,
        own: PeerId,
        peers: Peers,
        open_stream: OpenStream,
        own_addresses: Callable[[], Sequence[str]],
        is_banned: Callable[[PeerId], bool],
        nursery: trio.Nursery,
    ) -> None:
        self._swarm = swarm
        self._own = own
        self._peers = peers
        self._open_stream = open_stream
        self._own_addresses = own_addresses
        self._is_banned = is_banned
        self._nursery = nursery
        self._again_at: dict[PeerId, float] = {}
        self._at_work: set[PeerId] = set()
        self._begun: deque[float] = deque(maxlen=MAX_ROUNDS)
        peers.on_gone.append(self._forget)
        peers.on_more.append(self._came_again)

    def _forget(self, peer: PeerId) -> None:
        self._again_at.pop(peer, None)

    def addresses(self) -> list[str]:
        """Where a hole would lead to us: where others see us, and what public addresses we have."""
        return punchable(self._own_addresses())

    # who was called asks (the specification's B)

    async def run(self) -> None:
        """Ask peers that came through a relay for a direct connection; for ever."""
        while True:
            await trio.sleep(LOOK_S)
            now = trio.current_time()
            for peer in self._peers.speaking(PROTOCOL):
                if len(self._at_work) >= MAX_PUNCHING:
                    break
                if peer not in self._at_work and self._again_at.get(peer, now) <= now and self._is_to_ask(peer):
                    self._again_at[peer] = now + AGAIN_S
                    self._at_work.add(peer)
                    self._nursery.start_soon(self._contained, peer)

    def changed(self) -> None:
        """We are somewhere else than before: what failed may work now."""
        self._again_at.clear()

    def _is_to_ask(self, peer: PeerId) -> bool:
        """Whether it called us through a relay, there is no other way, and one could be. If we called it too, one of us asks."""
        calls = [one.muxed_conn for one in self._peers.connections(peer)]
        if not all(map(is_relayed, calls)):
            return False
        called = {muxed.is_initiator for muxed in calls}
        ours = False in called and (True not in called or self._own < peer)
        return ours and bool(self.addresses() or self._told(peer))

    def _told(self, peer: PeerId) -> list[str]:
        introduction = self._peers.introduction(peer)
        return punchable(introduction.addresses) if introduction else []

    def _came(self, peer: PeerId) -> list[Any]:
        """The connections through relays that it opened."""
        return [
            one
            for one in self._peers.connections(peer)
            if is_relayed(one.muxed_conn) and not one.muxed_conn.is_initiator
        ]

    async def _contained(self, peer: PeerId) -> None:
        begun = trio.current_time()
        try:
            how = await self._upgrade(peer)
            if how:
                log.info("%s is connected directly after %.1f s: %s", peer, trio.current_time() - begun, how)
            else:
                log.info("there is no direct way to %s; the relay stays between", peer)
        except P2pnodeError as error:
            log.info("no hole to %s: %s", peer, error.message)
        except Exception as error:
            log.warning("punching a hole to %s: %r", peer, error)
        finally:
            self._at_work.discard(peer)

    async def _upgrade(self, peer: PeerId) -> str:
        """How it was done, "" if it was not. NetworkError."""
        if self._is_direct(peer) or await self._alone(peer):
            return "it can be reached from outside"
        for number in range(ROUNDS):
            stream = await self._open_stream(peer, PROTOCOL, self._came(peer))
            try:
                addresses, round_trip_s = await self._ask(stream)
                self._count()
                await trio.sleep(round_trip_s / 2)
                # who meets no opening but a listener is answered by a server, and has to be the client: the second round is for that
                if await self._open(peer, addresses, client=number == 1):
                    return "a hole was punched"
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await stream.aclose()
        return ""

    async def _alone(self, peer: PeerId) -> bool:
        addresses = self._told(peer)
        if not addresses or self._is_banned(peer):
            return False
        try:
            await dial(self._swarm, to_id(peer), addresses, timeout_s=ALONE_S)
        except NetworkError as error:
            log.debug("%s is not reached from outside: %s", peer, error.message)
        return self._is_direct(peer)

    async def _ask(self, stream: Stream) -> tuple[list[str], float]:
        """(addresses of the other side, seconds of a round trip); it knows then that it has to begin."""
        begun = trio.current_time()
        await stream.send_all(encode("CONNECT", self.addresses()))
        answer = await _receive(stream)
        round_trip_s = trio.current_time() - begun
        if answer is None or answer.kind != "CONNECT":
            raise PeerError("it does not answer by naming its addresses")
        addresses = punchable(answer.addresses)
        if not addresses:
            raise NetworkError("it names no address that could be called")
        await stream.send_all(encode("SYNC"))
        return addresses, round_trip_s

    # who called answers (the specification's A)

    async def serve(self, stream: Libp2pStream) -> None:
        """One stream: rounds, until a direct connection stands. PeerError on nonsense, NetworkError for what was not called for."""
        muxed = stream.raw.muxed_conn
        if not is_relayed(muxed) or not muxed.is_initiator or self._is_direct(stream.peer):
            raise NetworkError("nobody waits for a hole here")
        for _ in range(ROUNDS):
            asked = await _receive(stream)
            if asked is None:
                return
            if asked.kind != "CONNECT":
                raise PeerError("it begins without naming its addresses")
            addresses = punchable(asked.addresses)
            if not addresses:
                raise NetworkError("it names no address that could be called")
            self._count()
            await stream.send_all(encode("CONNECT", self.addresses()))
            begin = await _receive(stream)
            if begin is None or begin.kind != "SYNC":
                raise PeerError("it does not say when to begin")
            if await self._open(stream.peer, addresses, client=True):
                return

    # both

    def _is_direct(self, peer: PeerId) -> bool:
        return self._peers.is_connected_directly(peer)

    def _count(self) -> None:
        """One more round. NetworkError if there were too many lately."""
        now = trio.current_time()
        if len(self._begun) == MAX_ROUNDS and self._begun[0] > now - 60.0:
            raise NetworkError("too many holes are wanted at once")
        self._begun.append(now)

    async def _open(self, peer: PeerId, addresses: Sequence[str], *, client: bool) -> bool:
        if self._is_banned(peer):
            raise NetworkError(f"{peer} is banned for a while")

        async def take(muxed: Any) -> None:
            self._nursery.start_soon(self._hold, muxed, host_of(addresses[0]))
            await trio.lowlevel.checkpoint()

        def is_there() -> bool:
            return self._is_direct(peer)

        return await open_at_once(self._swarm, peer, addresses, client=client, take=take, is_there=is_there)

    async def _hold(self, muxed: Any, host: str) -> None:
        """The place of a connection in which we are the server: it counts as inbound like any other."""
        async with self._swarm._inbound_limiter:
            await until_closed(muxed, self._swarm._places, origin_of(host))

    def _came_again(self, peer: PeerId) -> None:
        """Another connection to a peer: if it is direct, relayed ones are of no use any more."""
        if not self._is_direct(peer):
            return
        for connection in self._peers.connections(peer):
            if is_relayed(connection.muxed_conn) and not getattr(connection, "retiring", False):
                connection.retiring = True
                self._nursery.start_soon(self._retire, peer, connection)

    async def _retire(self, peer: PeerId, connection: Any) -> None:
        try:
            await retire(connection, lambda: self._is_direct(peer))
        except Exception as error:
            log.debug("closing a relayed connection: %r", error)
        finally:
            connection.retiring = False


async def _receive(stream: Stream) -> HolePunch | None:
    """The next message, None at the end. PeerError for nonsense, NetworkError for silence."""
    with trio.move_on_after(TALK_S):
        data = await receive_prefixed(stream, MAX_MESSAGE_BYTES)
        try:
            return None if data is None else decode(data)
        except DecodeError as error:
            raise PeerError(error.message) from error
    raise NetworkError("it does not say anything about the hole")
