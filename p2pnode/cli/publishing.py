"""Commands about publishing: publish, and publishing (list, pause, resume, cancel)."""

from __future__ import annotations

from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command, Group
from p2pnode.cli.description import description_options, read_description
from p2pnode.cli.output import note, plural, print_json, print_json_lines, print_pairs, print_table, size
from p2pnode.cli.progress import Progress
from p2pnode.cli.works import absolute, note_skipped
from p2pnode.errors import UsageError


@click.command(cls=Command)
@click.argument("path", required=False)
@description_options(title_required=False)
@click.option("--revises", metavar="WORK", help="Publish it as a new revision of that work of yours.")
@click.option("--detach", is_flag=True, help="Do not wait: the node publishes by itself.")
@click.option("--watch", is_flag=True, help="Watch it from now on, and offer a revision when it changes.")
@click.pass_obj
def publish(
    call: Call, /, path: str | None, circle: str | None, private: bool, revises: str | None, **given: Any
) -> None:
    """Publish the file or folder at PATH, which stays where it is.

    Your profile key signs it, and anybody may find it. With --circle your pseudonym in that circle signs it, and a proposal
    to list it there is made with your approving ballot. With --private it is signed by the profile key and told to nobody.

    With --revises only what changed is read; what you do not say anew stays as it was, PATH too. Ctrl-C pauses: nothing is
    published then, and the same command goes on where it was.
    """
    if circle is not None and private:
        raise UsageError("--circle and --private exclude each other", hint="what a circle lists is public")
    if revises is None and path is None:
        raise UsageError("PATH is missing", hint="give the path of a file or a folder; `.` is this folder")
    if revises is None and given["title"] is None:
        raise UsageError("missing option '--title'", hint="see: p2pnode publish --help")
    detach = given.pop("detach")
    watch = given.pop("watch")
    params = read_description(given, title_needed=revises is None)
    if path is not None:
        params["path"] = absolute(path, must_exist=True)
    for name, value in (
        ("circle", circle),
        ("private", private),
        ("revises", revises),
        ("detach", detach),
        ("watch", watch),
    ):
        if value:
            params[name] = value
    _run(call, "work.publish", params, detach)


def _run(call: Call, method: str, params: dict[str, Any], detach: bool) -> None:
    """Wait for a publishing and say what became of it."""
    id = ""

    def on_event(name: str, data: dict[str, Any]) -> None:
        nonlocal id
        id = str(data.get("publishing", id))
        progress.update(name, data)

    try:
        with Progress() as progress:
            answer = call.ask(method, params, on_event, timeout_s=None)
    except KeyboardInterrupt:
        if not call.json and id:
            click.echo(f"Paused: nothing was published. To go on: p2pnode publishing resume {id}", err=True)
        raise
    if call.json:
        print_json(answer)
    elif detach:
        print_pairs([("publishing", answer.get("publishing")), ("path", answer.get("path"))])
        note("the node goes on by itself; see: p2pnode publishing")
    else:
        _print_published(answer)


def _print_published(answer: dict[str, Any]) -> None:
    known = answer.get("known_bytes")
    print_pairs(
        [
            ("work", answer.get("work")),
            ("cid", answer.get("cid")),
            ("revision", answer.get("revision")),
            ("size", f"{size(answer.get('bytes'))}, {plural(answer.get('files'), 'file')}"),
            ("not read again", size(known) if known else None),
            ("signed as", answer.get("signed_as")),
            ("proposal", answer.get("proposal")),
        ]
    )
    note_skipped(answer.get("skipped", []), answer.get("skipped_count"))


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def publishing(context: click.Context) -> None:
    """List what is being published and what is paused; pause, resume or cancel it."""
    if context.invoked_subcommand is not None:
        return
    call: Call = context.obj
    items = call.items("publishing.list")
    if call.json:
        print_json_lines(items)
    elif not items:
        print("Nothing is being published. Publish with: p2pnode publish PATH --title TITLE")
    else:
        print_table(
            ["PUBLISHING", "STATE", "DONE", "TOTAL", "TITLE", "PATH", "REASON"],
            [
                [
                    str(item.get("publishing")),
                    str(item.get("state")),
                    size(item.get("bytes")),
                    size(item.get("total")),
                    str(item.get("title") or ""),
                    str(item.get("path") or ""),
                    str(item.get("reason") or ""),
                ]
                for item in items
            ],
            flexible=5,
        )


@publishing.command()
@click.argument("publishing")
@click.pass_obj
def pause(call: Call, publishing: str) -> None:
    """Stop reading; what was hashed is kept, and nothing is published."""
    _done(call, call.ask("publishing.pause", {"publishing": publishing}), "Paused.")


@publishing.command()
@click.argument("publishing")
@click.option("--detach", is_flag=True, help="Do not wait: the node publishes by itself.")
@click.pass_obj
def resume(call: Call, publishing: str, detach: bool) -> None:
    """Go on where it was: files that have not changed are not read again."""
    params: dict[str, Any] = {"publishing": publishing}
    _run(call, "publishing.resume", params | ({"detach": True} if detach else {}), detach)


@publishing.command()
@click.argument("publishing")
@click.pass_obj
def cancel(call: Call, publishing: str) -> None:
    """Give it up, with everything that was hashed for it; your files are not touched."""
    _done(call, call.ask("publishing.cancel", {"publishing": publishing}), "Given up; nothing was published.")


def _done(call: Call, answer: dict[str, Any], words: str) -> None:
    if call.json:
        print_json(answer)
    else:
        print(words)
