"""What systemd and launchd are given and told: units that say what they should, and signs of life that reach whoever waits for them."""

from __future__ import annotations

import logging
import os
import plistlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from p2pnode.cli import service
from p2pnode.cli.call import Call
from p2pnode.daemon import _LogLine
from p2pnode.local import notify
from p2pnode.local.service_unit import launchd_plist, systemd_unit

ODD = '/srv/a b/$x%h"q\\z'
COMMAND = [shutil.which("python3") or "/usr/bin/python3", "-P", "-m", "p2pnode.daemon"]


def unit(*, hardened: bool = True) -> str:
    return systemd_unit(COMMAND, writable=["/srv/works", ODD], variables=[("P2PNODE_HOME", ODD)], hardened=hardened)


def test_the_unit_is_one_that_systemd_takes_and_calls_safe(tmp_path: Path) -> None:
    """The judge is systemd itself: `verify` knows every name, `security` says how much is left that a service could do."""
    analyze = shutil.which("systemd-analyze")
    assert analyze is not None, "the package systemd is missing: scripts/test installs it, or: apt-get install systemd"
    path = tmp_path / "p2pnode.service"
    path.write_text(unit())
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "info"}
    for arguments in (
        ["verify", "--user", str(path)],
        ["security", "--user", "--offline=yes", "--threshold=25", "--no-pager", str(path)],
    ):
        done = subprocess.run([analyze, *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Unknown" not in done.stderr and "Invalid" not in done.stderr


def test_names_with_spaces_quotes_and_percents_are_taken_literally() -> None:
    lines = unit().splitlines()
    quoted = '/srv/a b/$x%%h\\"q\\\\z'
    assert f'Environment="P2PNODE_HOME={quoted}"' in lines
    assert f'ReadWritePaths="-{quoted}"' in lines
    command = systemd_unit(["/bin/x", "$HOME %h"], writable=[]).splitlines()
    assert 'ExecStart="/bin/x" "$$HOME %%h"' in command


def test_without_hardening_nothing_is_taken_away() -> None:
    assert "ProtectSystem" in unit() and "ReadWritePaths" in unit()
    plain = unit(hardened=False)
    assert "Protect" not in plain and "ReadWritePaths" not in plain and "Type=notify" in plain


def test_the_property_list_is_one() -> None:
    made = plistlib.loads(launchd_plist(["/bin/<x>", "-m"], log="/a&b", variables=[("P2PNODE_HOME", ODD)]).encode())
    assert made["ProgramArguments"] == ["/bin/<x>", "-m"]
    assert made["EnvironmentVariables"] == {"P2PNODE_HOME": ODD}
    assert made["RunAtLoad"] is True and made["KeepAlive"] == {"SuccessfulExit": False}
    assert made["StandardErrorPath"] == "/a&b" and made["Umask"] == 0o077


LAUNCHD_KEYS = {  # of launchd.plist(5), with the types it names
    "Label": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "ProcessType": str,
    "SoftResourceLimits": dict,
    "StandardErrorPath": str,
    "Umask": int,
}


def test_launchd_finds_in_the_property_list_what_its_manual_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It was never run on a Mac: keys, types, absolute paths and a log that can be written are what can be said here."""
    monkeypatch.setattr(sys, "platform", "darwin")
    call = Call(str(tmp_path / "a home"))
    made = plistlib.loads(service._Manager.here(call).text((), hardened=True).encode())
    assert {key: type(value) for key, value in made.items()} == LAUNCHD_KEYS
    command = made["ProgramArguments"]
    assert (
        os.path.isabs(command[0]) and os.access(command[0], os.X_OK) and command[1:] == ["-P", "-m", "p2pnode.daemon"]
    )
    assert made["EnvironmentVariables"]["P2PNODE_HOME"] == str(tmp_path / "a home")
    assert os.path.isabs(made["StandardErrorPath"]) and made["StandardErrorPath"].startswith(str(tmp_path / "a home"))
    assert made["KeepAlive"] == {"SuccessfulExit": False}, "a node that was told to stop stays stopped"
    assert made["ProcessType"] == "Background" and made["ExitTimeOut"] >= 10
    assert set(made["SoftResourceLimits"]) == {"NumberOfFiles"}


def test_who_waits_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(30)
        assert notify.tell(notify.READY, "STATUS=here", environment={"NOTIFY_SOCKET": path})
        assert manager.recv(1000) == b"READY=1\nSTATUS=here"
    assert not notify.tell(notify.READY, environment={})
    assert not notify.tell(notify.READY, environment={"NOTIFY_SOCKET": path}), "it is gone, and that is no error"


def test_the_watchdog_is_fed_thrice_an_interval_and_only_by_whom_it_watches() -> None:
    told = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "7"}
    assert notify.watchdog_s(told, pid=7) == 40.0
    assert notify.watchdog_s(told, pid=8) is None
    assert notify.watchdog_s(told | {"WATCHDOG_USEC": "x"}, pid=7) is None
    assert notify.watchdog_s({}) is None


def test_lines_for_the_journal_carry_their_gravity_and_no_time(tmp_path: Path) -> None:
    record = logging.LogRecord("p2pnode.sync", logging.WARNING, "", 0, "two\nlines", None, None)
    assert _LogLine(for_journal=True).format(record) == "<4>p2pnode.sync two | lines"
    assert _LogLine(for_journal=False).format(record).endswith("Z warning p2pnode.sync two | lines")
    assert [notify.priority(level) for level in (50, 40, 30, 20, 10)] == ["<3>", "<3>", "<4>", "<6>", "<7>"]
    with open(tmp_path / "log", "w") as file:
        facts = os.fstat(file.fileno())
        named = {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
        assert notify.writes_to_journal(file.fileno(), named)
        assert not notify.writes_to_journal(file.fileno(), {"JOURNAL_STREAM": "1:2"})
        assert not notify.writes_to_journal(file.fileno(), {})


@pytest.mark.parametrize("text", ["", ":", "a:b", "1", "1:2:3"])
def test_a_stream_that_is_misspelt_is_none(text: str) -> None:
    assert not notify.writes_to_journal(2, {"JOURNAL_STREAM": text})
