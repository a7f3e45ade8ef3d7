"""cat and open: bytes come as credit allows and go to stdout unchanged; a file is shown, never run."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.cli import reading
from p2pnode.control.server import Emit
from tests.cli.answers import CID, WORK
from tests.cli.conftest import Cli
from tests.support.control import ControlThread

Object = dict[str, Any]
Serve = Callable[[dict[str, Any]], ControlThread]
FRAMES = [bytes([number]) * 1000 for number in range(100)]


class Reads:
    """The daemon's side of one reading: sends a frame for each that was granted, and counts how many were let come at a time."""

    def __init__(self) -> None:
        self.credit, self.asked = 0, Object()
        self.most = 0
        self._granted = trio.Event()

    async def read(self, params: Object, emit: Emit) -> Object:
        self.asked = params
        self._granted = trio.Event()
        emit("transfer.progress", {"state": "waiting", "reason": "nobody is there"})
        emit("work.opened", {"read": "read-1", "path": "x", "bytes": 100_000, "cid": CID})
        for number, frame in enumerate(FRAMES):
            while not self.credit:
                await self._granted.wait()
            self.credit -= 1
            emit("work.bytes", {"offset": number * 1000, "data": base64.b64encode(frame).decode()})
        return {"bytes": 100_000, "size": 100_000}

    async def grant(self, params: Object, emit: Emit) -> Object:
        assert params["read"] == "read-1"
        self.credit += params["frames"]
        self.most = max(self.most, self.credit)
        self._granted.set()
        self._granted = trio.Event()
        return {}


def test_every_byte_comes_out_and_never_more_than_was_granted(
    serve: Serve, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    from p2pnode.cli.main import run

    reads = Reads()
    serve({"work.read": reads.read, "read.credit": reads.grant})
    assert run(["cat", f"{WORK}/x", "--offset", "5", "--length", "7"]) == 0
    assert capfdbinary.readouterr().out == b"".join(FRAMES)
    assert reads.asked == {"work": f"{WORK}/x", "offset": 5, "length": 7}
    assert 1 < reads.most <= reading.MAX_FRAMES


def test_a_reader_that_had_enough_ends_it_cleanly(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads()
    serve({"work.read": reads.read, "read.credit": reads.grant})

    def closed(self: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(reading.Frames, "write", closed)
    monkeypatch.setattr("p2pnode.cli.main._leave_broken_pipe", lambda: None)
    assert cli("cat", WORK).status == 0


def test_json_gives_parts_with_their_offsets(cli: Cli, serve: Serve) -> None:
    reads = Reads()
    serve({"work.read": reads.read, "read.credit": reads.grant})
    parts = cli("cat", WORK, "--json").json_lines
    assert [base64.b64decode(part["data"]) for part in parts] == FRAMES
    assert [part["offset"] for part in parts] == [1000 * number for number in range(100)]


def _got(path: Path) -> Object:
    return {"path": str(path), "bytes": 1, "providers": 1}


def test_open_starts_the_systems_program_and_prints_where_it_lies(
    cli: Cli, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "picture.png").write_bytes(b"x")
    (tmp_path / "sub" / "game.desktop").write_bytes(b"x")
    (tmp_path / "sub" / "tool").write_bytes(b"x")
    os.chmod(tmp_path / "sub" / "tool", 0o755)
    started: list[list[str]] = []

    def start(command: Sequence[str]) -> bool:
        started.append(list(command))
        return True

    monkeypatch.setattr(reading, "_start", start)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys, "platform", "linux")
    calls = serve({"work.get": _got(tmp_path)}).calls
    said = cli("open", f"{WORK}/sub/picture.png")
    assert said.out.strip() == str(tmp_path / "sub" / "picture.png")
    assert started == [["xdg-open", str(tmp_path / "sub" / "picture.png")]]
    assert calls[-1] == ("work.get", {"work": WORK, "only": ["sub/picture.png"]})
    for name in ("game.desktop", "tool"):
        assert "not started" in cli("open", f"{WORK}/sub/{name}").err
    assert cli("open", WORK, "--print").err == ""
    assert len(started) == 1
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert cli("open", WORK, "--json").json == {"path": str(tmp_path), "opened": False}
    assert len(started) == 1
    assert cli("open", f"{WORK}/none").status == 4
