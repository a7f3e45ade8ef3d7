"""`explain --picture` writes a new file, and never over one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.answers import EXPLAINED, WORK
from tests.cli.conftest import Cli


def test_a_file_that_is_there_is_left_alone_and_nobody_is_asked(cli: Cli, serve: Any, tmp_path: Path) -> None:
    drawing, folder = tmp_path / "flow.svg", tmp_path / "folder"
    drawing.write_text("mine")
    folder.mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path in (drawing, folder, tmp_path / "dangling"):
        said = cli("explain", WORK, "--picture", str(path))
        assert said.status == 6 and f"{path} is there already" in said.err and "nothing is overwritten" in said.err
    assert drawing.read_text() == "mine" and not (tmp_path / "nowhere").exists()

    serve({"verdict.explain": EXPLAINED | {"svg": "<svg/>"}})
    said = cli("explain", WORK, "--picture", str(tmp_path / "new.svg"))
    assert said.status == 0 and (tmp_path / "new.svg").read_text() == "<svg/>"
    said = cli("explain", WORK, "--picture", str(tmp_path / "no folder" / "new.svg"))
    assert said.status == 1 and "no folder" in said.err
