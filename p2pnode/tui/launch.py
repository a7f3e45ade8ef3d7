"""Starts the node's daemon as a process of its own, which goes on when the TUI ends. `node.py` calls this, when nobody answers.

It never stops a daemon and never talks to one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from p2pnode.config import Home
from p2pnode.errors import P2pnodeError
from p2pnode.tui.text import clean

LOG_NAME = "daemon.log"
TAIL_BYTES = 2048
"""Bytes of the log's end that are looked at when the daemon ends at once: its last line says why."""
_DETACHED = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""Windows only; elsewhere a session of its own does it."""


class Launch:
    """A daemon that was just started and does not answer yet."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, offset: int) -> None:
        self._process = process
        self._log = log
        self._offset = offset

    def check(self) -> None:
        """P2pnodeError with the daemon's last words when it ended already."""
        status = self._process.poll()
        if status is None:
            return
        words = _last_line(self._log, self._offset)
        raise P2pnodeError(
            f"the node ended at once (status {status})" + (f": {words}" if words else ""),
            hint=f"read {self._log}, then try: p2pnode daemon --home {self._log.parent.parent}",
        )


def launch(home: Home, command: tuple[str, ...] = (sys.executable, "-m", "p2pnode", "daemon")) -> Launch:
    """Start the daemon of `home`, detached from this terminal, its output added to `log/daemon.log`."""
    log = home.log / LOG_NAME
    try:
        home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.log.mkdir(exist_ok=True, mode=0o700)
        with open(log, "ab") as output:
            offset = output.tell()
            process = subprocess.Popen(
                [*command, "--home", str(home.path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                creationflags=_DETACHED,
            )
    except OSError as error:
        raise P2pnodeError(f"the node cannot be started: {error}", hint=f"is {home.path} writable?") from error
    return Launch(process, log, offset)


def _last_line(log: Path, offset: int) -> str:
    try:
        with open(log, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(offset, end - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line for line in map(clean, reversed(lines)) if line), "")
