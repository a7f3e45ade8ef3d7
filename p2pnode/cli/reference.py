"""The reference of all commands, made from the commands themselves: `docs/commands.md`. A test keeps the file current.

`python -m p2pnode.cli.reference` prints it. Never read at run time; people read the file through `p2pnode help commands`.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from p2pnode.cli.commands import common_options
from p2pnode.cli.main import PROGRAM, root

HEAD = f"""# Commands

Made from the program itself; do not edit. Every command also takes:

{{common}}

Ids of works, circles, proposals and keys, and CIDs, may be shortened where that is unambiguous. Exit statuses:
`{PROGRAM} help exit-statuses`. Completion in a shell: `{PROGRAM} help shell-completion`.
"""


def command_reference() -> str:
    """The whole document."""
    context = click.Context(root, info_name=PROGRAM)
    common = "\n".join(_options(common_options(), context))
    parts = [HEAD.format(common=common)]
    parts += ["\n".join(_section(path, command)) + "\n" for path, command in _commands(context, root, PROGRAM)]
    return "\n".join(parts)


def _commands(context: click.Context, group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            yield f"{path} {name}", command
            if isinstance(command, click.Group):
                yield from _commands(context, command, f"{path} {name}")


def _section(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    common = {option.name for option in common_options()}
    own = [parameter for parameter in command.params if parameter.name not in common]
    arguments = [word for parameter in own for word in _usage(parameter, context)]
    yield f"## {' '.join([path, *arguments])}"
    yield ""
    yield " ".join((command.help or "").split())
    options = list(_options([parameter for parameter in own if isinstance(parameter, click.Option)], context))
    if options:
        yield ""
        yield from options


def _usage(parameter: click.Parameter, context: click.Context) -> list[str]:
    if isinstance(parameter, click.Argument):
        return [parameter.make_metavar(context)]
    if not isinstance(parameter, click.Option):
        return []
    name = max(parameter.opts, key=len)
    word = name if parameter.is_flag else f"{name} {parameter.make_metavar(context)}"
    return [word if parameter.required else f"[{word}]" + ("..." if parameter.multiple else "")]


def _options(parameters: list[click.Parameter], context: click.Context) -> Iterator[str]:
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record is not None:
            yield f"- `{record[0]}`: {record[1]}"


if __name__ == "__main__":
    print(command_reference(), end="")
