"""An explanation in sentences, for people who never read this program.

Takes the `verdict` part as `core.explain` made it (also one that came over the control socket) and returns lines. Says what decided, by
what numbers, what would change it, and where the rule is weaker than it looks. Names of keys are local: whoever shows the lines
puts them in. Called by the services; pure text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from p2pnode.core.proposals import COMPLAINTS

Told = Mapping[str, Any]

_ASKS = {
    "list": "whether this circle lists the work",
    "edit": "whether the work's description is changed",
    "flag": "whether a complaint about the work is right",
    "takedown": "whether the work is taken off this circle's list",
    "appeal": "whether a takedown is undone",
    "expel": "whether a member is expelled",
    "readmit": "whether an expelled member comes back",
    "stewards": "whether the stewards change",
    "charter": "whether the circle's rules change",
}
_VERDICTS = {
    "new": "This circle has not decided about the work.",
    "listed": "This circle lists the work.",
    "rejected": "This circle looked at the work and does not list it.",
    "disputed": "This circle found a complaint about the work to be right.",
    "taken_down": "This circle took the work off its list. Nobody's own copy is touched.",
}
_OUTCOMES = {
    "adopted": "It is adopted.",
    "rejected": "It is rejected: the ballots against it are as clear as a yes would have to be.",
    "undecided": "It is not adopted, and things stay as they are.",
    "pending": "It is not decided: the vouches of this circle form a graph that costs too much to count.",
}
_SEALED = "It was adopted and is in force: what is sealed stays, whatever the ballots say today."
_WHY_NOT = {
    "no_room": "of members, because the vouches that lead to them carry no more ballots",
    "void": "of members, because an author signed two different ones with one number: such a ballot is void",
    "abstain": "of members who abstain; that changes nothing",
    "not_a_member": "of keys that no chain of vouches from a steward reaches today",
}
_STATES = {
    "withdrawn": "Whoever proposed it took it back.",
    "stale": "What it builds on has changed since, so no ballot on it can have an effect: propose it anew.",
    "lifted": "It was adopted, and an appeal lifted it.",
}


def text(told: Told) -> list[str]:
    """Lines about a question, or about a work."""
    if "work" not in told:
        return _question(told)
    verdict = str(told["verdict"])
    lines = [_VERDICTS.get(verdict, verdict)]
    for complaint in map(str, told["complaints"]):
        known = COMPLAINTS.get(complaint)
        lines.append(
            f"The complaint: {known.title}. To settle it: {known.remedy}."
            if known
            else "The complaint is of no known class."
        )
    if "decided_by" not in told:
        return [*lines, "Nobody has asked yet: propose to list it, and members can vote."]
    return lines + _question(told["decided_by"])


def _question(told: Told) -> list[str]:
    outcome = _SEALED if _holds_by_seals(told) else _OUTCOMES[told["outcome"]]
    lines = [f"The question: {_ASKS.get(str(told['class']), 'one of class ' + str(told['class']))}. {outcome}"]
    if told["class"] == "edit" and told["patch"]:
        lines.append("It says: " + "; ".join(_field(name, value) for name, value in told["patch"].items()) + ".")
    if told["state"] in _STATES:
        lines.append(_STATES[told["state"]])
    if "rule" not in told:
        return [*lines, "The charter names no rule for this class of question, so it cannot be adopted."]
    lines.append(_rule(told["rule"]))
    if "counted" in told:
        lines += [_count(told), *_uncounted(told), *([] if _holds_by_seals(told) else [_flip(told)]), *_warnings(told)]
    elif told["outcome"] != "pending":
        lines.append(
            "No steward can be recalled under this charter, because f is 0 and no set of stewards may judge one of its own."
        )
    return [*lines, *_seals(told), *_lapsed(told)]


def _holds_by_seals(told: Told) -> bool:
    return bool(told.get("effective")) and told["outcome"] != "adopted"


def _field(name: str, value: Any) -> str:
    """A field of an edit; its text is a stranger's, and whoever prints the line makes it safe."""
    if name == "root":
        return "another content"
    parts = value if isinstance(value, list) else [value]
    texts = (str(part.get("name") or part.get("value")) if isinstance(part, Mapping) else str(part) for part in parts)
    return f"{name}: {', '.join(texts)}" if value not in ("", []) else f"no {name}"


