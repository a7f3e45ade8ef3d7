"""`history`: what became of a work, in each circle: who listed it, every edit in order, every complaint and appeal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.output import paint, print_json, print_table, short_id
from p2pnode.core.text import marked, safe


@click.command(cls=Command)
@click.argument("work")
@click.option("--circle", help="Only as this circle sees it.")
@click.pass_obj
def history(call: Call, work: str, circle: str | None) -> None:
    """Show what became of a work: its revisions, and in each circle what was asked, by whom, and how it was decided."""
    answer = call.ask("work.history", {"work": work} | ({"circle": circle} if circle else {}))
    if call.json:
        print_json(answer)
        return
    print(paint(marked(str(answer.get("title"))), "bold"))
    print_table(
        ["REVISION", "SIGNED", "TITLE"],
        [[short_id(one.get("record")), _day(one.get("created")), str(one.get("title"))] for one in answer["revisions"]],
        flexible=2,
    )
    for told in answer["circles"]:
        print()
        print(paint(f"{marked(str(told.get('name')))}: {safe(str(told.get('verdict'))).replace('_', ' ')}", "bold"))
        for name, value in (told.get("fields") or {}).items():
            print(f"  {safe(name)}: {safe(_text(value))}")
        print_table(
            ["PROPOSAL", "ASKED", "BY", "WHAT", "FOR", "AGAINST", "STATE", "REASON"],
            [_row(one) for one in told["questions"]],
            flexible=7,
        )


def _row(one: dict[str, Any]) -> list[str]:
    changed = ", ".join(one.get("changes") or {})
    what = (
        f"{one.get('class')}: {one.get('complaint') or changed}"
        if one.get("complaint") or changed
        else one.get("class")
    )
    state = str(one.get("state")) + ("" if one.get("effective") or one.get("state") != "adopted" else ", not in force")
    return [
        short_id(one.get("proposal")),
        _day(one.get("opened")),
        short_id(one.get("by")),
        str(what),
        str(one.get("approve")),
        str(one.get("reject")),
        state,
        str(one.get("reason") or ""),
    ]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(
            str(item.get("name") or item.get("value")) if isinstance(item, dict) else str(item) for item in value
        )
    return str(value)


def _day(seconds: Any) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d") if isinstance(seconds, int) else ""
