"""The command line against the real control server, whose methods answer what a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from p2pnode.cli.main import run
from p2pnode.control.server import Method
from tests.support.control import ControlThread, control_thread

Object = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What one call left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The only line on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> Object:
        """The only line on stderr."""
        (line,) = self.err.splitlines()
        value = json.loads(line)
        assert isinstance(value, dict)
        return value


Cli = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    monkeypatch.setenv("P2PNODE_HOME", str(path))
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("COLUMNS", "P2PNODE_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*arguments: str) -> Said:
        capsys.readouterr()
        status = run(arguments)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Said(status, captured.out, captured.err)

    return call


@pytest.fixture
def serve(home: Path) -> Iterator[Callable[[dict[str, Object | Method]], ControlThread]]:
    """Start the daemon's control end with these answers; stopped after the test."""
    with_stop: list[Any] = []

    def start(answers: dict[str, Object | Method]) -> ControlThread:
        manager = control_thread(home, answers)
        with_stop.append(manager)
        return manager.__enter__()

    yield start
    for manager in with_stop:
        manager.__exit__(None, None, None)
