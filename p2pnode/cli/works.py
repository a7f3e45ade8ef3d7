"""Commands about works: cid, publish, search, list, show, get, transfers."""

from __future__ import annotations

import os
from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command, Group
from p2pnode.cli.description import description_options, read_description
from p2pnode.cli.hits import print_hit_line, print_hits, print_work
from p2pnode.cli.output import note, plural, print_json, print_json_lines, print_pairs, print_table, short_id, size
from p2pnode.cli.progress import Progress
from p2pnode.errors import UsageError
from p2pnode.limits import SEARCH_TIMEOUT_S

SEARCH_GRACE_S = 30.0
"""Beyond the search's own end: for a daemon that is busy with its disk."""
SKIPPED_SHOWN = 5


def absolute(path: str, *, must_exist: bool = False) -> str:
    """The absolute path, symbolic links kept; the daemon runs in another folder than the person does."""
    if not path:  # what an unset variable in a script leaves; to a path it would mean the folder one stands in
        raise UsageError("the path is empty", hint="give the path of a file or a folder; `.` is this folder")
    whole = os.path.abspath(os.path.expanduser(path))
    if must_exist and not os.path.lexists(whole):
        raise UsageError(f"there is nothing at {whole}", hint="give the path of a file or a folder")
    return whole


@click.command(cls=Command)
@click.argument("path")
@click.pass_obj
def cid(call: Call, path: str) -> None:
    """Print the root CID that PATH has or would have; needs no daemon and stores nothing."""
    from p2pnode.local.tree import Skipped, root_cid

    skipped: list[Skipped] = []
    root = root_cid(absolute(path, must_exist=True), on_skip=skipped.append)
    if call.json:
        print_json({"cid": str(root), "skipped": [{"path": each.path, "reason": each.reason} for each in skipped]})
        return
    print(root)
    _note_skipped([{"path": each.path, "reason": each.reason} for each in skipped])


@click.command(cls=Command)
@click.argument("path")
@description_options(title_required=True)
@click.pass_obj
def publish(call: Call, /, path: str, circle: str | None, private: bool, **given: Any) -> None:
    """Publish the file or folder at PATH, which stays where it is.

    Your profile key signs it, and anybody may find it. With --circle your pseudonym in that circle signs it, and a proposal
    to list it there is made with your approving ballot. With --private it is signed by the profile key and told to nobody.
    """
    if circle is not None and private:
        raise UsageError("--circle and --private exclude each other", hint="what a circle lists is public")
    params = {"path": absolute(path, must_exist=True), **read_description(given)}
    if circle is not None:
        params["circle"] = circle
    if private:
        params["private"] = True
    with Progress() as progress:
        answer = call.ask("work.publish", params, progress.update, timeout_s=None)
    if call.json:
        print_json(answer)
        return
    print_pairs(
        [
            ("work", answer.get("work")),
            ("cid", answer.get("cid")),
            ("size", f"{size(answer.get('bytes'))}, {plural(answer.get('files'), 'file')}"),
            ("signed as", answer.get("signed_as")),
            ("proposal", answer.get("proposal")),
        ]
    )
    _note_skipped(answer.get("skipped", []))


def _note_skipped(skipped: list[dict[str, Any]]) -> None:
    for item in skipped[:SKIPPED_SHOWN]:
        note(f"left out: {item.get('path')} ({item.get('reason')})")
    if len(skipped) > SKIPPED_SHOWN:
        note(f"left out: {len(skipped) - SKIPPED_SHOWN} more (--json lists all)")


