"""Commands about fetching: get, transfers."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command, Group
from p2pnode.cli.numbers import Finite
from p2pnode.cli.output import note, print_json, print_json_lines, print_pairs, print_table, short_id, size
from p2pnode.cli.progress import Progress
from p2pnode.cli.works import absolute

DIFFERENCES_SHOWN = 5


@click.command(cls=Command)
@click.argument("work", metavar="WORK|CID")
@click.option("-o", "--output", "path", metavar="PATH", help="Where to put it (default: the node's library).")
@click.option("--only", multiple=True, metavar="PATH", help="Only this file or folder of it; may be repeated.")
@click.option(
    "--timeout",
    "timeout_s",
    type=Finite(0),
    metavar="S",
    help="Stop waiting then; the node goes on fetching.",
)
@click.pass_obj
def get(call: Call, work: str, path: str | None, only: tuple[str, ...], timeout_s: float | None) -> None:
    """Fetch a work, or any content by its CID; returns when every byte is here and verified.

    With --only just these files and folders of it are fetched; the rest can follow later, and nothing is fetched twice.
    """
    params: dict[str, Any] = {"work": work}
    if path is not None:
        params["path"] = absolute(path)
    if only:
        params["only"] = list(only)
    if timeout_s is not None:
        params["timeout_s"] = timeout_s
    answer = fetch(call, params)
    if call.json:
        print_json(answer)
        return
    print_pairs(
        [
            ("path", answer.get("path")),
            ("size", size(answer.get("bytes"))),
            ("chosen", ", ".join(answer.get("only") or [])),
            ("providers", answer.get("providers") or "none: it was here already"),
        ]
    )
    _note_differences(answer)


def fetch(call: Call, params: dict[str, Any]) -> dict[str, Any]:
    """The answer of work.get, with a progress bar; says what goes on when a person gives up waiting."""
    try:
        with Progress() as progress:
            return call.ask("work.get", params, progress.update, timeout_s=None)
    except KeyboardInterrupt:
        if not call.json:
            click.echo("The node goes on fetching. To see, pause or stop it: p2pnode transfers", err=True)
        raise


def _note_differences(answer: dict[str, Any]) -> None:
    for path in answer.get("left_out", [])[:DIFFERENCES_SHOWN]:
        note(f"left out: {path} (a symbolic link: links are not made)")
    for item in answer.get("renamed", [])[:DIFFERENCES_SHOWN]:
        note(f"renamed: {item.get('path')} (its name is not safe on every disk)")
    more = sum(max(answer.get(name, 0) - DIFFERENCES_SHOWN, 0) for name in ("left_out_count", "renamed_count"))
    if more:
        note(f"{more} more of these (--json lists them)")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def transfers(context: click.Context) -> None:
    """List what is being fetched and was fetched; pause, resume or cancel a transfer."""
    if context.invoked_subcommand is None:
        _list(context.obj)


@transfers.command("list")
@click.pass_obj
def list_transfers(call: Call) -> None:
    """List transfers, unfinished ones first; what `p2pnode transfers` does too."""
    _list(call)


def _list(call: Call) -> None:
    items = call.items("transfer.list")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("There are no transfers. Fetch a work with: p2pnode get WORK")
    else:
        print_table(
            ["TRANSFER", "STATE", "DONE", "TOTAL", "TITLE", "REASON"],
            [
                [
                    short_id(item.get("transfer")),
                    str(item.get("state")),
                    size(item.get("bytes")),
                    size(item.get("total")),
                    str(item.get("title") or item.get("cid") or ""),
                    str(item.get("reason") or ""),
                ]
                for item in items
            ],
            flexible=4,
        )


@transfers.command()
@click.argument("transfer")
@click.pass_obj
def pause(call: Call, transfer: str) -> None:
    """Stop fetching until it is resumed; a restart changes nothing in that."""
    _change(call, "pause", transfer, "The transfer is paused. Go on with: p2pnode transfers resume")


@transfers.command()
@click.argument("transfer")
@click.pass_obj
def resume(call: Call, transfer: str) -> None:
    """Go on with a transfer that was paused; what has arrived is not fetched again."""
    _change(call, "resume", transfer, "The transfer goes on.")


@transfers.command()
@click.argument("transfer")
@click.pass_obj
def cancel(call: Call, transfer: str) -> None:
    """Stop fetching; what has arrived is kept for the next try."""
    _change(call, "cancel", transfer, "The transfer is cancelled.")


def _change(call: Call, verb: str, transfer: str, words: str) -> None:
    call.ask(f"transfer.{verb}", {"transfer": transfer})
    if call.json:
        print_json({"transfer": transfer})
    else:
        print(words)
