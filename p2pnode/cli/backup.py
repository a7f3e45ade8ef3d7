"""`p2pnode backup` and `p2pnode restore`: the whole home in one file, and back. The work is done by `p2pnode.backup`."""

from __future__ import annotations

import os
import sys

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Command
from p2pnode.cli.identity import ask_hidden
from p2pnode.cli.node import become
from p2pnode.errors import UsageError

PASSPHRASE_VARIABLE = "P2PNODE_BACKUP_PASSPHRASE"


@click.command(cls=Command)
@click.argument("file", required=False, type=click.Path())
@click.option("--to", metavar="DIR", type=click.Path(), help="Into this folder, under a name with the date.")
@click.option("--no-content", is_flag=True, help="Without the works in the library: small; they are fetched again.")
@click.option("--no-identity", is_flag=True, help="Without your keys: a new home needs your 24 words.")
@click.option("--unlocked", is_flag=True, help="With your keys as they are; whoever has the file is you.")
@click.pass_obj
def backup(call: Call, file: str | None, to: str | None, no_content: bool, no_identity: bool, unlocked: bool) -> None:
    """Write the whole home to one FILE, also while the daemon runs.

    Records, circles, settings, the catalogue, your keys and the works in the library; not the files that you published in place: those are
    yours, and stay where they are. Your keys are locked with a passphrase that is asked for (or $P2PNODE_BACKUP_PASSPHRASE). An
    identity that has a passphrase keeps that one.
    """
    if (file is None) == (to is None):
        raise UsageError("say where to: FILE, or --to DIR")
    if no_identity and unlocked:
        raise UsageError("--no-identity and --unlocked exclude each other")
    identity = "none" if no_identity else "plain" if unlocked else "sealed"
    arguments = ["backup", "--identity", identity, *(["--no-content"] if no_content else [])]
    arguments += ["--file", os.path.abspath(file)] if file is not None else ["--to", os.path.abspath(to or "")]
    wanted = identity == "sealed" and not _is_sealed(call)
    become(
        call,
        "p2pnode.backup",
        [*arguments, *_json(call)],
        _passphrase("Passphrase for the backup: ", wanted, twice=True),
    )


@click.command(cls=Command)
@click.argument("file", type=click.Path())
@click.option("--library", metavar="DIR", type=click.Path(), help="Put the works there, for example on a second disk.")
@click.option("--check", is_flag=True, help="Only see whether the backup is whole; restore nothing.")
@click.pass_obj
def restore(call: Call, file: str, library: str | None, check: bool) -> None:
    """Make a home out of a backup FILE, where none is yet (--home).

    Everything is checked before anything appears; a home that is there is never touched. Restored beside the original, both are you: what
    both of them sign about one question at the same time counts once or not at all, so let one of them vote. See: p2pnode help home-server.
    """
    arguments = ["restore", "--file", os.path.abspath(file), *(["--check"] if check else [])]
    arguments += ["--library", os.path.abspath(library)] if library is not None else []
    secrets = _passphrase("Passphrase of the backup (empty if it has none): ", not check, twice=False)
    become(call, "p2pnode.backup", [*arguments, *_json(call)], secrets)


def _json(call: Call) -> list[str]:
    return ["--json"] if call.json else []


def _is_sealed(call: Call) -> bool:
    from p2pnode.local.identity import is_sealed

    return not call.home.identity.exists() or is_sealed(call.home.identity)


def _passphrase(prompt: str, wanted: bool, *, twice: bool) -> dict[str, str]:
    """Asked for on a terminal, where it is wanted and not in the environment."""
    if not wanted or PASSPHRASE_VARIABLE in os.environ or not sys.stdin.isatty():
        return {}
    return {PASSPHRASE_VARIABLE: ask_hidden(prompt, twice=twice)}
