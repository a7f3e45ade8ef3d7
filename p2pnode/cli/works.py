"""Commands about works: cid, search, list, show."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.hits import print_hit_line, print_hits, print_work
from p2pnode.cli.numbers import Finite
from p2pnode.cli.output import note, print_json, print_json_lines
from p2pnode.core.device_path import remote_path
from p2pnode.errors import UsageError
from p2pnode.limits import SEARCH_TIMEOUT_S

SEARCH_GRACE_S = 30.0
"""Beyond the search's own end: for a daemon that is busy with its disk."""
SKIPPED_SHOWN = 5
F = TypeVar("F", bound=Callable[..., Any])


def absolute(path: str, *, must_exist: bool = False) -> str:
    """The absolute path, symbolic links kept; the daemon runs in another folder than the person does."""
    call = click.get_current_context().find_object(Call)
    if call is not None and call.device is not None:
        return remote_path(path, call.device)
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
    from p2pnode.local.tree import root_cid
    from p2pnode.local.walk import Skipped

    skipped: list[Skipped] = []
    root = root_cid(absolute(path, must_exist=True), on_skip=skipped.append)
    if call.json:
        print_json({"cid": str(root), "skipped": [{"path": each.path, "reason": each.reason} for each in skipped]})
        return
    print(root)
    note_skipped([{"path": each.path, "reason": each.reason} for each in skipped])


def note_skipped(skipped: list[dict[str, Any]], count: int | None = None) -> None:
    """What is not part of the content: a few entries by name, the rest as a number."""
    for item in skipped[:SKIPPED_SHOWN]:
        note(f"left out: {item.get('path')} ({item.get('reason')})")
    more = max(len(skipped), count or 0) - SKIPPED_SHOWN
    if more > 0:
        note(f"left out: {more} more (--json tells of them)")


def lens_options(function: F) -> F:
    """The options of every command that lists works: through whose eyes."""
    function = click.option("--all", "everything", is_flag=True, help="Show what you hid or blocked, too.")(function)
    return click.option("--lens", metavar="CIRCLE|me", help="Only what this circle lists, as it describes it.")(
        function
    )


def lens_params(lens: str | None, everything: bool) -> dict[str, Any]:
    """The parameters they become."""
    return ({"lens": lens} if lens else {}) | ({"all": True} if everything else {})


@click.command(cls=Command)
@click.argument("text", nargs=-1, required=True)
@click.option("--local", is_flag=True, help="Only what is known here; asks nobody.")
@click.option(
    "--timeout", "timeout_s", type=Finite(0, 120), default=SEARCH_TIMEOUT_S, show_default=True, metavar="SECONDS",
    help="How long to wait for others.",
)  # fmt: skip
@lens_options
@click.pass_obj
def search(
    call: Call, text: tuple[str, ...], local: bool, timeout_s: float, lens: str | None, everything: bool
) -> None:
    """Find works by words in title, creators, summary and tags: here, at peers, and among strangers.

    Those who are asked see the words. Hits are shown as they come; with --json each work once, when the search has ended.
    """
    if not " ".join(text).strip():
        raise UsageError("there is no word to search for", hint="what is here anyway: p2pnode list")
    params = {"text": " ".join(text), "local": local, "timeout_s": timeout_s} | lens_params(lens, everything)
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
@lens_options
@click.pass_obj
def list_works(call: Call, lens: str | None, everything: bool) -> None:
    """List the works that are published or kept here."""
    items = call.items("work.list", lens_params(lens, everything))
    if call.json:
        print_json_lines(items)
    elif not items:
        print(
            "This circle lists none of the works here."
            if lens
            else "There are no works here yet. Publish one with: p2pnode publish PATH --title TITLE"
        )
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
