"""`p2pnode doctor`: what is well with this node, what is not, and what to do about it."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import NETWORK_TIMEOUT_S, Call
from p2pnode.cli.commands import Command
from p2pnode.cli.output import note, paint, plural, print_json
from p2pnode.core.text import safe

MARKS = {"good": ("ok  ", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "red")}
EXIT_BAD = 1


@click.command(cls=Command)
@click.option("--local", is_flag=True, help="Look only at what is here; ask no peer.")
@click.pass_obj
def doctor(call: Call, local: bool) -> int:
    """Examine this node, and say what to do.

    Up to five connected peers are asked to fetch a random block of your works and to look for them in the DHT, and for the time. The
    exit status is 1 when something is bad, 0 otherwise; a note is no failure.
    """
    if not call.json and not local:
        note("asking peers what this node is like from outside; a minute at most")
    answer = call.ask("node.doctor", {"local": True} if local else {}, timeout_s=NETWORK_TIMEOUT_S)
    items = [item for item in answer.get("items", []) if isinstance(item, dict)]
    bad = sum(item.get("state") == "bad" for item in items)
    if call.json:
        print_json(answer)
    else:
        for item in items:
            _print(item)
        print(f"{plural(bad, 'thing')} to mend." if bad else "Nothing is to be mended.")
    return EXIT_BAD if bad else 0


def _print(item: dict[str, Any]) -> None:
    mark, colour = MARKS.get(str(item.get("state")), ("?   ", "yellow"))
    print(f"{paint(mark, colour)}  {safe(str(item.get('words', '')))}")
    if item.get("hint"):
        print(f"      {safe(str(item['hint']))}")
