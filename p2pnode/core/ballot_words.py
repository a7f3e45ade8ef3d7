"""Who said what about a question, and why: ballots as lines for people, those first that give a reason.

A reason is a stranger's text: it is cut here, and whoever prints a line makes it safe. Takes what `core.explain` tells of ballots, with the
reason of each beside it; called by `services.explain`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN_BALLOTS = 20
"""Written out; the others are counted in one line."""
SHOWN_CHARACTERS = 300
"""Of a reason in a line: a few sentences."""
KEY_CHARACTERS = 12
"""As tables name a key."""

_WHY = {
    "counted": "counts",
    "no_room": "does not count: the vouches that lead to it carry no more",
    "void": "does not count: two different ones with one number were signed",
    "abstain": "counts for neither side",
    "not_a_member": "does not count: no vouches lead to this key today",
}


def ballot_lines(ballots: Sequence[Mapping[str, Any]], me: str, total: int) -> list[str]:
    """Lines for `ballots`, each with `key`, `choice`, `why` and `reason`, of `total` that were cast; `me` is our own key's text."""
    if not ballots:
        return []
    shown = sorted(ballots, key=lambda one: not one["reason"])[:SHOWN_BALLOTS]
    more = total - len(shown)
    return [
        "The ballots:",
        *(_line(one, me) for one in shown),
        *([f"  and {more} more; all that count or not: with --json"] if more > 0 else []),
    ]


def _line(ballot: Mapping[str, Any], me: str) -> str:
    key = str(ballot["key"])
    who = key[:KEY_CHARACTERS] + (" (you)" if key == me else "")
    choice = "" if ballot["choice"] == ballot["why"] == "void" else f" {ballot['choice']},"
    reason = " ".join(str(ballot["reason"])[:SHOWN_CHARACTERS].split())
    return f"  {who}{choice} {_WHY.get(str(ballot['why']), str(ballot['why']))}" + (f": “{reason}”" if reason else "")
