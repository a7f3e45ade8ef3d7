"""The members who decide under one charter on one day, and the tallies of what was put to them.

A tally depends on the charter, the members with their vouches, the question and members' ballots on it, on nothing else: so an
electorate outlives the view that made it, and counts again only where ballots changed. Called by `core.rules` and `core.verdict`,
in a worker thread, one call at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property

from p2pnode.core.charter import Charter
from p2pnode.core.ids import PublicKey, QuestionId
from p2pnode.core.membership import Membership
from p2pnode.core.proposals import Question
from p2pnode.core.standing import Ballot
from p2pnode.core.tally import Counter, Tally


class Electorate:
    """Members under a charter. Two with equal `charter`, `membership` and `expelled` are interchangeable."""

    def __init__(self, charter: Charter, membership: Membership, expelled: Collection[PublicKey] = ()) -> None:
        self.charter = charter
        self.membership = membership
        self.expelled = frozenset(expelled)
        self._tallies: dict[QuestionId, tuple[tuple[Ballot, ...], Tally]] = {}

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
        known = self._tallies.get(question.id)
        if known is None or known[0] != counted:
            known = self._tallies[question.id] = counted, self.counter.count(question, counted)
        return known[1]
