"""SPAKE2, as pairing uses it: two sides that know six digits get one key, and whoever guesses learns only whether he was right.

A thin wall around the library `spake2`: its arithmetic is Python's own and not constant in time, which is why a secret is used for a few
minutes and three tries only (decision note). Blocking for some milliseconds; `services.devices_pairing` calls it in a thread.
"""

from __future__ import annotations

from typing import Literal

from spake2 import SPAKE2_A, SPAKE2_B

from p2pnode.core.ids import PeerId
from p2pnode.errors import PeerError

Side = Literal["A", "B"]


class Exchange:
    """One side of one exchange, to be used once."""

    def __init__(self, side: Side, password: bytes, *, enters: PeerId, shows: PeerId) -> None:
        """`enters` is the peer ID of side A, `shows` that of B: a key is good between these two and no others."""
        kind = SPAKE2_A if side == "A" else SPAKE2_B
        self._spake = kind(password, idA=enters.encode(), idB=shows.encode())
        self.element: bytes = self._spake.start()
        """33 bytes for the other side."""

    def finish(self, element: bytes) -> bytes:
        """32 bytes that both sides have if both knew the password. PeerError for what is no element of the other side."""
        try:
            return bytes(self._spake.finish(element))
        except Exception as error:  # the library raises errors of many classes for points that are none
            raise PeerError("what it sent is no element of a key exchange") from error