def _seals(told: Told) -> list[str]:
    if "seals" not in told:
        return []
    by, needed = len(told["seals"]["by"]), told["seals"]["needed"]
    if told["effective"]:
        return [f"It is in force: {_many(by, 'steward')} sealed it, and {needed} had to."]
    days = told["rule"]["cooldown_s"] // 86_400
    return [
        f"To take effect it needs the seals of {_many(needed, 'steward')}; {by} sealed it so far."
        f" A steward's node seals what it saw adopted for {_many(days, 'day')} without a break."
    ]


def _lapsed(told: Told) -> list[str]:
    if "lapsed_since" not in told:
        return []
    return [
        f"It held until vouches ran out: lapsed since {told['lapsed_since']}. Members who vouch again bring it back;"
        " what was pinned for it stays pinned."
    ]


def _rule(rule: Told) -> str:
    wide = ", and be at least twice those against" if rule["supermajority"] else ""
    left_out = f", whichever {_many(rule['f'], 'steward')} one leaves out" if rule["f"] else ""
    return (
        f"The rule: approving ballots must be at least {rule['q']}, outnumber rejecting ones by more than"
        f" {rule['margin_over']}{wide}{left_out}. One member's vouches carry at most {rule['k']} ballots."
    )


def _count(told: Told) -> str:
    counted, cast = told["counted"], told["cast"]
    where = f" (of {told['sets']} sets of stewards, the one with the closest result)" if told["sets"] > 1 else ""
    return (
        f"Ballots that count{where}: {counted['approve']} of {cast['approve']} for, {counted['reject']} of {cast['reject']} against,"
        f" in a circle of {_many(told['electorate']['members'], 'member')}."
    )


def _uncounted(told: Told) -> list[str]:
    cast, counted = told["cast"], told["counted"]
    no_room = cast["approve"] + cast["reject"] - counted["approve"] - counted["reject"]
    numbers = {"no_room": no_room, "void": cast["void"], "abstain": cast["abstain"], "not_a_member": cast["outside"]}
    lines = [f"Not counted: {_many(number, 'ballot')} {_WHY_NOT[why]}." for why, number in numbers.items() if number]
    if "larger_k" in told:
        larger = told["larger_k"]
        lines.append(
            f"With K = {larger['k']} in the charter {larger['would_count']} ballots would count;"
            " a larger K also lets each bad member carry more."
        )
    return lines


def _flip(told: Told) -> str:
    if told["electorate"]["members"] == len(told["electorate"]["stewards"]):
        return "All members are stewards: each of them can change this result."
    least = told["cost_to_flip"]["at_least"]
    who = "1 member who is no steward" if least == 1 else f"{least} members who are no stewards"
    if told["outcome"] == "adopted":
        line = f"To undo this, at least {who} must change sides or turn bad, however many keys they make up."
        return f"{line} One steward can do it alone: a steward can block anything."
    line = f"To have it adopted, at least {who} must come to approve or turn bad, however many keys they make up."
    return line if told["rule"]["f"] else f"{line} One steward can do it alone, because f is 0."


def _warnings(told: Told) -> list[str]:
    rule, stewards = told["rule"], len(told["electorate"]["stewards"])
    lines = []
    if stewards == 1 and rule["b"] == 0:
        lines.append(
            "This circle has one steward and tolerates no bad key (B = 0): its founder can decide everything alone,"
            " and one dishonest member can tip a close vote."
        )
    elif rule["b"] == 0:
        lines.append("This class tolerates no bad key (B = 0): one dishonest member can tip a close vote.")
    if rule["f"] == 0 and stewards > 1:
        lines.append("All stewards are trusted (f = 0): a single bad one can tip any vote.")
    return lines


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
