"""Help for everything: documents, commands, completion, and a reference that is current."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from p2pnode import __version__
from p2pnode.cli.help import topics
from p2pnode.cli.main import root
from p2pnode.cli.reference import command_reference
from tests.cli.conftest import Cli

DOCS = Path(__file__).parents[2] / "p2pnode" / "docs"


def paths(group: click.Group, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        found.append((*before, name))
        if isinstance(command, click.Group):
            found += paths(command, (*before, name))
    return found


@pytest.mark.parametrize("path", paths(root), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...], cli: Cli) -> None:
    for said in (cli(*path, "--help"), cli(*path, "-h"), cli("help", *path)):
        assert (said.status, said.err) == (0, "")
    command: Any = root
    for name in path:
        command = command.commands[name]
    assert command.help and command.help.split()[0] in said.out
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} is not explained"
            assert parameter.opts[0] in said.out or path == ("help",)


def test_documents_are_printed(cli: Cli) -> None:
    names = {path.stem for path in DOCS.glob("*.md")}
    assert names <= set(topics())
    listed = cli("help").out
    for name in names:
        assert f"\n  {name} " in listed
    assert cli("help", "exit-statuses").out == (DOCS / "exit-statuses.md").read_text(encoding="utf-8")
    assert cli("help", "Glossary.md").status == 0
    assert cli("help", "glossary", "--json").json["topic"] == "glossary"
    assert {"topic": "exit-statuses", "title": "Exit statuses"} in cli("help", "--json").json_lines


@pytest.mark.parametrize("topic", [["nothing"], ["../pyproject"], ["../../etc/passwd"], ["publish", "more"]])
def test_unknown_topics(topic: list[str], cli: Cli) -> None:
    said = cli("help", *topic)
    assert said.status == 4 and "p2pnode help" in said.err


def test_the_command_reference_is_current() -> None:
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert written == command_reference(), "run: python -m p2pnode.cli.reference > p2pnode/docs/commands.md"


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out == f"p2pnode {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_as_the_document_says(shell: str) -> None:
    document = (DOCS / "shell-completion.md").read_text(encoding="utf-8")
    assert f"_P2PNODE_COMPLETE={shell}_source" in document
    call = [sys.executable, "-m", "p2pnode"]
    environment = os.environ | {"_P2PNODE_COMPLETE": f"{shell}_source"}
    assert "_P2PNODE_COMPLETE" in subprocess.run(call, env=environment, capture_output=True, text=True).stdout
    environment |= {
        "_P2PNODE_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "p2pnode pub",
        "COMP_CWORD": "1" if shell != "fish" else "pub",
    }
    assert "publish" in subprocess.run(call, env=environment, capture_output=True, text=True).stdout
