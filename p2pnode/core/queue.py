"""Who looks at what first: open questions spread over the members, so that every question gets some and nobody has to look at all.

Rendezvous hashing: a question calls the few members with the smallest SHA-256(question || key). Everybody computes the same, nobody assigns
anything, and when the roll changes only few calls do. It is an order to read in, never a condition for a ballot to count. Pure; called
by `services.questions`.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence

from p2pnode.core.ids import PublicKey, QuestionId

REVIEWERS = 7
"""Members whom one question calls: enough that some are there this week, few enough that a circle of fifty is not called each time."""


def called(question: QuestionId, members: Sequence[PublicKey], how_many: int = REVIEWERS) -> frozenset[PublicKey]:
    """The members whom a question calls; all of them in a small circle."""
    if len(members) <= how_many:
        return frozenset(members)
    return frozenset(heapq.nsmallest(how_many, members, key=lambda key: hashlib.sha256(question + key).digest()))


def in_order(
    open_questions: Iterable[QuestionId], members: Sequence[PublicKey], me: PublicKey
) -> list[tuple[QuestionId, bool]]:
    """The open questions in my order: those that call me first, each group as given (oldest first), with whether it calls me."""
    marked = [(question, me in called(question, members)) for question in open_questions]
    return sorted(marked, key=lambda one: not one[1])
