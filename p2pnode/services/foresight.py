"""What a change of rules would bring with it, that its rules do not say. Pure; called by `services.questions`.

Rules that a circle cannot meet are for ever: it could not change them back either. People should know before they vote.
"""

from __future__ import annotations

from p2pnode.core.charter import Charter
from p2pnode.core.proposals import WORK_CLASSES
from p2pnode.ports import Json


def foresight(base: Charter, new: Charter, members: int) -> Json:
    """`out_of_reach`: classes that so many members could not decide under `new` if all of them approved, and can under `base`.
    `reopens`: whether decisions about works that stand may fall, since they are counted by the rules in force.
    """
    before, after = _approvals_needed(base), _approvals_needed(new)
    return {
        "out_of_reach": sorted(name for name, least in after.items() if before.get(name, 0) <= members < least),
        "reopens": any(least > before.get(name, least) for name, least in after.items() if name in WORK_CLASSES),
    }


def _approvals_needed(charter: Charter) -> dict[str, int]:
    return {name: max(rule.q, rule.b * charter.k + 1) for name, rule in charter.classes.items()}
