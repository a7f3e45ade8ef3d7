"""Commands about watching published folders: watch (list), watch on, watch off."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import NETWORK_TIMEOUT_S, Call
from p2pnode.cli.commands import Group
from p2pnode.cli.output import plural, print_json, print_json_lines, print_table, short_id, size


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def watch(context: click.Context) -> None:
    """List the published folders that are watched, and of which a new revision is offered."""
    if context.invoked_subcommand is not None:
        return
    call: Call = context.obj
    items = call.items("watch.list")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("Nothing is watched. Watch a work of yours with: p2pnode watch on WORK")
    else:
        print_table(
            ["WORK", "STATE", "OFFER", "TITLE", "PATH", "REASON"],
            [
                [
                    short_id(item.get("work")),
                    str(item.get("state")),
                    offer_in_words(item.get("offer")),
                    str(item.get("title") or ""),
                    str(item.get("path") or ""),
                    str(item.get("reason") or ""),
                ]
                for item in items
            ],
            flexible=4,
        )
        if any(item.get("offer") for item in items):
            print("To publish what changed: p2pnode publish --revises WORK")


@watch.command()
@click.argument("work")
@click.option("--auto", is_flag=True, help="Publish and sign every new revision without asking.")
@click.pass_obj
def on(call: Call, work: str, auto: bool) -> None:
    """Look at a published folder now and then, and offer a new revision when it has changed."""
    params: dict[str, Any] = {"work": work} | ({"auto": True} if auto else {})
    answer = call.ask("watch.on", params, timeout_s=NETWORK_TIMEOUT_S)
    if call.json:
        print_json(answer)
    else:
        print(f"Watching {answer.get('path')}: {offer_in_words(answer.get('offer')) or 'nothing has changed'}.")


@watch.command()
@click.argument("work")
@click.pass_obj
def off(call: Call, work: str) -> None:
    """Watch it no more; the work stays published."""
    call.ask("watch.off", {"work": work})
    if call.json:
        print_json({"work": work})
    else:
        print("It is watched no more.")


def offer_in_words(offer: Any) -> str:
    """What differs from the newest revision; empty when nothing does."""
    if not isinstance(offer, dict):
        return ""
    parts = [f"{offer[name]} {name}" for name in ("added", "changed", "removed") if offer.get(name)]
    words = ", ".join(parts) or "links or folders changed"
    if offer.get("bytes"):
        words += f" ({size(offer['bytes'])})"
    count = sum(int(offer.get(name) or 0) for name in ("added", "changed", "removed"))
    return f"{plural(count, 'file')}: {words}" if parts else words
