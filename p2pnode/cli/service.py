"""`p2pnode service`: run the node as a service of this user, with systemd or launchd; no root, and nothing of the system is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from p2pnode.cli.call import Call
from p2pnode.cli.commands import Group
from p2pnode.cli.output import note, print_json, print_pairs
from p2pnode.config import HOME_VARIABLE, load_settings
from p2pnode.errors import NotFoundError, P2pnodeError, RefusedError
from p2pnode.local.machine import lingers
from p2pnode.local.service_unit import LAUNCHD_LABEL, UNIT_NAME, launchd_plist, systemd_unit

TOOL_TIMEOUT_S = 120
"""systemctl returns when the node is ready: recovery after a kill and a slow disk take a while."""
LINGER_HINT = "so that it runs while you are logged out: loginctl enable-linger"


@click.group(cls=Group)
def service() -> None:
    """Run the node in the background, from the start of the machine on: systemd's user services, or launchd on macOS."""


@service.command()
@click.option("--print", "only_print", is_flag=True, help="Print the unit and change nothing.")
@click.option("--no-start", is_flag=True, help="Write the unit, and neither enable nor start it.")
@click.option(
    "--writable",
    multiple=True,
    metavar="DIR",
    help="Another folder that the node may write to, for example on a second disk; may be repeated.",
)
@click.option("--plain", is_flag=True, help="Without hardening, where the kernel lets users make no namespaces.")
@click.pass_obj
def install(call: Call, only_print: bool, no_start: bool, writable: tuple[str, ...], plain: bool) -> None:
    """Write the service, enable it, and start it.

    The unit takes from the node whatever it does not need. Your home folder, the node's home, its library and /tmp stay writable, the rest
    of the file system is read only. A library on a disk that is mounted later: the service starts again until it is there.
    """
    manager = _Manager.here(call)
    text = manager.text(writable, hardened=not plain)
    if only_print:
        print(text, end="")
        return
    _refuse_sealed(call)
    changed = manager.write(text)
    if not no_start:
        manager.begin()
    answer = {"path": str(manager.path), "changed": changed, "started": not no_start, "lingers": manager.lingers()}
    if call.json:
        print_json(answer)
        return
    print(f"The service is {'written' if no_start else 'installed and runs'}: {manager.path}")
    if answer["lingers"] is False:
        note(LINGER_HINT)


@service.command()
@click.pass_obj
def uninstall(call: Call) -> None:
    """Stop the service and remove it. The node's home stays as it is."""
    manager = _Manager.here(call)
    if not manager.path.exists():
        raise NotFoundError(f"no service is installed ({manager.path} is not there)")
    trouble = manager.remove()
    if call.json:
        print_json({"path": str(manager.path), "removed": True} | ({"trouble": trouble} if trouble else {}))
        return
    print("The service is removed. The node's home stays; start it by hand with: p2pnode daemon")
    if trouble:
        note(f"It could not be stopped ({trouble}). If it still runs: p2pnode stop")


@service.command("status")
@click.pass_obj
def show_status(call: Call) -> None:
    """Say whether the service is installed, enabled and running."""
    manager = _Manager.here(call)
    answer = manager.state()
    if call.json:
        print_json(answer)
        return
    linger = {True: "yes", False: f"no; {LINGER_HINT}", None: None}[manager.lingers()]
    print_pairs(
        [
            ("installed", str(manager.path) if answer["installed"] else "no; p2pnode service install"),
            ("enabled", "yes" if answer["enabled"] else "no"),
            ("state", answer["state"]),
            ("process", answer["pid"]),
            ("when logged out", linger),
            ("log", manager.log_command),
        ]
    )


