"""The commands about archives: what they ask the daemon, and what they print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.answers import CID, SHOWN, WORK
from tests.cli.conftest import Cli
from tests.cli.test_commands import Serve

ITEM = {"cid": CID, "bytes": 2048, "files": 3, "path": "/x/notes", "fresh": True, "left_out": 0, "renamed": 0}


def test_export(cli: Cli, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    daemon = serve({"car.export": {"cid": CID, "path": "/x", "bytes": 2048}, "work.show": SHOWN})
    assert cli("car", "export", WORK, "-o", "a.car", "--json").json["bytes"] == 2048
    assert daemon.calls.pop() == ("car.export", {"work": WORK, "path": str(tmp_path / "a.car")})
    assert "2.0 KiB" in cli("car", "export", WORK).out
    assert daemon.calls[-1][1]["path"] == str(tmp_path / f"{CID}.car"), "named by its content"


def test_import(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    daemon = serve({"car.import": {"items": [ITEM], "blocks": 4}})
    (tmp_path / "a.car").touch()
    path = str(tmp_path / "a.car")
    assert cli("car", "import", path, "--json").json_lines == [ITEM]
    assert daemon.calls.pop() == ("car.import", {"path": path})
    said = cli("car", "import", path, "--title", "Bees", "--tag", "a", "--private")
    assert CID in said.out and "3 files" in said.out
    assert daemon.calls.pop()[1] == {"path": path, "title": "Bees", "creators": [], "tags": ["a"], "private": True}


def test_what_stands_in_the_way_is_said(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    serve({"car.import": {"items": [ITEM | {"fresh": False, "left_out": 1, "renamed": 2}], "blocks": 4}})
    (tmp_path / "a.car").touch()
    said = cli("car", "import", str(tmp_path / "a.car"))
    assert "already" in said.err and "1 symbolic link" in said.err and "2 files" in said.err
    assert cli("car", "import", str(tmp_path / "a.car"), "--kind", "book").status == 2
    assert cli("car", "import", str(tmp_path / "none.car")).status == 2
