"""Commands about one's own view: mark, marks, notices."""

from __future__ import annotations

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.output import moment, print_json, print_json_lines, print_pairs, print_table, short_id

MARKS = ("hide", "block", "keep", "none")
ADVISING = ("one_voucher", "grown", "parted", "two_faced")
"""Kinds of notices about which `circle show` says what one can do."""


@click.command(cls=Command)
@click.argument("work")
@click.argument("mark", type=click.Choice(MARKS))
@click.pass_obj
def mark(call: Call, work: str, mark: str) -> None:
    """Decide about a work for yourself, whatever circles say: hide it, block it (do not fetch it either), or keep it. Nobody is told."""
    answer = call.ask("work.mark", {"work": work, "mark": mark})
    if call.json:
        print_json(answer)
    else:
        print_pairs([("work", answer.get("work")), ("mark", answer.get("mark") or "none")])


@click.command(cls=Command)
@click.pass_obj
def marks(call: Call) -> None:
    """List the works that you hid, blocked or keep."""
    items = call.items("work.marks")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("You have marked no work. To hide one: p2pnode mark WORK hide")
    else:
        rows = [[short_id(one.get("work")), str(one.get("mark")), str(one.get("title"))] for one in items]
        print_table(["WORK", "MARK", "TITLE"], rows, flexible=2)


@click.command(cls=Command)
@click.option("--clear", is_flag=True, help="Take them all away.")
@click.pass_obj
def notices(call: Call, clear: bool) -> None:
    """Show what happened in your circles that concerns you: decisions on what you asked, works you hold, who vouches for you."""
    if clear:
        answer = call.ask("notice.list", {"clear": True})
        print_json(answer) if call.json else print(f"{answer.get('cleared')} taken away.")
        return
    items = call.items("notice.list")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("There is nothing new. What waits for your ballot: p2pnode review")
    else:
        print_table(
            ["WHEN", "CIRCLE", "WHAT", "ABOUT"],
            [
                [
                    moment(one.get("at")),
                    str(one.get("circle_name")),
                    str(one.get("text")),
                    str(one.get("title") or short_id(one.get("proposal") or one.get("key"))),
                ]
                for one in items
            ],
            flexible=3,
        )
        if any(one.get("kind") in ADVISING for one in items):
            print("What to do about it stands in: p2pnode circle show CIRCLE")