@dataclass(frozen=True)
class _Manager:
    """The service manager of this machine, and the home that it should serve."""

    call: Call
    kind: str
    path: Path

    @classmethod
    def here(cls, call: Call) -> _Manager:
        """RefusedError where there is none that we know."""
        if sys.platform == "darwin":
            return cls(call, "launchd", Path.home() / "Library" / "LaunchAgents" / f"{LAUNCHD_LABEL}.plist")
        if shutil.which("systemctl") is None:
            raise RefusedError(
                "this machine has neither systemd nor launchd",
                hint="let your service manager run: p2pnode daemon (it stays in the foreground; SIGTERM stops it)",
            )
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return cls(call, "systemd", Path(base) / "systemd" / "user" / UNIT_NAME)

    @property
    def log_command(self) -> str:
        """Where the log is."""
        return f"journalctl --user -u {UNIT_NAME}" if self.kind == "systemd" else str(self._log)

    @property
    def _log(self) -> Path:
        return self.call.home.log / "daemon.log"

    def text(self, writable: tuple[str, ...], *, hardened: bool) -> str:
        home = self.call.home
        command = [sys.executable, "-P", "-m", "p2pnode.daemon"]
        variables = [(HOME_VARIABLE, str(home.path)), *self._module_path()]
        if self.kind == "launchd":
            return launchd_plist(command, log=str(self._log), variables=variables)
        library = load_settings(home).library
        run = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        folders = [str(Path.home()), str(home.path), library, "/tmp", run, *map(os.path.abspath, writable)]
        return systemd_unit(
            command, writable=list(dict.fromkeys(filter(None, folders))), variables=variables, hardened=hardened
        )

    def _module_path(self) -> list[tuple[str, str]]:
        """A checkout that is not installed is found by its folder."""
        from p2pnode.cli.node import module_path

        path = module_path()
        return [("PYTHONPATH", path)] if path else []

    def write(self, text: str) -> bool:
        """Whether something changed."""
        old = self.path.read_text(encoding="utf-8") if self.path.exists() else None
        if old == text:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.kind == "launchd":
            self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.path)
        return True

    def begin(self) -> None:
        if self.kind == "launchd":
            _run("launchctl", "unload", str(self.path), check=False)
            _run("launchctl", "load", "-w", str(self.path))
            return
        self._refuse_other_daemon()
        self.reload()
        _run("systemctl", "--user", "enable", UNIT_NAME)
        _run("systemctl", "--user", "restart", UNIT_NAME, hint=f"its log says why: {self.log_command}")

    def remove(self) -> str:
        """Stop it and take its files away. Why it could not be stopped, "" if it was: the files go anyway."""
        trouble = ""
        try:
            self._end()
        except P2pnodeError as error:
            trouble = error.message
            (self.path.parent / "default.target.wants" / self.path.name).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        if not trouble:
            self.reload()
        return trouble

    def _end(self) -> None:
        if self.kind == "launchd":
            _run("launchctl", "unload", "-w", str(self.path), check=False)
        else:
            _run("systemctl", "--user", "disable", "--now", UNIT_NAME)

    def reload(self) -> None:
        if self.kind == "systemd":
            _run("systemctl", "--user", "daemon-reload")

    def lingers(self) -> bool | None:
        return lingers() if self.kind == "systemd" else None

    def state(self) -> dict[str, object]:
        shown: dict[str, object] = {"installed": self.path.exists(), "enabled": False, "state": "unknown", "pid": None}
        if self.kind == "launchd":
            listed = _run("launchctl", "list", LAUNCHD_LABEL, check=False)
            return shown | {"enabled": listed is not None, "state": "loaded" if listed is not None else "not loaded"}
        answer = _run("systemctl", "--user", "show", UNIT_NAME, "-p", "ActiveState,UnitFileState,MainPID", check=False)
        values = dict(line.partition("=")[::2] for line in (answer or "").splitlines())
        pid = values.get("MainPID", "0")
        return shown | {
            "enabled": values.get("UnitFileState") == "enabled",
            "state": values.get("ActiveState") or "unknown",
            "pid": int(pid) if pid.isdecimal() and pid != "0" else None,
            "lingers": self.lingers(),
        }

    def _refuse_other_daemon(self) -> None:
        """A daemon that was started by hand holds the home; the service would fail again and again."""
        from p2pnode.control.lock import running_pid

        pid = running_pid(self.call.home)
        if pid is not None and pid != self.state()["pid"]:
            raise RefusedError(
                f"a daemon (process {pid}) already runs at this home", hint="stop it first: p2pnode stop"
            )


def _refuse_sealed(call: Call) -> None:
    """Nobody is there to type a passphrase when the machine starts."""
    from p2pnode.local.identity import is_sealed

    if call.home.identity.exists() and is_sealed(call.home.identity):
        raise RefusedError(
            "the identity is locked with a passphrase, which a service cannot ask for",
            hint="p2pnode identity passphrase --remove, or run p2pnode daemon on a terminal",
        )


def _run(*command: str, check: bool = True, hint: str = "") -> str | None:
    """Its output; None if it failed and `check` is false."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise P2pnodeError(f"{' '.join(command[:3])} does not answer: {error}", hint=hint) from error
    if done.returncode == 0:
        return done.stdout
    if not check:
        return None
    said = (done.stderr or done.stdout).strip().splitlines()
    raise P2pnodeError(f"{' '.join(command)} failed: {said[0] if said else done.returncode}", hint=hint)
