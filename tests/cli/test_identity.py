"""The identity's backup, restore and passphrase: on the key file alone, without a daemon."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from p2pnode.cli import identity, node
from p2pnode.cli.call import Call
from p2pnode.config import Home
from p2pnode.control.lock import DaemonLock
from p2pnode.local.identity import load_or_create, open_identity
from tests.cli.conftest import Cli


@pytest.fixture
def seed(home: Path) -> bytes:
    home.mkdir()
    return load_or_create(Home(home).identity)[0]


def typing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_what_backup_prints_restores_elsewhere(
    cli: Cli, seed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for_people = cli("identity", "backup")
    assert for_people.status == 0 and len(for_people.out.splitlines()) == 4
    assert "Write them down" in for_people.err
    words = cli("identity", "backup", "--json").json["words"]
    assert len(words.split()) == 24
    for at, text in enumerate((for_people.out, words + "\n", words.upper() + "\n\nignored")):
        typing(monkeypatch, text)
        other = tmp_path / f"other{at}"
        said = cli("identity", "restore", "--home", str(other), "--json")
        assert said.json == {"restored": True, "path": str(other / "identity.key")}
        assert open_identity(other / "identity.key").seed == seed
        assert (other / "identity.key").stat().st_mode & 0o077 == 0


def test_restoring_what_is_there_is_nothing_and_another_is_refused(
    cli: Cli, seed: bytes, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = cli("identity", "backup", "--json").json["words"]
    typing(monkeypatch, words)
    assert cli("identity", "restore").out == "This identity is here already.\n"
    (home / "identity.key").unlink()
    other, _ = load_or_create(Home(home).identity)
    typing(monkeypatch, words)
    assert cli("identity", "restore").status == 6
    assert open_identity(home / "identity.key").seed == other


@pytest.mark.parametrize("text", ["", "abandon " * 23, "abandon " * 24, "nonsense " * 24, "x" * 10_000])
def test_bad_words(text: str, cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, text)
    said = cli("identity", "restore")
    assert said.status == 2
    assert not (home / "identity.key").exists()


def test_not_while_the_daemon_runs(cli: Cli, seed: bytes, home: Path) -> None:
    lock = DaemonLock.acquire(Home(home))
    for arguments in (["restore"], ["passphrase"]):
        said = cli("identity", *arguments)
        assert said.status == 6 and f"process {os.getpid()}" in said.err
    assert cli("identity", "backup").status == 0, "reading disturbs nobody"
    lock.release()


def test_no_identity_yet(cli: Cli) -> None:
    assert cli("identity", "backup").status == 4


def test_the_passphrase_comes_from_the_environment(
    cli: Cli, seed: bytes, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "ask_hidden", lambda prompt, twice: "open sesame")
    assert cli("identity", "passphrase").out == "The identity is locked with the new passphrase.\n"
    monkeypatch.undo()
    monkeypatch.setenv("P2PNODE_HOME", str(home))
    typing(monkeypatch, "")
    said = cli("identity", "backup")
    assert (said.status, "set P2PNODE_PASSPHRASE" in said.err) == (2, True)
    monkeypatch.setenv("P2PNODE_PASSPHRASE", "wrong")
    assert cli("identity", "backup").status == 6
    monkeypatch.setenv("P2PNODE_PASSPHRASE", "open sesame")
    assert len(cli("identity", "backup", "--json").json["words"].split()) == 24
    assert cli("identity", "passphrase", "--remove", "--json").json == {"locked": False}
    assert open_identity(home / "identity.key").seed == seed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_daemon_is_started_with_the_passphrase_that_was_asked_for(
    cli: Cli, seed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def exec_instead(path: str, arguments: list[str], environment: dict[str, str]) -> None:
        started.append((arguments, environment))

    monkeypatch.setattr(node.os, "execve", exec_instead)
    monkeypatch.setattr(identity, "ask_hidden", lambda prompt, twice: "open sesame")
    cli("daemon")
    assert "P2PNODE_PASSPHRASE" not in started[0][1], "an open identity needs none"
    assert cli("identity", "passphrase").status == 0
    monkeypatch.setattr(sys, "stdin", Terminal())
    cli("daemon", "--listen", "/ip4/127.0.0.1/tcp/0", "--no-lan")
    arguments, environment = started[1]
    assert arguments == [sys.executable, "-P", "-m", "p2pnode.daemon", "--listen", "/ip4/127.0.0.1/tcp/0", "--no-lan"]
    assert environment["P2PNODE_PASSPHRASE"] == "open sesame"
    assert Call().home.path  # the home itself comes from the same environment