@click.command(cls=Command)
@click.argument("text", nargs=-1, required=True)
@click.option("--local", is_flag=True, help="Only what is known here; asks nobody.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, 120), default=SEARCH_TIMEOUT_S, show_default=True, metavar="SECONDS",
    help="How long to wait for others.",
)  # fmt: skip
@click.pass_obj
def search(call: Call, text: tuple[str, ...], local: bool, timeout_s: float) -> None:
    """Find works by words in title, creators, summary and tags: here, at peers, and among strangers.

    Those who are asked see the words. Hits are shown as they come; with --json each work once, when the search has ended.
    """
    if not " ".join(text).strip():
        raise UsageError("there is no word to search for", hint="what is here anyway: p2pnode list")
    params = {"text": " ".join(text), "local": local, "timeout_s": timeout_s}
    shown: set[str] = set()

    def on_hit(name: str, hit: dict[str, Any]) -> None:
        if name == "work.hit" and not call.json and hit.get("work") not in shown:
            shown.add(str(hit.get("work")))
            print_hit_line(hit)

    answer = call.ask("work.search", params, on_hit, timeout_s=timeout_s + SEARCH_GRACE_S)
    items = answer.get("items", [])
    if call.json:
        print_json_lines(items)
        return
    for hit in items:
        on_hit("work.hit", hit)
    if not items:
        print("Nothing was found.")
    if not local:
        note(f"{answer.get('answered', 0)} of {answer.get('asked', 0)} peers answered")


@click.command("list", cls=Command)
@click.pass_obj
def list_works(call: Call) -> None:
    """List the works that are published or kept here."""
    items = call.items("work.list")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("There are no works here yet. Publish one with: p2pnode publish PATH --title TITLE")
    else:
        print_hits(items)


@click.command(cls=Command)
@click.argument("work")
@click.pass_obj
def show(call: Call, work: str) -> None:
    """Show everything that is known of a work: who made it, its licence, what circles say, its files."""
    answer = call.ask("work.show", {"work": work})
    if call.json:
        print_json(answer)
    else:
        print_work(answer)


@click.command(cls=Command)
@click.argument("work", metavar="WORK|CID")
@click.option("-o", "--output", "path", metavar="PATH", help="Where to put it (default: the node's library).")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0),
    metavar="S",
    help="Stop waiting then; the node goes on fetching.",
)
@click.pass_obj
def get(call: Call, work: str, path: str | None, timeout_s: float | None) -> None:
    """Fetch a work, or any content by its CID; returns when every byte is here and verified."""
    params: dict[str, Any] = {"work": work}
    if path is not None:
        params["path"] = absolute(path)
    if timeout_s is not None:
        params["timeout_s"] = timeout_s
    try:
        with Progress() as progress:
            answer = call.ask("work.get", params, progress.update, timeout_s=None)
    except KeyboardInterrupt:
        if not call.json:
            click.echo("The node goes on fetching. To see or stop it: p2pnode transfers", err=True)
        raise
    if call.json:
        print_json(answer)
    else:
        print_pairs(
            [
                ("path", answer.get("path")),
                ("size", size(answer.get("bytes"))),
                ("providers", answer.get("providers") or "none: it was here already"),
            ]
        )
        _note_differences(answer)


def _note_differences(answer: dict[str, Any]) -> None:
    for path in answer.get("left_out", [])[:SKIPPED_SHOWN]:
        note(f"left out: {path} (a symbolic link: links are not made)")
    for item in answer.get("renamed", [])[:SKIPPED_SHOWN]:
        note(f"renamed: {item.get('path')} (its name is not safe on every disk)")
    more = sum(max(answer.get(name, 0) - SKIPPED_SHOWN, 0) for name in ("left_out_count", "renamed_count"))
    if more:
        note(f"{more} more of these (--json lists them)")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def transfers(context: click.Context) -> None:
    """List what is being fetched and was fetched, or cancel a transfer."""
    if context.invoked_subcommand is not None:
        return
    call: Call = context.obj
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
def cancel(call: Call, transfer: str) -> None:
    """Stop fetching; what has arrived is kept for the next try."""
    call.ask("transfer.cancel", {"transfer": transfer})
    if call.json:
        print_json({"transfer": transfer})
    else:
        print("The transfer is cancelled.")
