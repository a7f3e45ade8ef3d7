"""The command line's front door: reads arguments, runs one command, turns whatever goes wrong into a line, a hint and an exit status.

Nothing reaches the user as a traceback; what was not foreseen is written to `log/cli.log` in the home. Called by `__main__`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import click

from p2pnode import __version__
from p2pnode.cli.backup import backup, restore
from p2pnode.cli.bans import peers
from p2pnode.cli.bundle import bundle
from p2pnode.cli.car import car
from p2pnode.cli.circles import circle, unvouch, vouch
from p2pnode.cli.commands import Group
from p2pnode.cli.deciding import explain, proposals, review, vote
from p2pnode.cli.devices import device
from p2pnode.cli.doctor import doctor
from p2pnode.cli.forking import fork
from p2pnode.cli.gateway import gateway
from p2pnode.cli.help import show_help
from p2pnode.cli.history import history
from p2pnode.cli.identity import identity
from p2pnode.cli.keeping import pin, remove, storage, unpin, unpublish, verify
from p2pnode.cli.limits import limits
from p2pnode.cli.marks import mark, marks, notices
from p2pnode.cli.node import daemon, open_tui, status, stop, tui
from p2pnode.cli.proposing import propose
from p2pnode.cli.publishing import publish, publishing
from p2pnode.cli.reading import cat, open_work
from p2pnode.cli.rescue import rescue
from p2pnode.cli.service import service
from p2pnode.cli.transfers import get, transfers
from p2pnode.cli.watching import watch
from p2pnode.cli.works import cid, list_works, search, show
from p2pnode.config import find_home
from p2pnode.core.text import safe
from p2pnode.errors import EXIT_INTERRUPTED, EXIT_OK, P2pnodeError, UsageError

PROGRAM = "p2pnode"
CRASH_LOG = "cli.log"

COMMANDS: tuple[click.Command, ...] = (
    *(tui, daemon, status, doctor, stop, peers, limits, service),
    *(cid, publish, publishing, watch, search, list_works, show, get, cat, open_work, transfers, car, bundle, gateway),
    *(unpublish, pin, unpin, remove, storage, verify, rescue, backup, restore),
    *(circle, vouch, unvouch, propose, proposals, review, vote, explain, history, notices, mark, marks),
    *(identity, device, show_help),
)


class _Interrupted(P2pnodeError):
    code = "interrupted"
    exit_status = EXIT_INTERRUPTED


class _Root(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a first journey, not of the alphabet."""
        return [command.name for command in COMMANDS if command.name]


@click.group(
    cls=_Root,
    invoke_without_command=True,
    epilog="Without a command the terminal UI opens. Read on with: p2pnode help",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    """A commons on your own machine: share works, find them, decide together, with no server anywhere."""
    if context.invoked_subcommand is None:
        open_tui(context.obj)


circle.add_command(fork)
for _command in COMMANDS:
    root.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Returns the exit status that `p2pnode help exit-statuses` documents."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal of another encoding shows a mark instead of breaking
    try:
        status = _run(list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_broken_pipe()
        return EXIT_OK  # the reader had enough: that is its right
    return status


def _run(arguments: list[str]) -> int:
    from p2pnode.cli.call import Call

    as_json = "--json" in arguments[: arguments.index("--")] if "--" in arguments else "--json" in arguments
    try:
        result = root.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=Call())
        return result if isinstance(result, int) else EXIT_OK
    except P2pnodeError as error:
        return _report(error, as_json)
    except (click.Abort, KeyboardInterrupt):
        return _report(_Interrupted("interrupted"), as_json) if as_json else EXIT_INTERRUPTED
    except click.ClickException as error:
        return _report(_as_usage_error(error), as_json)
    except SystemExit as error:  # click raises it for a closed pipe, and for nothing else when it runs inside a program
        raise BrokenPipeError from error
    except BrokenPipeError:
        raise
    except OSError as error:
        return _report(P2pnodeError(_in_words(error)), as_json)
    except Exception as error:
        return _report(_unexpected(error, arguments), as_json)


def _report(error: P2pnodeError, as_json: bool) -> int:
    """One line and a hint on stderr, or one object."""
    if as_json:
        shown = {"code": error.code, "message": error.message, "hint": error.hint}
        print(json.dumps(shown), file=sys.stderr)
    else:
        print(f"{PROGRAM}: {safe(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  {safe(error.hint)}", file=sys.stderr)
    return error.exit_status


def _as_usage_error(error: click.ClickException) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    message = " ".join(error.format_message().split()).rstrip(".")  # click lists choices a line each, with tabs
    where = context.command_path if context is not None else PROGRAM
    return UsageError(message[:1].lower() + message[1:], hint=f"see: {where} --help")


def _in_words(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{os.fsdecode(error.filename)}: {what}" if isinstance(error.filename, (str, bytes)) else what


def _unexpected(error: Exception, arguments: list[str]) -> P2pnodeError:
    """Keep the traceback where it can be sent from, and say where."""
    import traceback

    text = f"p2pnode {__version__}, {arguments[:1]}\n{''.join(traceback.format_exception(error))}\n"
    hint = "this is a mistake in p2pnode"
    try:
        folder = find_home(_home_argument(arguments)).log
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / CRASH_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
            file.write(text)
        hint = f"{hint}; what happened stands in {folder / CRASH_LOG}"
    except (OSError, P2pnodeError):
        pass  # a disk that cannot be written must not hide the error itself
    failure = P2pnodeError(f"something unforeseen happened ({type(error).__name__})", hint=hint)
    failure.code = "internal"
    return failure


def _home_argument(arguments: list[str]) -> str | None:
    for at, argument in enumerate(arguments):
        if argument == "--home":
            return arguments[at + 1] if at + 1 < len(arguments) else None
        if argument.startswith("--home="):
            return argument.partition("=")[2]
    return None


def _leave_broken_pipe() -> None:
    """So that the interpreter's own last flush finds an open file."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
