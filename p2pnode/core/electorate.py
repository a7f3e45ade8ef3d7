"""The members who decide under one charter on one day, and the tallies of what was put to them.

A tally depends on the charter, the members with their vouches, the question and members' ballots on it, on nothing else: so an
electorate outlives the view that made it, and counts again only where ballots changed. Called by `core.rules` and `core.verdict`,
in a worker thread, one call at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from functools import cached_property

from p2pnode.core.charter import Charter
from p2pnode.core.ids import PublicKey, QuestionId
from p2pnode.core.membership import Membership
from p2pnode.core.proposals import Question
from p2pnode.core.standing import Ballot
from p2pnode.core.tally import Counter, Tally

MAX_KEPT_COUNTED = 5_000_000
"""Ballots that count, of all steward sets of all tallies kept: some 40 MB. What is beyond is counted again when it is asked again."""


class Electorate:
    """Members under a charter. Two with equal `charter`, `membership` and `expelled` are interchangeable."""

    def __init__(self, charter: Charter, membership: Membership, expelled: Collection[PublicKey] = ()) -> None:
        self.charter = charter
        self.membership = membership
        self.expelled = frozenset(expelled)
        self._tallies: dict[QuestionId, tuple[bytes, Tally]] = {}
        self._kept = 0

    @cached_property
    def counter(self) -> Counter:
        """What counts ballots on this graph of vouches."""
        return Counter(self.charter, self.membership)

    def has(self, key: PublicKey) -> bool:
        """Whether that key is a member."""
        return key in self.membership.index

    def of_members(self, ballots: Iterable[Ballot]) -> tuple[Ballot, ...]:
        """Those of the ballots that members cast."""
        return tuple(ballot for ballot in ballots if self.has(ballot.key))

    def tally(self, question: Question, ballots: Iterable[Ballot]) -> Tally:
        """The tally of a question from all ballots that stand on it, members' or not."""
        counted = self.of_members(ballots)
        digest = _digest(counted)
        known = self._tallies.get(question.id)
        if known is not None and known[0] == digest:
            return known[1]
        tally = self.counter.count(question, counted)
        size = sum(len(one.approve) + len(one.reject) for one in tally.sets)
        if known is not None or self._kept + size <= MAX_KEPT_COUNTED:
            self._kept += 0 if known is not None else size
            self._tallies[question.id] = digest, tally
        return tally


def _digest(ballots: Iterable[Ballot]) -> bytes:
    """What stands for these ballots: equal if they are the same records."""
    said = hashlib.sha256()
    for ballot in ballots:
        said.update(ballot.key + ballot.choice.encode() + b"".join(ballot.records))
    return said.digest()
