"""Commands about archives (CAR), the files in which IPFS programs hand contents to one another: export, import."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command, Group
from p2pnode.cli.description import description_options, read_description
from p2pnode.cli.output import note, plural, print_json, print_json_lines, print_pairs, size
from p2pnode.cli.progress import Progress
from p2pnode.cli.reading import Frames
from p2pnode.cli.works import absolute
from p2pnode.errors import UsageError


@click.group(cls=Group)
def car() -> None:
    """Write a content to a CAR archive, or take one in; every IPFS program reads and writes these."""


@car.command(cls=Command)
@click.argument("work", metavar="WORK|CID")
@click.option(
    "-o", "--output", "path", metavar="FILE", help="Where to put it; - is standard output (default: CID.car here)."
)
@click.pass_obj
def export(call: Call, work: str, path: str | None) -> None:
    """Write the content of a work, or any content that is here, to a CAR archive (version 1).

    Blocks stand in it depth first and once each, so the same content gives the same file everywhere. Nothing is overwritten.
    """
    if path == "-":
        _stream(call, work)
        return
    if path is None:
        path = f"{_root(call, work)}.car"
    params = {"work": work, "path": absolute(path)}
    with Progress() as progress:
        answer = call.ask("car.export", params, progress.update, timeout_s=None)
    if call.json:
        print_json(answer)
    else:
        print_pairs([("path", answer.get("path")), ("cid", answer.get("cid")), ("size", size(answer.get("bytes")))])


def _stream(call: Call, work: str) -> None:
    """The archive to standard output, as fast as it is read."""
    with call.client() as client:
        out = Frames(client, as_json=call.json)

        def on_event(name: str, data: dict[str, Any]) -> None:
            if name == "work.opened":
                out.begin(str(data["read"]))
            elif name == "work.bytes":
                out.take(data)

        client.call("car.read", {"work": work}, on_event, None)
        out.write()


def _root(call: Call, work: str) -> str:
    return work if work[:2] not in ("w-", "W-") else str(call.ask("work.show", {"work": work}).get("cid"))


@car.command("import", cls=Command)
@click.argument("file")
@description_options(title_required=False)
@click.pass_obj
def import_(call: Call, /, file: str, circle: str | None, private: bool, **given: Any) -> None:
    """Take the contents of a CAR archive (version 1 or 2) into the library; every block is verified.

    They are then kept and served like fetched ones. With --title the content becomes a work of yours, as if you had published it.
    """
    params: dict[str, Any] = {"path": absolute(file, must_exist=True)}
    if given["title"]:
        params |= read_description(given)
        params |= ({"circle": circle} if circle else {}) | ({"private": True} if private else {})
    elif circle or private or any(given.values()):
        raise UsageError("what describes a work needs a title", hint="give the work a title: --title TITLE")
    with Progress() as progress:
        answer = call.ask("car.import", params, progress.update, timeout_s=None)
    items = answer.get("items", [])
    if call.json:
        print_json_lines(items)
        return
    for item in items:
        print_pairs(
            [
                ("work", item.get("work")),
                ("cid", item.get("cid")),
                ("path", item.get("path")),
                ("size", f"{size(item.get('bytes'))}, {plural(item.get('files'), 'file')}"),
                ("signed as", item.get("signed_as")),
                ("proposal", item.get("proposal")),
            ]
        )
        if not item.get("fresh"):
            note("it was here already")
        if item.get("left_out"):
            note(f"left out: {plural(item['left_out'], 'symbolic link')} (links are not made)")
        if item.get("renamed"):
            note(f"renamed: {plural(item['renamed'], 'file')} whose names are not safe on every disk")
