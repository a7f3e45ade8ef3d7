"""How a vote stands before one casts a ballot: who has voted, what it takes, and how many bad keys the lead withstands.

Numbers only; the sentences are `core.rule_words`. Called by `services.questions` for every question that is told.
"""

from __future__ import annotations

from dataclasses import asdict

from p2pnode.core.decision import Decision
from p2pnode.core.tally import cost_to_flip
from p2pnode.core.verdict import CircleView
from p2pnode.ports import Json


def standing(view: CircleView, decision: Decision) -> Json:
    """`tolerates`: the most bad keys b with a lead above b times K, the tally's own measure (design 4.3); 0 where nobody leads.

    `cast` counts members' ballots of any choice; `rule` is absent where the charter names none for this class.
    """
    cast, k = decision.cast, decision.tally.k
    margin = decision.tally.worst.margin if decision.tally.worst else 0
    told: Json = {
        "cast": cast.approve + cast.reject + cast.abstain + cast.void,
        "members": len(view.members),
        "margin": margin,
        "tolerates": max(0, (margin - 1) // k),
        "cost_to_flip": cost_to_flip(decision.tally),
    }
    if (rule := decision.tally.rule) is not None:
        told["rule"] = asdict(rule) | {"k": k, "margin_over": rule.b * k}
    return told
