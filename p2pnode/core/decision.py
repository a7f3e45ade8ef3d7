"""One question as it stands today: who asked, which ballots stand, what the tally says, and what is still needed.

A value without behaviour that costs anything; made by `core.verdict`, read by `core.explain`, the services and the screens.
A question is *adopted* as long as the rule holds; else *withdrawn* when everybody who asked took it back; else *open*. This is
live: more ballots or vouches may flip it, and a withdrawal that came too late counts as soon as the question is no longer adopted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from p2pnode.core.ids import PublicKey
from p2pnode.core.proposals import Question
from p2pnode.core.records import ABSTAIN, APPROVE, REJECT
from p2pnode.core.standing import VOID, Asked, Ballot
from p2pnode.core.tally import Tally

State = Literal["open", "adopted", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Cast:
    """Ballots cast, whether they count or not. The first four are of members; `outside` are non-members' of any choice."""

    approve: int
    reject: int
    abstain: int
    void: int
    outside: int


@dataclass(frozen=True, slots=True)
class Decision:
    """`ballots` are all that stand on the question, sorted by key; `of_members` those whose key is a member today."""

    asked: Asked
    ballots: tuple[Ballot, ...]
    of_members: tuple[Ballot, ...]
    tally: Tally

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.asked.question

    @property
    def state(self) -> State:
        """Open, adopted or withdrawn, as of today."""
        if self.tally.outcome == "adopted":
            return "adopted"
        return "withdrawn" if self.asked.is_withdrawn else "open"

    @property
    def approve(self) -> int:
        """Approving ballots that count, in the steward set with the smallest margin."""
        return len(self.tally.worst.approve) if self.tally.worst else 0

    @property
    def reject(self) -> int:
        """Rejecting ballots that count, in the same set."""
        return len(self.tally.worst.reject) if self.tally.worst else 0

    @property
    def abstain(self) -> int:
        """Members who abstain; they count nowhere."""
        return self.cast.abstain

    @property
    def cast(self) -> Cast:
        """How many ballots were cast."""
        choices = Counter(ballot.choice for ballot in self.of_members)
        outside = len(self.ballots) - len(self.of_members)
        return Cast(choices[APPROVE], choices[REJECT], choices[ABSTAIN], choices[VOID], outside)

    def choice_of(self, key: PublicKey) -> str | None:
        """What that key's ballot says (it may be void), or None without one."""
        return next((ballot.choice for ballot in self.ballots if ballot.key == key), None)

    @property
    def needs(self) -> str:
        """What is missing until it is adopted, in words."""
        rule, worst = self.tally.rule, self.tally.worst
        if self.state == "adopted":
            return "nothing: it is adopted"
        if self.state == "withdrawn":
            return "nothing: whoever proposed it took it back"
        if rule is None:
            return "a charter that names this class of decision"
        if self.tally.outcome == "pending":
            return "a simpler graph of vouches: this one costs too much to count"
        if worst is None:
            return "a charter with f of 1 or more: today no steward can be recalled"
        missing = max(rule.b * self.tally.k + 1 - worst.margin, rule.q - self.tally.least_approve)
        if rule.supermajority:
            missing = max(missing, *(2 * len(one.reject) - len(one.approve) for one in self.tally.sets))
        return f"{missing} more approving {'ballot that counts' if missing == 1 else 'ballots that count'}"
