"""`p2pnode help`: the documents that ship with the program, and the help of its commands."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import click

from p2pnode.cli.commands import Command
from p2pnode.cli.output import print_json, print_json_lines
from p2pnode.errors import NotFoundError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

DECISIONS = "adr"


def topics() -> dict[str, Traversable]:
    """Every document by its name, in order of names; decisions last, as adr/NAME."""
    docs = files("p2pnode") / "docs"
    found: dict[str, Traversable] = {}
    for prefix, folder in (("", docs), (f"{DECISIONS}/", docs / DECISIONS)):
        if folder.is_dir():
            found |= {prefix + entry.name[:-3]: entry for entry in folder.iterdir() if entry.name.endswith(".md")}
    return dict(sorted(found.items(), key=lambda item: ("/" in item[0], item[0])))


@click.command("help", cls=Command)
@click.argument("topic", nargs=-1)
@click.pass_context
def show_help(context: click.Context, topic: tuple[str, ...]) -> None:
    """Read a document or a command's help: p2pnode help TOPIC."""
    root = context.find_root()
    if not topic:
        _list_topics(context)
        return
    name = "/".join(topic).lower().removesuffix(".md")
    document = {topic.lower(): document for topic, document in topics().items()}.get(name)
    text = document.read_text(encoding="utf-8") if document is not None else _command_help(root, topic)
    if context.obj.json:
        print_json({"topic": " ".join(topic), "text": text})
    else:
        print(text.rstrip())


def _list_topics(context: click.Context) -> None:
    titles = {name: _title(document) for name, document in topics().items()}
    if context.obj.json:
        print_json_lines({"topic": name, "title": title} for name, title in titles.items())
        return
    print("Read one with: p2pnode help TOPIC")
    for name, title in titles.items():
        print(f"  {name:<{max(map(len, titles))}}  {title}".rstrip())
    print("Every command explains itself: p2pnode COMMAND --help. All of them: p2pnode --help, p2pnode help commands.")


def _title(document: Traversable) -> str:
    """The document's own first heading."""
    with document.open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").rstrip()


def _command_help(root: click.Context, path: tuple[str, ...]) -> str:
    context, command = root, root.command
    for name in path:
        inner = command.get_command(context, name) if isinstance(command, click.Group) else None
        if inner is None:
            raise NotFoundError(f"there is no topic and no command {' '.join(path)!r}", hint="see: p2pnode help")
        context, command = click.Context(inner, info_name=name, parent=context), inner
    return command.get_help(context)
