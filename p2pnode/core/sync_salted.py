"""An index as it was at one moment, with fingerprints that nobody can prepare for: for the one session a day that is salted.

The usual fingerprint adds up ids, so that an insert costs little; who mints enough ids can find two sets with one sum. Here a range's
fingerprint is a hash over all of its keys behind a salt that the initiator draws for this session alone. It reads every key of
the range, so it is counted, and bounded. Called by `core.reconcile`; may be used in another thread than the index itself.
"""

from __future__ import annotations

import hashlib

from p2pnode.core.sync_index import FINGERPRINT_BYTES, SyncIndex
from p2pnode.errors import PeerError

SALT_BYTES = 16
MAX_READINGS = 16
"""How often all keys may be read in one session: an honest one of a million records reads them ten times, if they differ everywhere."""
LEAST_KEYS = 1 << 16
"""As if at least so many were held: small circles need no bound."""


class SaltedIndex(SyncIndex):
    """A copy of `index` that does not follow it."""

    def __init__(self, index: SyncIndex, salt: bytes) -> None:
        super().__init__()
        self._take_over(index)
        self._salt = salt
        self._readable = MAX_READINGS * max(len(index), LEAST_KEYS)

    def fingerprint(self, lower: bytes, upper: bytes | None) -> bytes:
        """First 16 bytes of SHA-256(salt || the keys in the range, in order). PeerError if the peer made us read too many."""
        self._readable -= self.count(lower, upper)
        if self._readable < 0:
            raise PeerError("the peer made us read everything again and again")
        told = hashlib.sha256(self._salt)
        for piece in self.pieces(lower, upper):
            told.update(piece)
        return told.digest()[:FINGERPRINT_BYTES]
