"""click's commands and groups as ours behave: `--home` and `--json` at any level, no help dumped for a missing argument.

Used by every module of commands; holds none itself.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from p2pnode.cli.call import Call
from p2pnode.cli.remote import refuse_remote

OTHER_WORDS = {
    "complain": "propose flag",
    "members": "circle show",
    "rules": "circle charter",
    "approve": "vote",
    "reject": "vote",
    "share": "publish",
    "add": "publish",
    "download": "get",
    "fetch": "get",
    "start": "daemon",
    "config": "help settings",
    "settings": "help settings",
    "whoami": "identity show",
}
"""What people type first, and where it is: words of ordinary speech and of other programs."""
HELP_NAMES = {"help_option_names": ["-h", "--help"]}


def _set_home(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Call).home_argument = value


def _set_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Call).json = True


def _set_device(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Call).device = value


def common_options() -> list[click.Parameter]:
    """The options that every command takes."""
    return [
        click.Option(
            ["--home"],
            metavar="DIR",
            callback=_set_home,
            expose_value=False,
            help="The node's folder (default: $P2PNODE_HOME, else the platform's).",
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            callback=_set_json,
            expose_value=False,
            help="Answer with JSON; lists: one object a line.",
        ),
        click.Option(
            ["--node"],
            metavar="NAME",
            callback=_set_device,
            expose_value=False,
            help="Do it on a paired machine of yours (see: p2pnode device).",
        ),
    ]


def first_sentence(text: str | None) -> str:
    """The first sentence of a help text, on one line, without its full stop."""
    return " ".join((text or "").split()).split(". ")[0].split("; ")[0].rstrip(".")


class Command(click.Command):
    """A command with the common options behind its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = HELP_NAMES | kwargs.get("context_settings", {})
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *common_options()]

    def invoke(self, ctx: click.Context) -> Any:
        """As click's; a command that cannot be done elsewhere says so."""
        call = ctx.find_object(Call)
        if call is not None and call.device is not None:
            refuse_remote(ctx.command_path, call.device)
        return super().invoke(ctx)

    def get_short_help_str(self, limit: int = 0) -> str:
        """The whole first sentence, whatever click's limit is: a list that says `needs no...` helps nobody."""
        return first_sentence(self.help)


class Group(click.Group):
    """A group with the common options, whose commands are ours; names what might have been meant."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = HELP_NAMES | kwargs.get("context_settings", {})
        kwargs.setdefault("no_args_is_help", False)
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *common_options()]

    def get_short_help_str(self, limit: int = 0) -> str:
        """As Command's."""
        return first_sentence(self.help)

    def invoke(self, ctx: click.Context) -> Any:
        """As Command's, for a group that is a command itself."""
        call = ctx.find_object(Call)
        if call is not None and call.device is not None:
            refuse_remote(ctx.command_path, call.device)
        return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with a guess behind an unknown name."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise click.UsageError(f"there is no command {name!r}.{self._guess(ctx, name)}", ctx)
        return super().resolve_command(ctx, args)

    def _guess(self, ctx: click.Context, name: str) -> str:
        from difflib import get_close_matches  # only a mistake pays for it

        groups = [one for one in map(partial(self.get_command, ctx), self.list_commands(ctx)) if isinstance(one, Group)]
        near = [f"{group.name} {name}" for group in groups if name in group.commands]
        if ctx.parent is None and name in OTHER_WORDS:
            near = [OTHER_WORDS[name]]
        near = near or get_close_matches(name, self.list_commands(ctx), n=2)
        return f" Did you mean {' or '.join(near)}?" if near else ""
