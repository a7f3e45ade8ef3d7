"""Proposals and explanations on a terminal."""

from __future__ import annotations

from typing import Any

from p2pnode.cli.output import paint, print_pairs, print_table, short_id
from p2pnode.core.rule_words import change_words, standing_words
from p2pnode.core.text import safe

Object = dict[str, Any]


def print_proposals(items: list[Object]) -> None:
    """What is decided on, with the tally so far and one's own ballot."""
    print_table(
        ["PROPOSAL", "CIRCLE", "WHAT", "FOR", "AGAINST", "STATE", "MINE", "TITLE"],
        [
            [
                short_id(item.get("proposal")),
                str(item.get("circle_name") or short_id(item.get("circle"))),
                _what(item),
                str(item.get("approve", "")),
                str(item.get("reject", "")),
                str(item.get("state") or ""),
                str(item.get("mine") or ""),
                str(item.get("title") or short_id(item.get("work") or item.get("key"))),
            ]
            for item in items
        ],
        flexible=7,
    )


def print_standing(item: Object) -> None:
    """One question as it stands, before one votes: what is asked, why, turnout, what it takes, and what the lead withstands."""
    about = str(item.get("title") or short_id(item.get("work") or item.get("key")))
    print(paint(safe(f"{_what(item)} {about}".strip()), "bold"))
    seals = item.get("seals") or {}
    print_pairs(
        [
            ("proposal", item.get("proposal")),
            ("circle", item.get("circle_name")),
            ("work", item.get("work")),
            ("key", item.get("key")),
            ("because", item.get("reason")),
            ("evidence", ", ".join(item.get("evidence") or [])),
            ("remedy", item.get("remedy")),
            ("for, against", f"{item.get('approve')}, {item.get('reject')}"),
            ("state", item.get("state")),
            ("seals", f"{len(seals.get('by', []))} of {seals.get('needed')}" if seals else ""),
            ("yours", item.get("mine")),
        ]
    )
    for what, before, after in _changes(item):
        print(safe(f"  {what}"))
        if before:
            print(safe(f"    - {before}"))
        print(safe(f"    + {after}"))
    for line in standing_words(item.get("standing") or {}):
        print(line)


def _changes(item: Object) -> list[tuple[str, str, str]]:
    changes = item.get("changes") or {}
    if item.get("class") in ("charter", "stewards"):
        return change_words(changes, (item.get("standing") or {}).get("rule", {}).get("k", 3))
    return [(name, "", _said(value)) for name, value in changes.items()]


def _said(value: Any) -> str:
    """A field of a description: names and identifiers by what they say."""
    parts = value if isinstance(value, list) else [value]
    said = (str(part.get("name") or part.get("value")) if isinstance(part, dict) else str(part) for part in parts)
    return ", ".join(said) or "nothing"


def _what(item: Object) -> str:
    said = item.get("complaint") or ", ".join(item.get("changes") or {})
    return f"{item.get('class')}: {said}" if said else str(item.get("class"))


def print_explanation(answer: Object) -> None:
    """The verdict's reasons, the first line standing out."""
    for at, line in enumerate(answer.get("text") or []):
        print(paint(safe(str(line)), "bold") if at == 0 else _indented(str(line)))


def _indented(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" "))) + safe(line)
