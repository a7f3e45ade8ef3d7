"""`scripts/run` before there is a program: found through a link, and what it says when something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "scripts" / "run"


@pytest.mark.parametrize("links", [0, 1, 2])
def test_scripts_run_finds_its_checkout_through_links(links: int, tmp_path: Path) -> None:
    start, tools = RUN, tmp_path / "tools"
    for number in range(links):
        (tmp_path / str(number)).symlink_to(start)
        start = tmp_path / str(number)
    tools.mkdir()
    for name in ("dirname", "readlink"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(os.path.realpath(found))
    # Without any Python it ends at the first thing that the checkout's own part of it looks for.
    said = subprocess.run(
        ["/bin/sh", str(start)], env={"PATH": str(tools)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 1
    assert said.stderr.startswith("p2pnode needs Python 3.11 or newer")
    assert "apt-get install python3 python3-venv" in said.stderr
