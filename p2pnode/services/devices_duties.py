"""What this machine does for others, as far as its person's certificate allows: serve works, relay, mend.

A machine that was never paired does everything; a paired one what its certificate names, and a revoked one nothing. The person's own
machines are always served: else nothing could be fetched from a server that serves nobody else. What signs is refused elsewhere
(`Devices.refuse_signing`), and so is following the person's circles (`SharedState`). Made by the node; asked by whoever would do the work.
"""

from __future__ import annotations

from p2pnode.core.device_roles import RELAY, REPAIR, SEED
from p2pnode.core.ids import PeerId
from p2pnode.ports import Network
from p2pnode.services.devices_roster import Roster


class Duties:
    """One node's. `start` once certificates are loaded."""

    def __init__(self, roster: Roster, network: Network) -> None:
        self._roster, self._network = roster, network

    def start(self) -> None:
        """Do from now on what is allowed, and follow it when that changes."""
        self._roster.on_changed.append(self._settle)
        self._settle()

    def seeds(self) -> bool:
        """Whether strangers are served, and told what is here."""
        return self._may(SEED)

    def serves(self, peer: PeerId) -> bool:
        """Whether this peer gets blocks."""
        return self.seeds() or self._roster.is_ours(peer)

    def repairs(self) -> bool:
        """Whether damage is mended without being asked for."""
        return self._may(REPAIR)

    def _may(self, role: str) -> bool:
        mine = self._roster.mine
        return mine is None or mine.allows(role)

    def _settle(self) -> None:
        self._network.relay_for_others(self._may(RELAY))
