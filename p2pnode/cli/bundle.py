"""Commands about bundles: one file for a USB stick that carries works, records and charters between nodes that never meet."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command, Group
from p2pnode.cli.output import note, plural, print_json, print_pairs, size
from p2pnode.cli.progress import Progress
from p2pnode.cli.works import absolute
from p2pnode.errors import P2pnodeError, UsageError

SHOWN = 5


@click.group(cls=Group)
def bundle() -> None:
    """Carry works, records and charters between nodes that never meet, in one file."""


@bundle.command(cls=Command)
@click.argument("file")
@click.argument("works", metavar="[WORK...]", nargs=-1)
@click.option(
    "--circle", "circles", multiple=True, metavar="CIRCLE", help="A circle with its records and works; may be repeated."
)
@click.option("--all", "everything", is_flag=True, help="Every circle, and every public work that is kept here.")
@click.option("--private", is_flag=True, help="Private works too, if they are named or with --all.")
@click.pass_obj
def export(
    call: Call, file: str, works: tuple[str, ...], circles: tuple[str, ...], everything: bool, private: bool
) -> None:
    """Write works and circles to the bundle FILE: manifests, contents, records, charters. Nothing is overwritten.

    Whoever gets a circle's bundle can read its charter and records, as everybody in the circle can. Keys never go in.
    """
    if not (works or circles or everything):
        raise UsageError("nothing was chosen", hint="name works, --circle CIRCLE, or --all")
    params: dict[str, Any] = {"path": absolute(file), "works": list(works), "circles": list(circles)}
    params |= {name: True for name, given in (("all", everything), ("private", private)) if given}
    with Progress() as progress:
        answer = call.ask("bundle.export", params, progress.update, timeout_s=None)
    if call.json:
        print_json(answer)
        return
    print_pairs(
        [
            ("path", answer.get("path")),
            ("size", size(answer.get("bytes"))),
            ("works", f"{answer.get('works')}, {plural(answer.get('contents'), 'content')}"),
            ("circles", f"{answer.get('circles')}, {plural(answer.get('records'), 'record')}"),
        ]
    )
    lacking = answer.get("lacking", [])
    for title in lacking[:SHOWN]:
        note(f"only described, its content is not here: {title}")
    if len(lacking) > SHOWN:
        note(f"only described: {len(lacking) - SHOWN} more (--json lists all)")


@bundle.command("import", cls=Command)
@click.argument("file")
@click.option(
    "--follow", multiple=True, metavar="CIRCLE", help="Be in this circle of the bundle from now on; may be repeated."
)
@click.option("--follow-all", is_flag=True, help="Be in every circle of the bundle.")
@click.pass_obj
def import_(call: Call, file: str, follow: tuple[str, ...], follow_all: bool) -> None:
    """Take in a bundle: everything in it is verified, and merged with what is here; importing again does no harm.

    Circles that this node is not in are left out unless they are followed: then you read them, and can vote once a member vouches
    for you. Contents that no work of the bundle names are left out.
    """
    params: dict[str, Any] = {"path": absolute(file, must_exist=True)}
    params |= {"follow": list(follow)} if follow else {}
    params |= {"follow_all": True} if follow_all else {}
    with Progress() as progress:
        answer = call.ask("bundle.import", params, progress.update, timeout_s=None)
    if call.json:
        print_json(answer)
    else:
        _print(answer)
    if answer.get("damage"):
        raise P2pnodeError(
            f"the bundle is not whole: {answer['damage']}",
            hint="what was right in it is here now; get the rest from another copy",
        )


def _print(answer: dict[str, Any]) -> None:
    rows: list[tuple[str, object]] = [("works", answer.get("works")), ("contents", f"{answer.get('taken')} new")]
    for circle in answer.get("circles", []):
        what = plural(circle.get("new"), "new record") if circle.get("state") != "left_out" else "left out"
        rows.append(("circle", f"{circle.get('name') or circle.get('circle')}: {what}"))
    print_pairs(rows)
    for circle in answer.get("circles", []):
        if circle.get("state") == "left_out":
            way = "to come along" if circle.get("fork_of") else "to read it"
            note(
                f"left out: circle {circle.get('name') or circle.get('circle')} ({circle.get('reason')}); {way}: --follow"
            )
        elif circle.get("unknown") or circle.get("rejected") or circle.get("beyond"):
            refused = f"{circle.get('rejected')} malformed, {circle.get('unknown')} of authors whom nobody introduces"
            more = f", {circle['beyond']} charters and vouches over what is looked at" if circle.get("beyond") else ""
            note(f"refused: {refused}{more}")
    contents = [item for item in answer.get("contents", []) if item.get("state") == "left_out"]
    for item in contents[:SHOWN]:
        note(f"left out: {item.get('title') or item.get('cid')} ({item.get('reason')})")
    if int(answer.get("left_out", 0)) > SHOWN:
        note(f"left out: {int(answer['left_out']) - SHOWN} more (--json tells)")
