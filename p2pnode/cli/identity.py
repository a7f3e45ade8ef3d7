"""Commands about one's names: identity show, set, backup, restore, passphrase. The last three work on the key file, without a daemon."""

from __future__ import annotations

import os
import sys

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Group
from p2pnode.cli.output import note, print_json, print_pairs
from p2pnode.errors import RefusedError, UsageError

PASSPHRASE_VARIABLE = "P2PNODE_PASSPHRASE"
WORDS_IN_A_ROW = 6
MAX_TYPED_CHARACTERS = 4096


@click.group(cls=Group)
def identity() -> None:
    """Your names: the key that signs what you publish, and its backup."""


@identity.command("show")
@click.option("--circle", help="And your name in this circle.")
@click.pass_obj
def show_identity(call: Call, circle: str | None) -> None:
    """Show the public names you sign with."""
    answer = call.ask("identity.show", {"circle": circle} if circle else {})
    if call.json:
        print_json(answer)
        return
    print_pairs(
        [
            ("profile key", answer.get("profile_key")),
            ("name", answer.get("name")),
            ("about", answer.get("about")),
            ("circle", answer.get("circle")),
            ("key there", answer.get("key")),
        ]
    )


@identity.command("set")
@click.option("--name", required=True, help="The name others see beside your profile key.")
@click.option("--about", help="A few words about you.")
@click.pass_obj
def set_identity(call: Call, name: str, about: str | None) -> None:
    """Sign a public profile. Names in circles stay unlinked to it."""
    answer = call.ask("identity.set", {"name": name} | ({"about": about} if about else {}))
    if call.json:
        print_json(answer)
    else:
        print("Your profile is signed.")


@identity.command()
@click.pass_obj
def backup(call: Call) -> None:
    """Print the 24 words that bring your identity back. Whoever reads them is you: keep them on paper."""
    from p2pnode.local.identity import backup_words, is_sealed, open_identity

    path = call.home.identity
    passphrase = _passphrase("Passphrase: ") if is_sealed(path) else None
    words = backup_words(open_identity(path, passphrase).seed)
    if call.json:
        print_json({"words": words})
        return
    numbered = [f"{number:2d} {word:<9}" for number, word in enumerate(words.split(), 1)]
    for start in range(0, len(numbered), WORDS_IN_A_ROW):
        print("  ".join(numbered[start : start + WORDS_IN_A_ROW]).rstrip())
    note("Write them down, with their order, and keep them where nobody else reads them.")


@identity.command()
@click.option(
    "--passphrase", "sealed", is_flag=True, help=f"Lock it with a passphrase (asked for, or ${PASSPHRASE_VARIABLE})."
)
@click.pass_obj
def restore(call: Call, sealed: bool) -> None:
    """Bring an identity back from its 24 words, read from the terminal or stdin (never from arguments, which others can see)."""
    from p2pnode.control.lock import make_private_folder
    from p2pnode.local.identity import restore as restore_words

    _refuse_while_running(call)
    if sys.stdin.isatty():
        note("The 24 words, with or without their numbers; an empty line ends them:")
    words = _read_words()
    passphrase = _passphrase("New passphrase: ", twice=True) if sealed else os.environ.get(PASSPHRASE_VARIABLE)
    make_private_folder(call.home)
    written = restore_words(call.home.identity, words, passphrase)
    if call.json:
        print_json({"restored": written, "path": str(call.home.identity)})
    else:
        print("The identity is restored." if written else "This identity is here already.")


@identity.command()
@click.option("--remove", is_flag=True, help="Have none from now on.")
@click.pass_obj
def passphrase(call: Call, remove: bool) -> None:
    """Lock the identity's file with a passphrase, change it, or remove it.

    `p2pnode daemon` asks for it on a terminal, or takes it from $P2PNODE_PASSPHRASE.
    """
    from p2pnode.local.identity import change_passphrase, is_sealed

    _refuse_while_running(call)
    old = _passphrase("Passphrase: ") if is_sealed(call.home.identity) else None
    new = None if remove else ask_hidden("New passphrase: ", twice=True)
    change_passphrase(call.home.identity, old, new)
    if call.json:
        print_json({"locked": new is not None})
    else:
        print("The identity is locked with the new passphrase." if new else "The identity has no passphrase now.")


def ask_before_start(call: Call) -> dict[str, str]:
    """What a daemon about to start needs in its environment: the passphrase, where its identity has one and a terminal can ask."""
    from p2pnode.local.identity import is_sealed

    path = call.home.identity
    if PASSPHRASE_VARIABLE in os.environ or not path.exists() or not sys.stdin.isatty() or not is_sealed(path):
        return {}
    return {PASSPHRASE_VARIABLE: ask_hidden("Passphrase: ", twice=False)}


def _refuse_while_running(call: Call) -> None:
    from p2pnode.control.lock import running_pid

    pid = running_pid(call.home)
    if pid is not None:
        raise RefusedError(f"the daemon (process {pid}) is using this identity", hint="stop it first: p2pnode stop")


def _passphrase(prompt: str, *, twice: bool = False) -> str:
    """From the environment, else asked for."""
    return os.environ.get(PASSPHRASE_VARIABLE) or ask_hidden(prompt, twice=twice)


def ask_hidden(prompt: str, *, twice: bool) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            "a passphrase is needed, and there is no terminal to ask for it", hint=f"set {PASSPHRASE_VARIABLE}"
        )
    from getpass import getpass

    text = getpass(prompt)
    if twice and getpass("The same again: ") != text:
        raise UsageError("the two passphrases differ")
    return text


def _read_words() -> str:
    lines: list[str] = []
    characters = 0
    for line in sys.stdin:
        if not line.strip() and lines:
            break
        characters += len(line)
        if characters > MAX_TYPED_CHARACTERS:
            raise UsageError("that is too much text for 24 words")
        lines.append(line)
    if not lines:
        raise UsageError("no words were given", hint="type them, or: p2pnode identity restore < words.txt")
    return " ".join(lines)
