"""A circle's rules in plain words: what each class of decision takes, what a change of charter would change, how a vote stands.

Works on rules as the control socket tells them (`circle.show`, `proposal.list`), so that the command line, the screens and the node say
the same sentences. Decides nothing; texts that people chose (names, purposes) are the reader's to make safe. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from p2pnode.errors import UsageError

Told = Mapping[str, Any]
SECONDS_A_DAY: Final = 86_400
WORDS: Final = ("supermajority", "sealed")
"""What a rule has or has not, as it is typed."""
COUNT: Final = re.compile(r"[0-9]{1,9}")
DAYS: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")

ASKS: Final[Mapping[str, str]] = {
    "list": "list a work",
    "edit": "change a work's description",
    "flag": "agree with a complaint",
    "takedown": "take a work off the list",
    "appeal": "lift a takedown or a complaint",
    "expel": "expel a member",
    "readmit": "let an expelled member come back",
    "stewards": "change the stewards",
    "charter": "change these rules",
}
"""What a decision of each class does, after "to"."""
NAMES: Final[Mapping[str, str]] = {
    "name": "name",
    "purpose": "purpose",
    "stewards": "stewards",
    "f": "stewards that may be bad (f)",
    "k": "ballots that one member's vouches carry (K)",
    "vouch_days": "days that a vouch holds",
    "languages": "languages",
    "licences": "licences",
    "parent": "forked from",
}
"""Each rule that is no class of decision, as people call it."""


def rule_words(rule: Told, k: int) -> str:
    """What one class takes, in a sentence without its end: `rule` has b, q, supermajority, sealed and cooldown_days (or cooldown_s)."""
    b, q = _number(rule, "b"), _number(rule, "q")
    parts = [f"{_many(q, 'approval')} at least"]
    parts.append(
        f"a lead of more than {b * k}, so that {_many(b, 'bad member')} cannot decide it"
        if b
        else "more for than against"
    )
    if rule.get("supermajority"):
        parts.append("twice as many for as against")
    if rule.get("sealed"):
        days = cooldown_days(rule)
        parts.append(f"then {_days(days)} of waiting and the stewards' seals" if days else "then the stewards' seals")
    return ", ".join(parts)


def rule_text(rule: Told) -> str:
    """The same as it is typed: `b=3 q=8 cooldown=7 supermajority sealed`. `parse_rule` reads it back."""
    parts = [f"b={_number(rule, 'b')}", f"q={_number(rule, 'q')}"]
    parts += [f"cooldown={typed}"] if (typed := _typed_days(cooldown_days(rule))) != "0" else []
    return " ".join([*parts, *(word for word in WORDS if rule.get(word))])


def parse_rule(text: str) -> dict[str, Any]:
    """A rule as the control socket takes it. UsageError for what cannot be read."""
    rule: dict[str, Any] = {}
    for part in text.split():
        word, equals, value = part.partition("=")
        name = "cooldown_days" if word == "cooldown" else word
        if name in rule:
            raise UsageError(f"a rule says {word!r} twice", hint=f"leave one of them out: {part!r}, say")
        if word in WORDS and not equals:
            rule[name] = True
        elif word in ("b", "q") and COUNT.fullmatch(value):
            rule[name] = int(value)
        elif word == "cooldown" and DAYS.fullmatch(value):
            rule[name] = float(value)
        else:
            raise UsageError(
                f"{part!r} in a rule cannot be read",
                hint="such as: b=1 q=3 cooldown=7 sealed supermajority (on the command line its class before it: list b=1 q=3)",
            )
    return rule


def cooldown_days(rule: Told) -> float:
    """Of a rule as told, or as it stands in a charter."""
    given = rule.get("cooldown_days")
    return float(given) if isinstance(given, int | float) else _number(rule, "cooldown_s") / SECONDS_A_DAY


def charter_words(rules: Told) -> list[tuple[str, str]]:
    """Every rule of a charter as (what, words), in the order in which people ask."""
    k, f, stewards = _number(rules, "k"), _number(rules, "f"), len(rules.get("stewards") or [])
    told = [
        (
            "stewards",
            f"{stewards}; any {f} of them may be bad without harm"
            if f
            else f"{stewards}; each of them is trusted fully",
        ),
        (
            "a vouch",
            f"holds for {_days(_number(rules, 'vouch_days'))}, and is renewed by itself while its giver is here",
        ),
        (
            "one member",
            f"can carry at most {_many(k, 'ballot')} with all whom it vouches for, its own included (K = {k})",
        ),
        ("licences", ", ".join(map(str, rules.get("licences") or [])) or "any"),
        ("languages", ", ".join(map(str, rules.get("languages") or [])) or "any"),
    ]
    classes = rules.get("classes") or {}
    ordered = [*(name for name in ASKS if name in classes), *(name for name in classes if name not in ASKS)]
    return told + [(f"to {ASKS.get(name, name)}", rule_words(classes[name], k)) for name in ordered]


def change_words(changes: Told, k: int = 3) -> list[tuple[str, str, str]]:
    """What a change of charter changes: (what, before, after), from `changes` as `proposal.list` tells them."""
    after_k = changes["k"][1] if isinstance(changes.get("k"), list) and len(changes["k"]) == 2 else k
    lines = []
    for name, pair in changes.items():
        if not isinstance(pair, list) or len(pair) != 2:
            continue
        what = f"to {ASKS[name]}" if name in ASKS else NAMES.get(name, name)
        lines.append((what, _value(pair[0], k), _value(pair[1], after_k if isinstance(after_k, int) else k)))
    return lines


def _value(value: Any, k: int) -> str:
    if isinstance(value, Mapping):
        return rule_words(value, k)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "any"
    return "nothing" if value in (None, "") else str(value)


def standing_words(standing: Told) -> list[str]:
    """How a vote stands before one's own ballot: turnout, what it takes, and what the lead withstands; of `standing` of a proposal."""
    cast, members = _number(standing, "cast"), _number(standing, "members")
    share = f" ({100 * cast // members} %)" if members else ""
    lines = [f"{cast} of {_many(members, 'member')} voted{share}."]
    rule = standing.get("rule")
    if not isinstance(rule, Mapping):
        return [*lines, "The charter has no rule for this class of question, so it cannot be adopted."]
    lines.append(f"It takes {rule_words(rule, _number(rule, 'k'))}.")
    lines.append(_margin(_number(standing, "margin"), _number(standing, "tolerates"), rule))
    if flip := _number(standing, "cost_to_flip"):
        who = "1 member who is" if flip == 1 else f"{flip} members who are"
        lines.append(f"For another outcome at least {who} no steward would have to change sides.")
    return lines + foresight_words(standing)


