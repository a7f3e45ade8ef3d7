"""One question as it stands today: who asked, which ballots stand, what the tally says, and what is still needed.

A value without behaviour that costs anything; made by `core.verdict`, read by `core.explain`, the services and the screens.
A question is *adopted* as long as the rule holds, and for good once its seals settled it; else *stale* when what it builds on is no longer
the last word; else *withdrawn* when everybody who asked took it back; else *open*. This is live: more ballots or vouches may
flip it, and a withdrawal that came too late counts as soon as the question is no longer adopted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from p2pnode.core.ballot_box import MAX_KEPT_BALLOTS
from p2pnode.core.ids import PublicKey, QuestionId
from p2pnode.core.proposals import Question
from p2pnode.core.records import ABSTAIN, APPROVE, REJECT
from p2pnode.core.standing import VOID, Asked, Ballot
from p2pnode.core.tally import Tally

State = Literal["open", "adopted", "withdrawn", "stale", "lifted"]
Fate = Literal["open", "effective", "idle", "superseded", "stale", "lifted"]
"""Beyond the tally: it has its effect today; or it is adopted and idle (it waits for seals, or for what it builds on), superseded by a
later adopted one, or lifted by an appeal; or, adopted or not, stale: what it builds on is no longer the last word."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Ballots cast, whether they count or not. The first four are of members; `outside` are non-members' of any choice."""

    approve: int
    reject: int
    abstain: int
    void: int
    outside: int


@dataclass(frozen=True, slots=True)
class Sealing:
    """Of a question whose class is sealed: stewards who sealed it, sorted, and how many it takes."""

    by: tuple[PublicKey, ...]
    needed: int

    @property
    def missing(self) -> int:
        """Seals that are still needed."""
        return max(0, self.needed - len(self.by))


@dataclass(frozen=True, slots=True)
class Decision:
    """`ballots` are all that stand on the question, sorted by key; `of_members` those whose key is a member today.

    `fate` is "open" as long as nothing is to be said beyond the tally.
    """

    asked: Asked
    ballots: tuple[Ballot, ...]
    of_members: tuple[Ballot, ...]
    tally: Tally
    fate: Fate = "open"
    sealing: Sealing | None = None

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.asked.question

    @property
    def state(self) -> State:
        """Open, adopted, stale, lifted or withdrawn, as of today."""
        if self.fate == "stale" or self.fate == "lifted":
            return self.fate
        if self.is_adopted:
            return "adopted"
        return "withdrawn" if self.asked.is_withdrawn else "open"

    @property
    def is_adopted(self) -> bool:
        """Whether the tally adopts it or its seals settled it, whatever became of it afterwards: it belongs to the circle's history."""
        return self.effective or self.tally.outcome == "adopted"

    @property
    def effective(self) -> bool:
        """Whether it has the effect that it asks for, today."""
        return self.fate == "effective"

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
        if self.state in _NOTHING_MORE:
            return self._needs_to_have_effect if self.state == "adopted" else _NOTHING_MORE[self.state]
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

    @property
    def _needs_to_have_effect(self) -> str:
        if self.fate == "superseded":
            return "nothing: it is adopted, and a later adopted one has taken its place"
        if self.fate == "idle" and self.sealing is not None and self.sealing.missing:
            return f"seals of stewards after the cooldown: {self.sealing.missing} more"
        if self.fate == "idle":
            return "nothing more: it is adopted, and takes effect once what it builds on does"
        return "nothing: it is adopted"


class Decisions(dict[QuestionId, Decision]):
    """Decisions that were made, by question; of very many only the latest, since each holds its ballots."""

    def __init__(self) -> None:
        super().__init__()
        self._ballots = 0

    def __setitem__(self, id: QuestionId, decision: Decision) -> None:
        self.pop(id, None)
        super().__setitem__(id, decision)
        self._ballots += len(decision.ballots)
        while self._ballots > MAX_KEPT_BALLOTS and len(self) > 1:
            self.pop(next(iter(self)))

    def pop(self, id: QuestionId, default: None = None) -> Decision | None:  # type: ignore[override]
        """Forget a decision."""
        gone = super().pop(id, default)
        self._ballots -= len(gone.ballots) if gone else 0
        return gone

    def copy(self) -> Decisions:
        """Another that holds the same."""
        other = Decisions()
        other.update(self)
        other._ballots = self._ballots
        return other


_NOTHING_MORE: Final[Mapping[str, str]] = {
    "adopted": "nothing: it is adopted",
    "stale": "a new proposal: what this one builds on has changed since",
    "lifted": "nothing: it was adopted, and an appeal lifted it",
    "withdrawn": "nothing: whoever proposed it took it back",
}
