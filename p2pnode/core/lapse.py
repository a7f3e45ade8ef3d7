"""Since when a decision is lost only because vouches ran out: nobody changed his mind, somebody forgot to renew (design 4.3).

The graph changes by expiry on few days; on each of them the question is counted as it would have been the day before, with today's
ballots, today's revocations and nothing of that day's. The last day on which it still held ends the search. Bounded, since every
day costs a tally: what lapsed longer ago is simply not adopted. Called by `core.verdict` for an explanation.
"""

from __future__ import annotations

from p2pnode.core.electorate import Electorate
from p2pnode.core.membership import Membership, active_vouches
from p2pnode.core.proposals import Question
from p2pnode.core.records import APPROVE
from p2pnode.core.standing import Standing
from p2pnode.core.tally import Counter

MAX_EXPIRY_DAYS = 16
"""Days on which vouches ran out that are looked at, the latest first: each costs as much as the tally itself."""


def lapse_day(electorate: Electorate, standing: Standing, question: Question, day: int) -> int | None:
    """The UTC day on which it stopped to be adopted by expiry alone, for a question that is not adopted on `day`; else None."""
    charter, ballots = electorate.charter, standing.ballots.of(question.id)
    rule = charter.classes.get(question.class_)
    if rule is None or sum(ballot.choice == APPROVE for ballot in ballots) < rule.q:
        return None
    runs_out = {vouch.day + charter.vouch_days for vouch in standing.vouches if vouch.fields["choice"] == 1}
    for lost in sorted((one for one in runs_out if one <= day), reverse=True)[:MAX_EXPIRY_DAYS]:
        vouches = active_vouches(standing.vouches, vouch_days=charter.vouch_days, day=lost - 1)
        before = Membership.of(charter.stewards, vouches, electorate.expelled)
        cast = tuple(ballot for ballot in ballots if ballot.key in before.index)
        if Counter(charter, before).count(question, cast).outcome == "adopted":
            return lost
    return None