def foresight_words(standing: Told) -> list[str]:
    """What a change of rules would bring with it: of `reopens`, `out_of_reach` and `members`."""
    lines = []
    if standing.get("reopens"):
        lines.append(
            "The new rules hold for what was decided before, too: what has fewer ballots than they take is open again,"
            " listed works among it, until more members vote."
        )
    told = standing.get("out_of_reach")
    if beyond := [str(name) for name in told] if isinstance(told, list) else []:
        what = ", ".join(ASKS.get(name, name) for name in beyond)
        back = " Nothing but a fork would lead out of that." if "charter" in beyond else ""
        with_all = f"With {_many(_number(standing, 'members'), 'member')}"
        lines.append(f"{with_all} nobody could do this any more, even if all agreed: {what}.{back}")
    return lines


def _margin(margin: int, tolerates: int, rule: Told) -> str:
    if margin <= 0:
        return (
            f"Nobody leads: {_number(rule, 'k')} ballots are what one bad member could add."
            if margin == 0
            else f"Those against lead by {-margin}."
        )
    if not tolerates:
        return f"The lead is {margin}: one bad member could have made it."
    return f"The lead is {margin}: it stands even if {_many(tolerates, 'voter')} turned out to be bad."


def _typed_days(days: float) -> str:
    """As `parse_rule` reads it: at most four decimals, that is nine seconds."""
    return f"{days:.4f}".rstrip("0").rstrip(".")


def _days(days: float) -> str:
    """A span in the largest unit that tells it whole."""
    seconds = round(days * SECONDS_A_DAY)
    units = ((SECONDS_A_DAY, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    return next(_many(seconds // length, noun) for length, noun in units if seconds % length == 0)


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(told: Told, name: str) -> int:
    value = told.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0
