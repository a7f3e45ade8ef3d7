"""Proposals and explanations on a terminal."""

from __future__ import annotations

from typing import Any

from p2pnode.cli.output import paint, print_table, short_id
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


def _what(item: Object) -> str:
    said = item.get("complaint") or ", ".join(item.get("changes") or {})
    return f"{item.get('class')}: {said}" if said else str(item.get("class"))


def print_explanation(answer: Object) -> None:
    """The verdict's reasons, the first line standing out."""
    for at, line in enumerate(answer.get("text") or []):
        print(paint(safe(str(line)), "bold") if at == 0 else _indented(str(line)))


def _indented(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" "))) + safe(line)
