"""Who signs: the profile key, or in a circle the pseudonym that only this identity can derive."""

from __future__ import annotations

from p2pnode.core.ids import NO_CIRCLE, CircleId
from p2pnode.core.keys import KeyPair, profile_key, pseudonym
from p2pnode.errors import NotFoundError
from p2pnode.ports import Tx


class Me:
    """The person behind this node. Holds the identity's seed; never prints it."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.profile = profile_key(seed)

    def key(self, tx: Tx, circle: CircleId) -> KeyPair:
        """The key that signs in a circle (NO_CIRCLE: the profile key). NotFoundError if we are not in it."""
        if circle == NO_CIRCLE:
            return self.profile
        salt = tx.circle_salt(circle)
        if salt is None:
            raise NotFoundError("this node is not in that circle", hint="see: p2pnode circle list")
        return pseudonym(self._seed, salt)

    def key_for_salt(self, salt: bytes) -> KeyPair:
        """The pseudonym for a circle that we are about to found or join."""
        return pseudonym(self._seed, salt)

    def __repr__(self) -> str:
        return "Me(...)"
