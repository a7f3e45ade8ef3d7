"""Who was named as a provider, by how many, and when a search has heard enough. Some of those who answer lie.

A few liars together can name whom they like, but they must not end a search before the honest were heard: so it goes on until QUORUM
peers in a row said nothing new. Each has one vote, shared among all that it names, and who has most comes first: twenty false names do
not push out a true one. Who asks for the same key again soon after was not content, and then MANY must agree. Pure; used by `net.dht`
for each search.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from p2pnode.core.ids import PeerId
from p2pnode.net.kad.wire import Contact

QUORUM = 6
"""Peers in a row that named some and nobody new end a search, as many as are asked at once: five liars do not; twenty hold a key."""
MANY = 2 * QUORUM - 1
"""Peers that named some end a search for what has more providers than are wanted: more of them are honest than lie. And so many in a row
end a search that is made again: who waited for all would wait for the dead."""
MAX_NAMED = 400
"""Providers noted in one search: twenty from each of the twenty nearest."""
AGAIN_S = 120.0
"""Who searches again within this time was not content."""
MAX_SEARCHES = 1000
"""Searches remembered for that."""


class Named:
    """What one search heard; without `own`. `thorough`: MANY must agree, however many it names."""

    def __init__(self, own: PeerId, limit: int, *, thorough: bool = False) -> None:
        self._own, self._limit, self._thorough = own, limit, thorough
        self._contacts: dict[PeerId, Contact] = {}
        self._votes: dict[PeerId, float] = {}
        self._namers = self._agreeing = 0

    def hear(self, contacts: Iterable[Contact]) -> None:
        """One peer's answer. Naming one provider twice counts once, and naming many gives each of them less."""
        others = {contact.peer: contact for contact in contacts if contact.peer != self._own}
        if not others:
            return
        is_news = False
        for peer, contact in others.items():
            if peer not in self._contacts:
                if len(self._contacts) >= MAX_NAMED:
                    continue
                self._contacts[peer], self._votes[peer], is_news = contact, 0.0, True
            self._votes[peer] += 1 / len(others)
        self._namers += 1
        self._agreeing = 1 if is_news else self._agreeing + 1

    @property
    def is_enough(self) -> bool:
        """Whether nobody need be asked any more."""
        if self._thorough:
            return self._agreeing >= MANY
        return self._agreeing >= QUORUM or (self._namers >= MANY and len(self._contacts) >= self._limit)

    def best(self) -> list[Contact]:
        """At most `limit`: those with the most votes first, and of these those that were named first."""
        ranked = sorted(self._contacts.values(), key=lambda contact: -self._votes[contact.peer])
        return ranked[: self._limit]


class Searches:
    """What was searched for lately."""

    def __init__(self) -> None:
        self._at: OrderedDict[bytes, float] = OrderedDict()

    def begin(self, key: bytes, now: float) -> bool:
        """Whether it was searched for a moment ago."""
        before = self._at.pop(key, None)
        self._at[key] = now
        if len(self._at) > MAX_SEARCHES:
            self._at.popitem(last=False)
        return before is not None and now - before < AGAIN_S
