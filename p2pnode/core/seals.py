"""Which seals stand: stewards' signed words that a decision of a sealed class was adopted all through its cooldown (design 4.3).

Records cannot watch a clock, stewards can. A seal names the question and, in `base`, the charter it was sealed upon. For a change
of rules that charter is the question's own base, and one steward may seal one successor of a charter only: two sealed ones are
proof of a broken promise, and both seals are void. Decisions about persons do not exclude each other, so a steward may seal many upon
one charter. Whether a signer was a steward of that charter, and how many suffice, is asked in `core.rules`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from p2pnode.core.fields import digest
from p2pnode.core.ids import PublicKey, QuestionId, RecordId
from p2pnode.core.proposals import RULE_CLASSES, SEALED_CLASSES
from p2pnode.core.record import Record
from p2pnode.core.standing import Asked

SealedUpon = tuple[QuestionId, RecordId]
"""A question, and the charter on whose terms it was sealed."""


@dataclass(frozen=True, slots=True)
class Seals:
    """`standing`: who sealed what, whether steward or not. `void`: (author, charter) -> the two records that contradict each other.

    `broken`: the same pairs -> every question that such an author sealed as the successor of that one charter.
    """

    standing: Mapping[SealedUpon, frozenset[PublicKey]]
    void: Mapping[tuple[PublicKey, RecordId], tuple[RecordId, RecordId]]
    broken: Mapping[tuple[PublicKey, RecordId], frozenset[QuestionId]] = field(default_factory=dict)

    @classmethod
    def of(cls, seals: Iterable[Record], questions: Mapping[QuestionId, Asked]) -> Seals:
        """Sort out seal records. One on a question that is not held, or of a class that is not sealed, is as if it were not there."""
        of_rules: dict[tuple[PublicKey, RecordId], dict[QuestionId, RecordId]] = defaultdict(dict)
        standing: dict[SealedUpon, set[PublicKey]] = defaultdict(set)
        for seal in sorted(seals, key=lambda one: one.id, reverse=True):
            asked = questions.get(QuestionId(seal.target))
            if asked is None or asked.question.class_ not in SEALED_CLASSES:
                continue
            question, upon = asked.question, RecordId(digest(seal.fields, "base"))
            if question.class_ not in RULE_CLASSES:
                standing[question.id, upon].add(seal.author)
            elif question.base == upon:
                of_rules[seal.author, upon][question.id] = seal.id  # the smallest id of several, coming last
        void: dict[tuple[PublicKey, RecordId], tuple[RecordId, RecordId]] = {}
        for (author, upon), sealed in of_rules.items():
            if len(sealed) == 1:
                standing[next(iter(sealed)), upon].add(author)
            else:
                first, second = sorted(sealed.values())[:2]
                void[author, upon] = first, second
        broken = {pair: frozenset(of_rules[pair]) for pair in void}
        return cls({key: frozenset(authors) for key, authors in standing.items()}, void, broken)

    def by(self, question: QuestionId, upon: RecordId) -> frozenset[PublicKey]:
        """Whose seal stands on a question upon a charter."""
        return self.standing.get((question, upon), frozenset())
