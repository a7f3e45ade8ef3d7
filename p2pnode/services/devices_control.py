"""Driving another machine's node over `/p2pnode/control/1`: who is let in here, and the way to one's own devices.

The stream carries the language of the control socket, byte for byte; the rooms of the control socket speak it, this file only decides who
may. Nothing answers the protocol unless `remote` is set. Open sessions of a device end at once when it may drive no
longer. Called by `services.devices`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Protocol

import trio

from p2pnode.core.device_roles import DRIVE
from p2pnode.core.ids import PeerId
from p2pnode.errors import NetworkError, NotFoundError, RefusedError
from p2pnode.ports import Network, Stream
from p2pnode.services.devices_roster import Roster

CONTROL_PROTOCOL = "/p2pnode/control/1"
SESSIONS_PER_DEVICE = 8
"""A terminal UI, a few scripts."""
SESSIONS = 32
"""Of all devices together; each costs as much as a client of the control socket."""
OPEN_S = 20.0
"""For finding and dialling one's own device."""
UNPAIRED_POINTS = 20
"""For a peer that knocks without being a device of ours: five times and it is banned for a while."""

log = logging.getLogger("p2pnode.devices")


class RemoteDoor(Protocol):
    """What speaks the language of the control socket on a stream: the daemon has one."""

    async def serve(self, stream: Stream, device: str) -> None:
        """Until the stream ends; `device` is a name for the log."""
        ...


class RemoteControl:
    """Sessions of one's other devices, both ways."""

    def __init__(self, network: Network, roster: Roster) -> None:
        self._network, self._roster = network, roster
        self._open: dict[PeerId, list[trio.CancelScope]] = defaultdict(list)
        self.door: RemoteDoor | None = None

    def start(self, door: RemoteDoor) -> None:
        """Let devices in from now on."""
        self.door = door
        self._network.serve(CONTROL_PROTOCOL, self._admit, streams_per_peer=SESSIONS_PER_DEVICE)

    @property
    def sessions(self) -> int:
        """Sessions that are open now."""
        return sum(map(len, self._open.values()))

    async def reach(self, name: str) -> Stream:
        """A stream to one's device of that name. NotFoundError, RefusedError if it may not be driven; NetworkError says why not."""
        device = self._roster.find(name)
        if device.peer == self._network.peer_id:
            raise RefusedError(f"{name} is this very machine", hint="leave --node out")
        if not self._roster.is_ours(device.peer):
            raise RefusedError(f"{name} was revoked", hint="pair it again: p2pnode device pair")
        try:
            return await self._network.open_stream(device.peer, CONTROL_PROTOCOL, timeout_s=OPEN_S)
        except NotFoundError as error:
            raise NetworkError(error.message) from error
        except NetworkError as error:
            raise NetworkError(
                f"{name} cannot be driven: {error.message}",
                hint="is it on, and does it say remote = true in its config.toml?",
            ) from error

    def cut(self, peer: PeerId) -> None:
        """End what that device has open."""
        for scope in self._open.pop(peer, ()):
            scope.cancel()

    def cut_refused(self) -> None:
        """End what is open of devices that may drive no longer."""
        for peer in [peer for peer in self._open if not self._roster.allows(peer, DRIVE)]:
            self.cut(peer)

    async def _admit(self, stream: Stream) -> None:
        peer = stream.peer
        if self.door is None or not self._roster.allows(peer, DRIVE):
            if self._roster.of(peer) is None:
                self._network.penalise(peer, UNPAIRED_POINTS, "it is no device of this node's owner")
            log.warning("%s may not drive this node and was turned away", peer)
            raise NetworkError("it may not drive this node")
        if self.sessions >= SESSIONS:
            raise NetworkError(f"{SESSIONS} remote sessions are open")
        certificate = self._roster.of(peer)
        scope = trio.CancelScope()
        self._open[peer].append(scope)
        log.info("%s drives this node", certificate.name if certificate else peer)
        try:
            with scope:
                await self.door.serve(stream, certificate.name if certificate else peer)
        finally:
            if scope in self._open.get(peer, ()):
                self._open[peer].remove(scope)
                if not self._open[peer]:
                    del self._open[peer]
        if scope.cancelled_caught:
            raise NetworkError("its right to drive this node was taken back")
