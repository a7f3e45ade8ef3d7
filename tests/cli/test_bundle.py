"""The commands about bundles: what they ask the daemon, what they print, and how an incomplete one ends."""

from __future__ import annotations

from pathlib import Path

from tests.cli.answers import CID, CIRCLE, WORK
from tests.cli.conftest import Cli
from tests.cli.test_commands import Serve

WRITTEN = {"path": "/x", "bytes": 2048, "circles": 1, "records": 7, "works": 2, "contents": 1, "lacking": ["Ants"]}
TAKEN = {
    "circles": [{"circle": CIRCLE, "name": "Readers", "state": "merged", "new": 7, "rejected": 1, "unknown": 2}],
    "works": 2,
    "rejected": 0,
    "contents": [{"cid": CID, "title": "Ants", "bytes": 0, "state": "left_out", "reason": "the file lacks block x"}],
    "taken": 1,
    "left_out": 1,
    "damage": None,
}


def test_export(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    daemon = serve({"bundle.export": WRITTEN})
    path = str(tmp_path / "a.car")
    assert cli("bundle", "export", path, WORK, "--circle", "Readers", "--private", "--json").json == WRITTEN
    assert daemon.calls.pop() == (
        "bundle.export",
        {"path": path, "works": [WORK], "circles": ["Readers"], "private": True},
    )
    said = cli("bundle", "export", path, "--all")
    assert "2.0 KiB" in said.out and "7 records" in said.out and "Ants" in said.err
    assert daemon.calls.pop()[1] == {"path": path, "works": [], "circles": [], "all": True}
    assert cli("bundle", "export", path).status == 2, "nothing was chosen"


def test_import(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    daemon = serve({"bundle.import": TAKEN})
    (tmp_path / "a.car").touch()
    path = str(tmp_path / "a.car")
    assert cli("bundle", "import", path, "--follow", "Readers", "--json").json == TAKEN
    assert daemon.calls.pop() == ("bundle.import", {"path": path, "follow": ["Readers"]})
    said = cli("bundle", "import", path, "--follow-all")
    assert daemon.calls.pop()[1] == {"path": path, "follow_all": True}
    assert said.status == 0 and "7 new records" in said.out
    assert "1 malformed, 2 of authors" in said.err and "lacks block" in said.err


def test_what_is_left_out_or_damaged_is_said(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    circle = {"circle": CIRCLE, "name": "Readers", "state": "left_out", "reason": "this node is not in it", "new": 0}
    serve({"bundle.import": TAKEN | {"circles": [circle], "damage": "it is damaged at byte 7"}})
    (tmp_path / "a.car").touch()
    said = cli("bundle", "import", str(tmp_path / "a.car"))
    assert said.status == 1 and "--follow" in said.err and "byte 7" in said.err
    assert cli("bundle", "import", str(tmp_path / "none.car")).status == 2
