"""`p2pnode service` with a systemctl of our own that writes down what it was told: files, order, words and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pnode.config import Home
from p2pnode.local.identity import load_or_create
from p2pnode.local.service_unit import UNIT_NAME

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no user services of systemd on Windows")
FAKE = """#!/bin/sh
echo "$*" >> "$0.told"
case "$*" in
*show*) printf 'ActiveState=active\\nUnitFileState=enabled\\nMainPID=42\\n' ;;
*restart*|*disable*) if [ -e "$0.fails" ]; then echo "Job for p2pnode.service failed" >&2; exit 1; fi ;;
esac
"""


class Desk:
    """A person's home folder, with a systemctl in the path."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.systemctl = folder, folder / "bin" / "systemctl"
        self.systemctl.parent.mkdir()
        self.systemctl.write_text(FAKE)
        self.systemctl.chmod(0o755)
        self.node = Home(folder / "node")
        self.node.path.mkdir()
        self.unit = folder / ".config" / "systemd" / "user" / UNIT_NAME

    def run(self, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "HOME": str(self.folder),
            "P2PNODE_HOME": str(self.node.path),
            "PATH": path if path is not None else f"{self.systemctl.parent}:/usr/bin:/bin",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        environment.pop("XDG_CONFIG_HOME", None)
        command = [sys.executable, "-m", "p2pnode", "service", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=self.folder)

    @property
    def told(self) -> list[str]:
        file = self.systemctl.with_name("systemctl.told")
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_it_is_installed_shown_and_removed(desk: Desk) -> None:
    (desk.node.config).write_text('library = "/srv/second disk"\n')
    done = desk.run("install", "--json", "--writable", "/srv/more")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"] == str(desk.unit)
    text = desk.unit.read_text()
    for folder in (desk.folder, desk.node.path, "/srv/second disk", "/srv/more"):
        assert f'ReadWritePaths="-{folder}"' in text
    verbs = [line.removeprefix("--user ") for line in desk.told]
    assert verbs == ["daemon-reload", f"enable {UNIT_NAME}", f"restart {UNIT_NAME}"]
    assert json.loads(desk.run("install", "--json").stdout)["changed"] is True, "without --writable it is another unit"
    assert json.loads(desk.run("install", "--json").stdout)["changed"] is False
    shown = json.loads(desk.run("status", "--json").stdout)
    assert (shown["installed"], shown["enabled"], shown["state"], shown["pid"]) == (True, True, "active", 42)
    assert desk.run("uninstall").returncode == 0
    assert not desk.unit.exists() and f"--user disable --now {UNIT_NAME}" in desk.told
    assert desk.run("uninstall").returncode == 4


def test_printing_changes_nothing(desk: Desk) -> None:
    done = desk.run("install", "--print", "--plain")
    assert done.stdout.startswith("[Unit]") and "Protect" not in done.stdout
    assert not desk.unit.exists() and desk.told == []


def test_a_start_that_fails_says_where_to_read_why(desk: Desk) -> None:
    desk.systemctl.with_name("systemctl.fails").touch()
    done = desk.run("install")
    assert done.returncode == 1 and "Job for p2pnode.service failed" in done.stderr
    assert "journalctl --user -u p2pnode.service" in done.stderr


def test_what_cannot_be_stopped_is_removed_all_the_same(desk: Desk) -> None:
    assert desk.run("install", "--no-start").returncode == 0
    wanted = desk.unit.parent / "default.target.wants" / UNIT_NAME
    wanted.parent.mkdir()
    wanted.symlink_to(desk.unit)
    desk.systemctl.with_name("systemctl.fails").touch()
    done = desk.run("uninstall")
    assert done.returncode == 0 and "could not be stopped" in done.stderr
    assert not desk.unit.exists() and not wanted.is_symlink()


def test_a_locked_identity_and_a_machine_without_a_manager_are_refused(desk: Desk) -> None:
    done = desk.run("install", path="/nowhere")
    assert done.returncode == 6 and "p2pnode daemon" in done.stderr
    load_or_create(desk.node.identity, "secret")
    done = desk.run("install")
    assert done.returncode == 6 and "passphrase" in done.stderr
    assert not desk.unit.exists()
